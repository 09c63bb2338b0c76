"""Speech and pauses by the file's own level."""

import numpy as np
import pytest

from inference.voice_activity import frame_level_db, speech_activity


def bursts(gain: float, noise: float, seed: int = 0) -> np.ndarray:
    """Return 4 s: 0.8 s speech-like noise, 0.8 s pause, and so on, over a noise floor."""
    rng = np.random.default_rng(seed)
    loud = (np.arange(64000) // 12800) % 2 == 0
    syllables = 0.6 + 0.4 * np.sin(np.arange(64000) / 16000 * 2 * np.pi * 4)
    return rng.standard_normal(64000) * (gain * loud * syllables + noise)


@pytest.mark.parametrize(("gain", "noise"), [(0.2, 0.0), (0.2, 0.01), (0.01, 0.0005), (0.5, 0.05)])
def test_pauses_are_found_whatever_the_level_and_the_room(gain: float, noise: float) -> None:
    speaking = speech_activity(bursts(gain, noise), 100)
    truth = (np.arange(100) // 20) % 2 == 0
    assert (speaking == truth).mean() > 0.97


def test_a_soft_moment_inside_speech_is_no_pause() -> None:
    wav = bursts(0.2, 0.001)
    wav[4800:6400] *= 0.02  # 100 ms
    assert speech_activity(wav, 100)[:19].all()


def test_a_click_in_a_pause_is_no_speech() -> None:
    wav = bursts(0.2, 0.001)
    wav[19200:19300] = 0.5
    assert not speech_activity(wav, 100)[22:38].any()


def test_silence_is_silent_and_steady_sound_is_speech() -> None:
    assert not speech_activity(np.zeros(16000), 25).any()
    assert speech_activity(np.random.default_rng(0).standard_normal(16000) * 0.1, 25).all()


def test_level_is_that_of_the_loudest_part_and_silence_follows_the_end() -> None:
    wav = np.zeros(640 * 3)
    wav[640:960] = 0.1
    np.testing.assert_allclose(frame_level_db(wav, 5), [-90, -20, -90, -90, -90], atol=1e-6)
