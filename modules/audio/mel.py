"""Log-mel bands (specification 2.11) with every row centred on its own 20 ms.

16 kHz, |STFT| of 512 points, Hann, hop 320, 80 Slaney bands from 80 to 7600 Hz, log10 with floor 1e-6. The reference
starts its first window at sample 0; here the window is centred on the row's instant, so that all encoders agree in
time. A fixed affine map, the same for every file, brings the values to about zero mean and unit spread.
"""

from __future__ import annotations

import functools

import numpy as np

from modules.audio.base import HOP, SAMPLE_RATE_HZ, fit_to_frames

NUM_BANDS = 80
_N_FFT = 512
_BLOCK = 4096
MEAN, STD = -2.8, 1.0
"""Rounded mean and spread of log10-mel over speech of usual loudness."""


@functools.cache
def _filters() -> np.ndarray:
    import librosa

    bands: np.ndarray = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_N_FFT, n_mels=NUM_BANDS, fmin=80, fmax=7600)
    return bands.T.astype(np.float32)


def log_mel(wav: np.ndarray) -> np.ndarray:
    """Return log10-mel [2T,80] f32 of ``wav`` [N] f32 at 16 kHz."""
    wav = fit_to_frames(wav)
    num_rows = len(wav) // HOP
    side = (_N_FFT - HOP) // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, side), _N_FFT)[::HOP]
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    mel = np.empty((num_rows, NUM_BANDS), np.float32)
    for start in range(0, num_rows, _BLOCK):
        magnitude = np.abs(np.fft.rfft(frames[start : start + _BLOCK] * window, axis=1)).astype(np.float32)
        mel[start : start + _BLOCK] = magnitude @ _filters()
    return np.log10(np.maximum(mel, 1e-6))


class MelEncoder:
    """Log-mel bands as speech features."""

    name = "mel"
    dim = NUM_BANDS
    reach_s: int | None = 1

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,80] f32."""
        return (log_mel(wav) - MEAN) / STD
