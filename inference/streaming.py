"""A sound that is still arriving to landmarks: frames are given some tenths of a second behind the sound.

With every piece of sound the last seconds are encoded and predicted anew. What changed since the last piece at the
first new frame is faded out over the next ones, so there is no jump. Filters that look at a whole clip are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from inference.blinks import inject_natural, inject_period
from inference.config import InferConfig
from inference.landmark_filters import apply_filters
from inference.person_motion import PersonMotion
from inference.voice_activity import speech_activity
from modules.audio import SAMPLES_PER_FRAME, frames_of
from utils.data.person_store import PersonStore

LOOKAHEAD = 5
"""Frames of sound heard before a frame is given."""
_CONTEXT = 50
_SEAM = 5
_WHOLE_CLIP = ("infer_remove_drift", "infer_fit_range")


class Predictor(Protocol):
    """Turns a sound into landmarks."""

    def deviations(self, wav: np.ndarray) -> np.ndarray:
        """Return landmark deviations [T,68,3] in cm of a sound [N] at 16 kHz."""
        ...


class LandmarkStream:
    """Absolute landmarks of a sound given piece by piece."""

    def __init__(self, motion: Predictor, person: PersonMotion, store: PersonStore, config: InferConfig) -> None:
        self.motion, self.person, self.store = motion, person, store
        self.blinks = config.infer_inject_eye_blink_mode
        keys = {"infer_inject_eye_blink_mode": "none", **dict.fromkeys(_WHOLE_CLIP, False)}
        self.config = config.model_copy(update=keys)
        self.sound = np.zeros(0, np.float32)
        self.predicted = np.zeros((0, 68, 3), np.float32)
        """Deviations given so far, cm, before filters."""
        self.filtered = np.zeros((0, 68, 3), np.float32)
        """Normalised landmarks given so far, without blinks."""

    def push(self, sound: np.ndarray) -> np.ndarray:
        """Take a piece of sound at 16 kHz [n]; return the landmarks [k,68,3] in cm that became sure, maybe none."""
        self.sound = np.concatenate([self.sound, np.asarray(sound, np.float32)])
        heard = len(self.sound) // SAMPLES_PER_FRAME
        return self._advance(heard, heard - LOOKAHEAD)

    def follow(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the landmarks [k,68,3], k > 0, that each piece of sound and then the end make sure."""
        for piece in pieces:
            if len(fresh := self.push(piece)):
                yield fresh
        if len(fresh := self.finish()):
            yield fresh

    def finish(self) -> np.ndarray:
        """Return the landmarks that are left when the sound has ended."""
        if not len(self.sound):
            return np.zeros((0, 68, 3), np.float32)
        total = frames_of(len(self.sound))
        return self._advance(total, total)

    def _advance(self, heard: int, stop: int) -> np.ndarray:
        done = len(self.predicted)
        if stop <= done:
            return np.zeros((0, 68, 3), np.float32)
        first = max(0, done - _CONTEXT)
        window = self.motion.deviations(self.sound[first * SAMPLES_PER_FRAME : heard * SAMPLES_PER_FRAME])
        past, fresh = self.predicted[first:], window[done - first : heard - first].copy()
        if done:
            fade = np.maximum(0, 1 - np.arange(1, len(fresh) + 1) / (_SEAM + 1))[:, None, None]
            fresh += (past[-1] - window[done - first - 1]) * fade.astype(np.float32)
        number = stop - done
        self.predicted = np.concatenate([self.predicted, fresh[:number]])
        normalized = self._filter(np.concatenate([past, fresh]) / self.store.lm3d_std, first, heard)
        self.filtered = np.concatenate([self.filtered, normalized[done - first : stop - first]])
        shown = self._with_blinks()[done:stop]
        return (shown * self.store.lm3d_std + self.store.lm3d_mean).astype(np.float32)

    def _filter(self, normalized: np.ndarray, first: int, heard: int) -> np.ndarray:
        return apply_filters(
            normalized.astype(np.float32),
            self.person,
            self.config,
            speaking=speech_activity(self.sound, heard)[first:heard],
            path_frames=np.zeros(len(normalized), np.int64),
            seed=self.config.seed,
        )

    def _with_blinks(self) -> np.ndarray:
        """Return all frames so far with blinks; the same ones whatever the pieces, as they are drawn in order."""
        if self.blinks == "none":
            return self.filtered
        if self.blinks == "period":
            return inject_period(self.filtered, self.person.blinks)
        return inject_natural(self.filtered, self.person.blinks, seed=self.config.seed)
