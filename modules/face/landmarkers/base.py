"""What a landmarker gives: one face's mesh in every frame, gaps marked and never shifted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from modules.registry import resolve
from utils.commons.schema import DataError


@dataclass(frozen=True)
class LandmarkTrack:
    """Landmarks of every frame of a clip."""

    points: np.ndarray
    """[T,478,3] f32: x, y in pixels (a pixel's centre at +.5), z on the same scale, negative towards the viewer."""
    valid: np.ndarray
    """[T] bool: a face was found; the points of other frames are interpolated (0 from :meth:`Landmarker.find`)."""
    num_faces: np.ndarray
    """[T] i32: faces seen in this frame; looked at in some frames only, -1 elsewhere."""


class Landmarker(ABC):
    """Follows the main face of a video."""

    @abstractmethod
    def find(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = (), *, warm_up: int = 0) -> LandmarkTrack:
        """Return the landmarks of a part of a clip, where a face is found; may be called from several threads.

        Args:
            frames: RGB. The first ``warm_up`` lie before the part and only get the tracking going.
            cuts: Frame numbers, counted in the part, at which tracking starts anew.
            warm_up: Ten frames make the landmarks those of a run through the whole clip to a tenth of a pixel.
        """

    def track(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = ()) -> LandmarkTrack:
        """Return the landmarks of RGB frames, gaps filled; tracking starts anew at every frame number of ``cuts``."""
        found = self.find(frames, cuts)
        return replace(found, points=fill_gaps(found.points, found.valid))


def build_landmarker(name: str) -> Landmarker:
    """Return the landmarker registered as ``name``."""
    landmarker: Landmarker = resolve("landmarker", name)()
    return landmarker


def fill_gaps(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return ``points`` [T,...] with frames that are not valid interpolated in time; the ends are held.

    Raises:
        DataError: No frame is valid.
    """
    if not valid.any():
        raise DataError(f"no face was found in any of {len(valid)} frames; use a video of one face seen from the front")
    known, gaps = np.flatnonzero(valid), np.flatnonzero(~valid)
    right = np.clip(np.searchsorted(known, gaps), 0, len(known) - 1)
    left = np.clip(right - (known[right] > gaps), 0, None)
    a, b = known[left], known[right]
    share = np.clip((gaps - a) / np.maximum(b - a, 1), 0.0, 1.0).astype(points.dtype)
    share = share.reshape(-1, *[1] * (points.ndim - 1))
    filled = points.copy()
    filled[gaps] = points[a] * (1 - share) + points[b] * share
    return filled
