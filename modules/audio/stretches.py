"""Speech features of a long sound, encoded a stretch at a time as they are asked for."""

from __future__ import annotations

import numpy as np

from modules.audio.base import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, SpeechEncoder, fit_to_frames

_FPS = SAMPLE_RATE_HZ // SAMPLES_PER_FRAME


class SpeechRows:
    """Rows of features by video frame; the same numbers as one pass over everything, without holding them all."""

    def __init__(self, encoder: SpeechEncoder, wav: np.ndarray) -> None:
        """Take an encoder and a sound [N] at 16 kHz.

        Raises:
            DataError: The sound is empty, not one-dimensional or not finite.
        """
        self.encoder, self.wav = encoder, fit_to_frames(wav)
        self._whole: np.ndarray | None = None

    def __call__(self, first: int, stop: int) -> np.ndarray:
        """Return the rows [2*(stop-first),C] of video frames ``first ... stop - 1``."""
        reach = self.encoder.reach_s
        if reach is None:
            if self._whole is None:
                self._whole = self.encoder.encode(self.wav)
            return self._whole[2 * first : 2 * stop]
        low, high = max(0, first // _FPS - reach), -(-stop // _FPS) + reach
        rows = self.encoder.encode(self.wav[low * SAMPLE_RATE_HZ : high * SAMPLE_RATE_HZ])
        return rows[2 * (first - low * _FPS) : 2 * (stop - low * _FPS)]
