"""What post-processing knows of a person: motion, closed mouth, blinks and habits, from training frames alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.blinks import Blinks, find_blinks
from inference.mouth_filters import MouthHabits, mouth_habits
from inference.rest_filters import RestHabits, rest_habits
from inference.voice_activity import speech_activity
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore
from utils.media.audio import load_wav
from utils.metrics.lipsync import lip_opening

_CLOSED_PERCENT = 5.0


@dataclass(frozen=True)
class PersonMotion:
    """What the filters know of a person, from the training frames alone."""

    database: np.ndarray
    """Normalized landmarks of all frames of the clip, [N,68,3] f32."""
    train_frames: np.ndarray
    """Frame numbers with a face in the training part."""
    closed_mouth: np.ndarray
    """Normalized landmarks [68,3] with the lips closed."""
    blinks: Blinks
    habits: MouthHabits
    rest: RestHabits


def person_motion(store: PersonStore) -> PersonMotion:
    """Gather what the filters need of a person."""
    lm3d = np.asarray(store.lm3d, np.float32)
    normalized = store.normalize_lm3d(lm3d).astype(np.float32)
    train = store.indices("train")
    if not len(train):
        raise DataError(f"{store.root} has no training frame with a face; process the video again")
    pieces = contiguous_pieces(train, store.manifest.segments)
    habits = mouth_habits(normalized, pieces, mean=store.lm3d_mean, std=store.lm3d_std)
    return PersonMotion(
        database=normalized,
        train_frames=train,
        closed_mouth=closed_mouth(lm3d[train], normalized[train]),
        blinks=find_blinks(lm3d, normalized, pieces),
        habits=habits,
        rest=rest_habits(lip_opening(lm3d[train]), _silent(store)[train], closed=habits.closed),
    )


def _silent(store: PersonStore) -> np.ndarray:
    """Return whether nobody speaks in each frame, [N] bool; nowhere in a dataset that was imported without sound."""
    if "audio" in store.manifest.absent:
        return np.zeros(len(store), bool)
    return ~speech_activity(load_wav(store.audio_path), len(store))


def contiguous_pieces(frames: np.ndarray, segments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the half-open runs of consecutive frame numbers that no segment border splits."""
    if not len(frames):
        return []
    segment = np.searchsorted([end for _, end in segments], frames, side="right")
    breaks = np.flatnonzero((np.diff(frames) != 1) | (np.diff(segment) != 0)) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(frames, breaks)]


def closed_mouth(lm3d: np.ndarray, normalized: np.ndarray) -> np.ndarray:
    """Return the mean normalized landmarks [68,3] of the twentieth of the frames whose lips are most closed."""
    opening = lip_opening(lm3d)
    return np.asarray(normalized[opening <= np.percentile(opening, _CLOSED_PERCENT)].mean(axis=0))
