from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.benchmark import draw_row, landmarks_row, peak_memory_gb, video_row
from inference.config import InferConfig
from inference.pipeline import TalkingHead
from utils.media.audio import save_wav
from utils.media.video import probe


def test_drawing_is_timed_by_stage(root: Path) -> None:
    row = draw_row(
        TalkingHead("tim", config=InferConfig(renderer_backend="torch", infer_image_size=24, device="cpu")), frames=3
    )
    assert (row.backend, row.tier, row.size) == ("torch", "full", 24)
    assert row.ms > row.stages["state"] > 0
    assert abs(row.frames_per_second - 1000 / row.ms) < 0.1 * row.frames_per_second


def test_a_whole_video_is_timed(root: Path, tmp_path: Path) -> None:
    save_wav(tmp_path / "voice.wav", (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32))
    config = InferConfig(video_id="tim", infer_image_size=24, device="cpu")
    row = video_row(config, tmp_path / "voice.wav", tmp_path / "out.mp4", sound_seconds=0.8)
    assert row.sound_seconds == 0.8
    assert row.seconds >= row.drawing_seconds > 0
    assert probe(tmp_path / "out.mp4").num_frames == 20


def test_landmarks_of_a_file_are_timed(root: Path, tmp_path: Path) -> None:
    save_wav(tmp_path / "voice.wav", (0.1 * np.random.default_rng(0).standard_normal(32000)).astype(np.float32))
    for given, expected in ((0.0, 2.0), (0.8, 0.8)):
        row = landmarks_row(InferConfig(video_id="tim", device="cpu"), tmp_path / "voice.wav", sound_seconds=given)
        assert row.sound_seconds == expected
        total = row.decoding_seconds + row.predicting_seconds + row.filtering_seconds
        assert row.times_real_time == pytest.approx(expected / total, rel=0.05)
        assert row.memory_before_gb <= row.memory_after_gb < row.memory_before_gb + 1


def test_memory_is_in_gigabytes() -> None:
    assert 0.05 < peak_memory_gb() < 100
