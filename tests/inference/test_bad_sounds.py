"""Sounds as people have them: every one gives landmarks of its length, finite and within the person's range."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from inference.benchmark import peak_memory_gb
from inference.config import InferConfig
from inference.mouth_filters import OPEN_MARGIN
from inference.pipeline import TalkingHead
from utils.media.ffmpeg import run_ffmpeg
from utils.metrics.lipsync import lip_opening

RATE = 16000


def _voice(seconds: float, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    loud = np.abs(np.sin(2.5 * t)) * (np.sin(1.7 * t) > -0.6)
    return (0.25 * loud * sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 8))).astype(np.float32)


def _music(seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330, 440))).astype(np.float32)


def _write(path: Path, kind: str) -> float:
    """Write one kind of sound; return its length in seconds."""
    two = 2.0
    if kind == "telephone":
        soundfile.write(path, _voice(two, 8000), 8000)
    elif kind == "24 bit":
        soundfile.write(path, _voice(two), RATE, subtype="PCM_24")
    elif kind == "one silent channel":
        soundfile.write(path, np.stack([np.zeros(2 * RATE), _voice(two)], axis=1), RATE)
    elif kind == "clipped":
        soundfile.write(path, np.clip(30 * _voice(two), -1, 1), RATE)
    elif kind == "a fifth of a second":
        soundfile.write(path, _voice(0.2), RATE)
        return 0.2
    elif kind == "music":
        soundfile.write(path, _music(two), RATE)
    elif kind == "silence":
        soundfile.write(path, np.zeros(2 * RATE), RATE)
    return two


@pytest.fixture
def head(root: Path) -> TalkingHead:
    return TalkingHead(config=InferConfig(video_id="tim", device="cpu"))


def _check(head: TalkingHead, path: Path, seconds: float) -> np.ndarray:
    deviations = head.landmarks(path)
    assert len(deviations) == round(seconds * 25)
    wav = head.load_speech(path)
    lm3d = head.filtered(deviations, wav, head.path(len(deviations)))
    assert np.isfinite(lm3d).all()
    opening = lip_opening(lm3d)
    assert opening.max() <= OPEN_MARGIN * head.person.habits.widest + 1e-6
    return opening


@pytest.mark.parametrize(
    "kind",
    ["telephone", "24 bit", "one silent channel", "clipped", "a fifth of a second", "music", "silence"],
)
def test_every_kind_of_recording_moves_the_lips_within_bounds(head: TalkingHead, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sound.wav"
    opening = _check(head, path, _write(path, kind))
    if kind == "silence":
        assert opening.max() < head.person.rest.settled + 0.02


def test_an_hour_is_predicted_without_seams_in_bounded_memory(root: Path) -> None:
    head = TalkingHead(config=InferConfig(video_id="tim", device="cpu", infer_temperature=0.0))
    head.landmarks(_voice(10))
    before = peak_memory_gb()
    hour = np.resize(_voice(7), 3600 * RATE)
    deviations = head.landmarks(hour)
    assert len(deviations) == 90_000
    assert peak_memory_gb() < before + hour.nbytes / 2**30 + 0.5, "features and inner layers would need 1.5 GB"
    period = 4 * 7 * 25  # whole seconds and whole latent frames
    np.testing.assert_allclose(deviations[2 * period : -period], deviations[period : -2 * period], atol=1e-4)


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "mp4", "ogg"])
def test_every_container_is_read(head: TalkingHead, tmp_path: Path, suffix: str) -> None:
    _write(tmp_path / "sound.wav", "24 bit")
    path = tmp_path / f"sound.{suffix}"
    run_ffmpeg("-i", tmp_path / "sound.wav", path, what="encode")
    deviations = head.landmarks(path)
    assert len(deviations) == pytest.approx(50, abs=2)


def test_a_clipped_recording_is_named(head: TalkingHead, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for kind, warned in (("24 bit", False), ("clipped", True)):
        _write(tmp_path / "sound.wav", kind)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            head.load_speech(tmp_path / "sound.wav")
        assert ("clipped" in caplog.text) == warned
