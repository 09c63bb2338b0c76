"""How much a video flickers: what changes from frame to frame beyond steady motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

_KERNEL = np.ones((3, 3), np.uint8)


@dataclass
class Flicker:
    """Running mean absolute second difference in time of pixels inside regions, in 8-bit levels.

    A pixel counts where its region holds in three frames running, eroded by a pixel so that outlines do not; a cut
    begins anew. A still or steadily brightening picture scores 0. True video has camera noise and uneven motion, so
    its own figure belongs beside that of a generated one.
    """

    _frames: list[tuple[np.ndarray, dict[str, np.ndarray]]] = field(default_factory=list)
    _values: dict[str, list[float]] = field(default_factory=dict)

    def cut(self) -> None:
        """Say that the next frame does not follow from the one before."""
        self._frames.clear()

    def add(self, picture: np.ndarray, regions: Mapping[str, np.ndarray]) -> None:
        """Take a frame uint8 [H,W,3] with its regions, bool [H,W] by name."""
        inside = {name: cv2.erode(mask.astype(np.uint8), _KERNEL).astype(bool) for name, mask in regions.items()}
        self._frames = [*self._frames[-2:], (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.int16), inside)]
        if len(self._frames) < 3:
            return
        pictures = [frame for frame, _ in self._frames]
        change = np.abs(pictures[0] - 2 * pictures[1] + pictures[2])
        for name in regions:
            mask = np.logical_and.reduce([masks[name] for _, masks in self._frames])
            if mask.any():
                self._values.setdefault(name, []).append(float(change[mask].mean()))

    def row(self) -> dict[str, float]:
        """Return ``flicker_<region>``, the mean over frames."""
        return {f"flicker_{name}": float(np.mean(values)) for name, values in self._values.items()}
