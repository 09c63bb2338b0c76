"""Sound of any length: predicted a stretch at a time, without a seam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference import audio_to_landmarks
from inference.config import InferConfig
from inference.pipeline import TalkingHead


def _voice(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    loud = np.abs(np.sin(np.arange(int(seconds * 16000)) / 4000))
    return (0.2 * loud * rng.standard_normal(len(loud))).astype(np.float32)


def test_stretches_have_no_seam(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = TalkingHead(config=InferConfig(video_id="tim", device="cpu"))
    wav = _voice(23.4)
    whole = head.landmarks(wav)
    assert head.motion.temperature == 1.0, "the noise must fall on the same frames too"
    for stretch in (40, 100):
        monkeypatch.setattr(audio_to_landmarks, "_STRETCH", stretch)
        np.testing.assert_allclose(head.landmarks(wav), whole, atol=1e-5)
    features = head.motion.encoder.encode(wav)
    np.testing.assert_allclose(head.motion.from_features(features, None, len(whole)), whole, atol=1e-5)
