"""The lag of real footage, before and after its sound was moved by six frames."""

import pytest

from modules.face.landmarkers.base import build_landmarker
from modules.face.landmarks68 import to_landmarks68
from tests.support.real_data import real_clip
from utils.media.audio import load_wav
from utils.media.video import read_frames
from utils.metrics.lipsync import lip_opening, mouth_height, sync_lag


@pytest.mark.parametrize(("name", "lag"), [("obama_oval_20s_sync", 0), ("obama_audio_late_6_frames", -6)])
def test_lag_of_a_real_clip(name: str, lag: int) -> None:
    clip = real_clip(f"video/{name}.mp4")
    points = to_landmarks68(build_landmarker("mediapipe").track(read_frames(clip)).points)
    result = sync_lag(load_wav(clip), lip_opening(points), mouth_height(points))
    assert result.lag == lag
    assert result.r == pytest.approx(0.61, abs=0.04)
