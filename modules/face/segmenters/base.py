"""What a segmenter gives: how much of each pixel is head (face, hair, ears) and how much torso (neck, clothes)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from modules.registry import resolve


class Segmenter(Protocol):
    """Separates head, torso and background in the frames of one clip; ``masks`` may be called from several threads."""

    def learn(self, frames: Iterable[np.ndarray], points: np.ndarray) -> None:
        """Look at a few frames spread over the clip, with their mesh points [N,478,3], before :meth:`masks`."""
        ...

    def masks(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return alpha of head and of torso, uint8 [H,W,2], of one RGB frame; what is left to 255 is background.

        Args:
            frame: RGB, uint8 [H,W,3].
            points: Mesh points in pixels, [478,3].
        """
        ...


def build_segmenter(name: str, weights: str = "") -> Segmenter:
    """Return a new segmenter registered as ``name``; ``weights`` is the file of those that need one."""
    cls = resolve("segmenter", name)
    segmenter: Segmenter = cls(weights) if weights else cls()
    return segmenter
