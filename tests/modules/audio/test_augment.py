"""Altered sounds keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from modules.audio.augment import add_noise, add_reverberation, augment, change_speed, limit_band, resample_motion

RATE = 16000


def _tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def _peak_hz(wav: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wav * np.hanning(len(wav))))) * RATE / len(wav))


def test_speed_shortens_and_raises_the_pitch() -> None:
    fast = change_speed(_tone(400), 1.25)
    assert len(fast) == pytest.approx(RATE / 1.25, abs=2)
    assert _peak_hz(fast) == pytest.approx(500, abs=3)


def test_noise_has_the_ratio_asked_for() -> None:
    wav = _tone(300)
    noisy = add_noise(wav, np.random.default_rng(0), snr_db=12, color=1)
    assert 10 * np.log10(np.square(wav).mean() / np.square(noisy - wav).mean()) == pytest.approx(12, abs=0.01)


def test_a_narrow_band_lets_the_middle_through_and_stops_the_rest() -> None:
    through, stopped = (np.square(limit_band(_tone(h), 300, 3400)).mean() for h in (1000, 60))
    assert through > 0.45
    assert stopped < 0.005


def test_reverberation_rings_on_after_the_sound_with_the_energy_asked_for() -> None:
    wav = np.zeros(RATE, np.float32)
    wav[100] = 1.0
    wet = add_reverberation(wav, np.random.default_rng(0), decay_s=0.3, share=0.4)
    assert np.square(wet[101:]).sum() == pytest.approx(0.4, rel=0.01)
    assert np.square(wet[100 + int(0.3 * RATE) :]).sum() < 1e-12


def test_motion_follows_the_speed_of_its_sound() -> None:
    motion = np.arange(50.0)[:, None]
    fast = resample_motion(motion, 1.25, 40)
    np.testing.assert_allclose(fast[:, 0], (np.arange(40) + 0.5) * 1.25 - 0.5)
    assert resample_motion(motion[:1], 0.9, 3).tolist() == [[0.0]] * 3


def test_the_same_seed_alters_alike_and_stays_finite() -> None:
    wav = 0.3 * _tone(200)
    for seed in range(6):
        first, second = (augment(wav, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first.wav, second.wav)
        assert np.isfinite(first.wav).all()
        assert len(first.wav) == pytest.approx(RATE / first.speed, abs=2)
