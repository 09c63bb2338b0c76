from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_gen.videos import sync_check
from data_gen.videos.config import ProcessConfig
from data_gen.videos.sync_check import measure, sync_warning
from tests.support.real_data import real_clip
from utils.data.atomic import save_npy
from utils.media.audio import load_wav, save_wav
from utils.media.video import read_frames
from utils.metrics.lipsync import SyncResult

CURVE = np.zeros(31)


@pytest.mark.parametrize(
    ("lag", "r", "expected"),
    [
        (0, 0.5, ""),
        (-1, 0.5, ""),
        (1, 0.5, ""),
        (-6, 0.6, "the sound comes 6 frames (240 ms) after the lips (lag -6)"),
        (3, 0.4, "the sound comes 3 frames (120 ms) before the lips (lag 3)"),
        (-6, 0.1, "lips and sound hardly go together (correlation 0.10)"),
    ],
)
def test_the_verdict_is_put_in_words(lag: int, r: float, expected: str) -> None:
    assert sync_warning(SyncResult(lag, r, CURVE)).startswith(expected)
    assert bool(sync_warning(SyncResult(lag, r, CURVE))) == bool(expected)


def _talking(frames: int, late_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks whose mouth opens with the loudness of a noise, and the noise moved by some frames."""
    rng = np.random.default_rng(0)
    loudness = np.convolve(rng.uniform(0, 1, frames + 8), np.ones(4) / 4, "same")[:frames] ** 2
    points = np.zeros((frames, 68, 3), np.float32)
    points[:, 45, 0] = 100
    points[:, 66, 1] = 20 * loudness
    points[:, 57, 1] = 20 + 20 * loudness
    wav = rng.normal(0, 0.2, frames * 640) * np.repeat(np.roll(loudness, late_frames), 640)
    return points, wav.astype(np.float32)


@pytest.mark.parametrize(("late", "shift", "fix"), [(0, 0, True), (6, -6, True), (6, 0, False), (-4, 4, True)])
def test_sound_out_of_time_is_found_and_mended_on_request(tmp_path: Path, late: int, shift: int, fix: bool) -> None:
    points, wav = _talking(300, late)
    save_npy(tmp_path / "landmarks/lm68.npy", points)
    save_wav(tmp_path / "ingest/audio.wav", wav)
    config = ProcessConfig(video_id="x", fix_sync=fix)
    out = tmp_path / "sync_check"
    out.mkdir()
    sync_check.run(config, tmp_path, out, lambda items, total=None: items)
    text = (out / "sync_check.json").read_text()
    assert f'"lag": {-late}' in text
    assert f'"shift_frames": {shift}' in text
    if fix:  # what the next stages hear is in time
        from data_gen.videos.audio_features import clip_audio

        inner = slice(10, 290)  # without the silence that fills the end
        assert abs(measure(points[inner], clip_audio(tmp_path)[6400 : 290 * 640]).lag) <= 1


@pytest.mark.parametrize(
    ("name", "lags"), [("obama_oval_20s_sync.mp4", (-1, 0, 1)), ("obama_audio_late_6_frames.mp4", (-7, -6, -5))]
)
def test_a_real_clip_out_of_time_is_caught_and_one_in_time_is_not(name: str, lags: tuple[int, ...]) -> None:
    from modules.face import build_landmarker, to_landmarks68

    path = real_clip(f"video/{name}")
    track = build_landmarker("mediapipe").track(read_frames(path, fps=25))
    result = measure(to_landmarks68(track.points), load_wav(path))
    assert result.lag in lags
    assert bool(sync_warning(result)) == (0 not in lags)
