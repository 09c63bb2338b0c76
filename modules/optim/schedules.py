"""Learning-rate schedules: functions of (step, progress) that give a factor on the base rate."""

from __future__ import annotations

import functools
import math
from typing import Literal


def warmup_factor(step: int, warmup_updates: int) -> float:
    """Return a factor that rises linearly from near 0 to 1 over the first updates."""
    return min(1.0, (step + 1) / (warmup_updates + 1))


def scheduled_factor(
    step: int,
    progress: float,
    *,
    kind: Literal["constant", "cosine", "exponential"],
    warmup_updates: int,
    decay_steps: int,
) -> float:
    """Return the factor of one step.

    Args:
        step: Number of the update.
        progress: Share of the training that is done, in [0,1].
        kind: ``cosine`` falls to 0 with progress, ``exponential`` by a tenth every ``decay_steps``.
        warmup_updates: Updates over which the rate rises from 0.
        decay_steps: See ``kind``.
    """
    factor = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * min(1.0, progress))),
        "exponential": 0.1 ** (step / decay_steps),
    }[kind]
    return factor * warmup_factor(step, warmup_updates)


def schedule(
    kind: Literal["constant", "cosine", "exponential"], *, warmup_updates: int = 0, decay_steps: int = 250_000
) -> functools.partial[float]:
    """Return :func:`scheduled_factor` with its settings bound."""
    return functools.partial(scheduled_factor, kind=kind, warmup_updates=warmup_updates, decay_steps=decay_steps)
