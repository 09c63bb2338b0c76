"""Landmark sequences to the conditions of a field, one rule for training and inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from utils.commons.schema import Config
from utils.data.person_store import PersonStore
from utils.data.windows import window_indices

LM3D_DIM = 204


class ConditionConfig(Config):
    """What of a frame's surroundings a field is told."""

    cond_type: Literal["lm3d", "speech"] = "lm3d"
    """What drives the head: normalised landmarks, or speech features straight into the field (AD-NeRF)."""
    cond_speech: Literal["speech", "deepspeech"] = "speech"
    """Which speech features such a field is told: the dataset's own, or the DeepSpeech rows of an imported one."""
    cond_in_dim: int = Field(LM3D_DIM, ge=1)
    """Channels of a row of the condition: 204 of landmarks; a head that hears speech takes those of the dataset."""
    cond_dim: int = Field(64, ge=1)
    """Width of the code of a condition."""
    cond_win_size: int = Field(1, ge=1, le=16)
    """Frames of landmarks in a condition window, or rows of speech features (two a frame)."""
    smo_win_size: int = Field(5, ge=1)
    """Neighbouring windows the smoothing attention looks at."""
    with_att: bool = False
    """Smooth the code over ``smo_win_size`` frames by attention."""


@dataclass(frozen=True)
class Conditions:
    """The condition [S,W,C] of each of T frames, put together when asked for: a long video needs its rows only."""

    rows: Tensor
    """[T*rows_per_frame,C] of a sequence without cuts."""
    window: int
    """W, rows around a frame; those of frame t begin W//2 rows before its first."""
    smoothing: int
    """S, neighbouring frames whose windows are wanted."""
    rows_per_frame: int = 1

    def __len__(self) -> int:
        return len(self.rows) // self.rows_per_frame

    def __getitem__(self, t: int) -> Tensor:
        """Return the condition of frame ``t``; outside the sequence the edge is repeated."""
        if not 0 <= t < len(self):
            raise IndexError(f"frame {t} of {len(self)}")
        near = window_indices(len(self), self.smoothing, center=torch.tensor([t]))[0]
        index = window_indices(len(self.rows), self.window, center=self.rows_per_frame * near)
        return self.rows[index.to(self.rows.device)]


def landmark_conditions(lm3d: Tensor, mean: Tensor, std: Tensor, *, window: int, smoothing: int) -> Conditions:
    """Return the conditions [S,W,204] of T frames: S windows of W normalised frames, the edge frame repeated outside.

    Args:
        lm3d: A sequence without cuts, [T,68,3] in cm.
        mean: The person's mean, [68,3].
        std: The person's standard deviation, [68,3].
        window: W, frames of a window.
        smoothing: S, neighbouring windows.
    """
    return Conditions(((lm3d - mean) / std).flatten(1), window, smoothing)


def stored_condition(store: PersonStore, frame: int, *, window: int, smoothing: int) -> Tensor:
    """Return the condition [S,W,204] of one frame of a person's dataset; windows do not cross cuts."""
    start, end = next((a, b) for a, b in store.manifest.segments if a <= frame < b)
    halo = window + smoothing
    first = max(start, frame - halo)
    lm3d = torch.from_numpy(store.lm3d[first : min(end, frame + halo + 1)].copy())
    mean, std = torch.from_numpy(store.lm3d_mean), torch.from_numpy(store.lm3d_std)
    return landmark_conditions(lm3d, mean, std, window=window, smoothing=smoothing)[frame - first]


def head_condition(store: PersonStore, frame: int, config: ConditionConfig) -> Tensor:
    """Return the condition [S,W,C] of one frame of a person's dataset, landmarks or speech as the head asks for."""
    sizes = {"window": config.cond_win_size, "smoothing": config.smo_win_size}
    if config.cond_type == "speech":
        return stored_speech_condition(store, frame, config.cond_speech, **sizes)
    return stored_condition(store, frame, **sizes)


def speech_conditions(rows: Tensor, *, window: int, smoothing: int) -> Conditions:
    """Return the conditions [S,W,C] of T frames: S windows of W rows of speech features, the edge repeated outside.

    Args:
        rows: Speech features of a sequence without cuts at 50 Hz, [2T,C].
        window: W, rows of a window; that of frame t begins W//2 rows before row 2t.
        smoothing: S, neighbouring frames.
    """
    return Conditions(rows, window, smoothing, rows_per_frame=2)


def stored_rows(store: PersonStore, kind: str) -> np.ndarray:
    """Return the speech features [2T,C] of a person's clip: ``speech``, or ``deepspeech`` of imported ones."""
    return store.deepspeech if kind == "deepspeech" else store.speech


def condition_width(store: PersonStore, config: ConditionConfig) -> int:
    """Return the channels of a row of what a person's head is told."""
    return stored_rows(store, config.cond_speech).shape[1] if config.cond_type == "speech" else LM3D_DIM


def stored_speech_condition(store: PersonStore, frame: int, kind: str, *, window: int, smoothing: int) -> Tensor:
    """Return the speech condition [S,W,C] of one frame of a person's dataset; windows do not cross cuts."""
    start, end = next((a, b) for a, b in store.manifest.segments if a <= frame < b)
    halo = window + smoothing
    first = max(start, frame - halo)
    rows = np.array(stored_rows(store, kind)[2 * first : 2 * min(end, frame + halo + 1)], np.float32)
    return speech_conditions(torch.from_numpy(rows), window=window, smoothing=smoothing)[frame - first]
