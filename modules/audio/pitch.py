"""Fundamental frequency by autocorrelation after Boersma (1993), as Praat does it, and its coarse classes.

Every row of 20 ms gives a few candidate periods; the best path through them (Viterbi) avoids octave jumps and decides
where the voice is silent.
"""

from __future__ import annotations

import numpy as np

from modules.audio.base import HOP, SAMPLE_RATE_HZ, fit_to_frames

F0_MIN_HZ, F0_MAX_HZ = 80.0, 750.0
_VOICING, _SILENCE = 0.6, 0.03
_OCTAVE_COST, _JUMP_COST, _VOICED_COST = 0.01, 0.35, 0.14
_WINDOW = int(3 * SAMPLE_RATE_HZ / F0_MIN_HZ)
_N_FFT = 2048
_NUM_CANDIDATES = 6
_BLOCK = 512


def extract_f0(wav: np.ndarray) -> np.ndarray:
    """Return the pitch [2T] f32 in Hz of ``wav`` [N] f32 at 16 kHz, 0 where there is no voice."""
    wav = fit_to_frames(wav)
    num_rows = len(wav) // HOP
    side = (_WINDOW - HOP) // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, side), _WINDOW)[::HOP]
    mean = float(wav.mean())
    peak = max(float(wav.max()) - mean, mean - float(wav.min()))
    if peak < 1e-5:
        return np.zeros(num_rows, np.float32)
    blocks = [_candidates(frames[i : i + _BLOCK], peak) for i in range(0, num_rows, _BLOCK)]
    hertz = np.concatenate([block[0] for block in blocks])
    strength = np.concatenate([block[1] for block in blocks])
    return _best_path(hertz, strength)


def _candidates(frames: np.ndarray, peak: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies and strengths [F,K+1] of each row's best periods; column 0 is "no voice" (0 Hz)."""
    frames = frames - frames.mean(axis=1, keepdims=True)
    loudness = np.abs(frames).max(axis=1) / peak
    correlation = _normalized_autocorrelation(frames)
    low, high = int(SAMPLE_RATE_HZ / F0_MAX_HZ), int(SAMPLE_RATE_HZ / F0_MIN_HZ) + 1
    left, here, right = (correlation[:, low + d : high + d] for d in (-1, 0, 1))
    curvature = np.minimum(left - 2 * here + right, -1e-9)
    shift = np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
    hertz = SAMPLE_RATE_HZ / (np.arange(low, high) + shift)
    height = np.minimum(here - 0.25 * (left - right) * shift, 1.0)
    strength = height - _OCTAVE_COST * np.log2(F0_MIN_HZ / hertz)
    is_peak = (here > left) & (here >= right) & (height > 0.5 * _VOICING) & (hertz >= F0_MIN_HZ) & (hertz <= F0_MAX_HZ)
    strength = np.where(is_peak, strength, -1e9)
    best = np.argpartition(-strength, _NUM_CANDIDATES, axis=1)[:, :_NUM_CANDIDATES]
    unvoiced = _VOICING + np.maximum(0.0, 2.0 - loudness / _SILENCE * (1 + _VOICING))
    take = np.take_along_axis
    return (
        np.concatenate([np.zeros((len(frames), 1)), take(hertz, best, 1)], axis=1),
        np.concatenate([unvoiced[:, None], take(strength, best, 1)], axis=1),
    )


def _normalized_autocorrelation(frames: np.ndarray) -> np.ndarray:
    window = np.hanning(_WINDOW)
    num_lags = int(SAMPLE_RATE_HZ / F0_MIN_HZ) + 3
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _N_FFT)) ** 2)[:num_lags]
    power = np.abs(np.fft.rfft(frames * window, _N_FFT, axis=1)) ** 2
    correlation = np.fft.irfft(power, axis=1)[:, :num_lags]
    return correlation / np.maximum(correlation[:, :1], 1e-12) / (own / own[0])


def _best_path(hertz: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return the frequencies [F] of the path that maximises strength minus the costs of jumps."""
    octave = np.log2(np.maximum(hertz, 1e-3))
    voiced = hertz > 0
    score = strength[0]
    back = np.zeros(hertz.shape, np.int64)
    for row in range(1, len(hertz)):
        jump = _JUMP_COST * np.abs(octave[row][None, :] - octave[row - 1][:, None])
        both = voiced[row][None, :] & voiced[row - 1][:, None]
        change = voiced[row][None, :] != voiced[row - 1][:, None]
        total = score[:, None] - np.where(both, jump, 0.0) * 0.5 - _VOICED_COST * 0.5 * change
        back[row] = total.argmax(axis=0)
        score = total.max(axis=0) + strength[row]
    path = np.zeros(len(hertz), np.int64)
    path[-1] = score.argmax()
    for row in range(len(hertz) - 1, 0, -1):
        path[row - 1] = back[row, path[row]]
    return hertz[np.arange(len(hertz)), path].astype(np.float32)


def coarse_pitch(f0: np.ndarray) -> np.ndarray:
    """Return pitch classes 1 ... 255 (int64) of ``f0`` in Hz on the mel scale from 50 to 1100 Hz; 1 is "no voice"."""
    mel = 1127 * np.log1p(np.asarray(f0, np.float64) / 700)
    low, high = (1127 * np.log1p(hertz / 700) for hertz in (50.0, 1100.0))
    mel = np.where(mel > 0, (mel - low) * 254 / (high - low) + 1, mel)
    return np.floor(np.clip(mel, 1, 255) + 0.5).astype(np.int64)
