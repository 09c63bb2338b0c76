"""Sound as other rooms, microphones and voices would make it, for training on few recordings.

All functions take and return mono sound [N] f32 at 16 kHz and draw from the generator they are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

SAMPLE_RATE_HZ = 16000
_SPEED_STEPS = 40
"""Speeds are multiples of 1/40, so that resampling is exact."""
_BANDS_HZ = ((300.0, 3400.0), (100.0, 4000.0), (50.0, 5500.0))


@dataclass(frozen=True)
class Augmented:
    """An altered sound."""

    wav: np.ndarray
    """[N / speed]"""
    speed: float
    """How much faster it is; what moves with it must be resampled alike."""


def augment(wav: np.ndarray, rng: np.random.Generator) -> Augmented:
    """Return the sound at another speed (and pitch), in a room, through a narrow band, in noise, at another level.

    Each alteration but the speed happens with probability one half.
    """
    speed = int(rng.integers(-5, 6)) / _SPEED_STEPS + 1.0
    wav = change_speed(wav, speed)
    if rng.random() < 0.5:
        wav = add_reverberation(wav, rng, decay_s=float(rng.uniform(0.1, 0.5)), share=float(rng.uniform(0.1, 0.5)))
    if rng.random() < 0.5:
        wav = limit_band(wav, *_BANDS_HZ[int(rng.integers(len(_BANDS_HZ)))])
    if rng.random() < 0.5:
        wav = add_noise(wav, rng, snr_db=float(rng.uniform(8, 30)), color=float(rng.uniform(0, 2)))
    return Augmented((wav * 10 ** (rng.uniform(-10, 3) / 20)).astype(np.float32), speed)


def change_speed(wav: np.ndarray, speed: float) -> np.ndarray:
    """Return the sound played ``speed`` times as fast, pitch and all; speed is rounded to a multiple of 1/40."""
    steps = max(1, round(speed * _SPEED_STEPS))
    return wav if steps == _SPEED_STEPS else resample_poly(wav, _SPEED_STEPS, steps).astype(np.float32)


def add_reverberation(wav: np.ndarray, rng: np.random.Generator, *, decay_s: float, share: float) -> np.ndarray:
    """Return the sound with an exponentially dying echo of noise that falls by 60 dB in ``decay_s``.

    Args:
        wav: [N].
        rng: Source of the echo.
        decay_s: Seconds until the echo is 60 dB down.
        share: Energy of the echo over that of the direct sound.
    """
    time = np.arange(int(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    echo[: SAMPLE_RATE_HZ // 500] = 0
    echo *= np.sqrt(share / max(float(np.square(echo).sum()), 1e-9))
    return (wav + fftconvolve(wav, echo)[: len(wav)]).astype(np.float32)


def limit_band(wav: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Return the sound as a narrow line or small microphone passes it."""
    band = butter(4, (low_hz, high_hz), btype="bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(band, wav), np.float32)


def add_noise(wav: np.ndarray, rng: np.random.Generator, *, snr_db: float, color: float) -> np.ndarray:
    """Return the sound in stationary noise.

    Args:
        wav: [N].
        rng: Source of the noise.
        snr_db: Power of the sound over that of the noise.
        color: Power falls with frequency to this power: 0 white, 1 pink, 2 brown.
    """
    spectrum = np.fft.rfft(rng.standard_normal(len(wav)))
    hertz = np.maximum(np.fft.rfftfreq(len(wav), 1 / SAMPLE_RATE_HZ), 40.0)
    noise = np.fft.irfft(spectrum * hertz ** (-color / 2), len(wav))
    power = float(np.square(wav).mean())
    noise *= np.sqrt(power / max(float(np.square(noise).mean()), 1e-12) * 10 ** (-snr_db / 10))
    return (wav + noise).astype(np.float32)


def resample_motion(motion: np.ndarray, speed: float, num_frames: int) -> np.ndarray:
    """Return motion [T,...] played ``speed`` times as fast as ``num_frames`` frames; frame t is at (t + 0.5) / 25 s."""
    at = np.clip((np.arange(num_frames) + 0.5) * speed - 0.5, 0, len(motion) - 1)
    low = np.minimum(at.astype(int), max(len(motion) - 2, 0))
    high = np.minimum(low + 1, len(motion) - 1)
    share = (at - low).reshape(-1, *[1] * (motion.ndim - 1)).astype(motion.dtype)
    return (1 - share) * motion[low] + share * motion[high]
