"""A shape that all frames share, found from what the frames show once each one's own unknowns are eliminated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FrameSystem:
    """One frame's values, linear in its own M unknowns and in the K that all frames share. N points."""

    residual: np.ndarray
    """[N] seen minus expected."""
    weights: np.ndarray
    """[N]"""
    own: np.ndarray
    """[N,M] derivatives of the residual."""
    shared: np.ndarray
    """[N,K]"""
    gain: float
    """Of the frame over the common texture."""
    prior: np.ndarray
    """[M,M] information about the frame's own unknowns before looking."""
    moved: np.ndarray
    """[M] how far they are from where that prior has them."""


def shared_step(systems: Sequence[FrameSystem], belief: float, moved: np.ndarray) -> np.ndarray:
    """Return the step [K] of the shared unknowns; what is expected is the mean over the frames, and moves with them.

    Args:
        systems: Of the frames.
        belief: Information that holds each shared unknown near zero.
        moved: How far from zero they are, [K].
    """
    usual = np.mean([system.shared / system.gain for system in systems], axis=0)
    normal = belief * np.eye(len(moved))
    right = -belief * moved
    for system in systems:
        shared = system.shared - system.gain * usual
        own, seen = system.own * system.weights[:, None], shared * system.weights[:, None]
        cross = own.T @ shared
        own_right = -own.T @ system.residual - system.prior @ system.moved
        solved = np.linalg.solve(own.T @ system.own + system.prior, np.column_stack([cross, own_right]))
        normal += seen.T @ shared - cross.T @ solved[:, :-1]
        right += -seen.T @ system.residual - cross.T @ solved[:, -1]
    step: np.ndarray = np.linalg.solve(normal, right)
    return step
