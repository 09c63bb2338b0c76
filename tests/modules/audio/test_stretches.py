"""Features of parts of a long sound are those of one pass over all of it."""

from __future__ import annotations

import numpy as np
import pytest

from modules.audio import SpeechRows, build_speech_encoder
from modules.audio.moonshine import MoonshineEncoder


def _noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    loud = np.abs(np.sin(np.arange(int(seconds * 16000)) / 5000))
    return (0.1 * loud * rng.standard_normal(len(loud))).astype(np.float32)


@pytest.mark.parametrize("name", ["mel", "moonshine+mel"])
def test_parts_equal_one_pass_bit_by_bit(name: str) -> None:
    encoder = build_speech_encoder(name)
    wav = _noise(13.3)
    whole, rows = encoder.encode(wav), SpeechRows(encoder, wav)
    frames = len(whole) // 2
    for first, stop in ((0, 60), (60, 187), (187, 188), (188, frames)):
        assert np.array_equal(rows(first, stop), whole[2 * first : 2 * stop]), (first, stop)


def test_windows_encoded_side_by_side_are_those_encoded_one_by_one() -> None:
    wav = _noise(3.1)
    assert np.array_equal(MoonshineEncoder(1).encode(wav), MoonshineEncoder(3).encode(wav))


def test_what_looks_at_the_whole_sound_is_encoded_once() -> None:
    class Whole:
        name, dim, reach_s = "whole", 1, None
        calls = 0

        def encode(self, wav: np.ndarray) -> np.ndarray:
            self.calls += 1
            return np.arange(len(wav) // 320, dtype=np.float32)[:, None] / wav.sum()

    encoder = Whole()
    rows = SpeechRows(encoder, np.ones(64000, np.float32))
    np.testing.assert_array_equal(np.concatenate([rows(0, 30), rows(30, 100)]), encoder.encode(rows.wav))
    assert encoder.calls == 2
    assert build_speech_encoder("mel").reach_s == 1
    assert build_speech_encoder("moonshine+mel").reach_s == 4
