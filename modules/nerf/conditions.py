"""Landmark sequences to the conditions of a field, one rule for training and inference."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from utils.commons.schema import Config
from utils.data.person_store import PersonStore
from utils.data.windows import context_windows, window_indices

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


def landmark_conditions(lm3d: Tensor, mean: Tensor, std: Tensor, *, window: int, smoothing: int) -> Tensor:
    """Return [T,S,W,204]: around every frame S windows of W normalised frames, the edge frame repeated outside.

    Args:
        lm3d: A sequence without cuts, [T,68,3] in cm.
        mean: The person's mean, [68,3].
        std: The person's standard deviation, [68,3].
        window: W, frames of a window.
        smoothing: S, neighbouring windows.
    """
    normal = ((lm3d - mean) / std).flatten(1)
    return context_windows(context_windows(normal, window), smoothing)


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


def speech_conditions(rows: Tensor, *, window: int, smoothing: int) -> Tensor:
    """Return [T,S,W,C]: around every frame S windows of W rows of speech features, the edge repeated outside.

    Args:
        rows: Speech features of a sequence without cuts at 50 Hz, [2T,C].
        window: W, rows of a window; that of frame t begins W//2 rows before row 2t.
        smoothing: S, neighbouring frames.
    """
    centers = 2 * torch.arange(len(rows) // 2)
    return context_windows(rows[window_indices(len(rows), window, center=centers)], smoothing)


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
