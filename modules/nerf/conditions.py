"""Landmark sequences to the conditions of a field, one rule for training and inference."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from utils.commons.schema import Config
from utils.data.person_store import PersonStore
from utils.data.windows import context_windows


class ConditionConfig(Config):
    """What of a frame's surroundings a field is told."""

    cond_dim: int = Field(64, ge=1)
    """Width of the code of a condition."""
    cond_win_size: int = Field(1, ge=1, le=16)
    """Frames of landmarks in a condition window."""
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
