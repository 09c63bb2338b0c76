"""Cuts in footage: where the face jumps and the picture changes at once, and the segments between.

Both changes are measured against their own neighbourhood in time, so a jump cut within one scene, where colors and
background stay the same, is found as well as a change of the shot.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import numpy as np

from modules.face.landmarks68 import EYE_CORNERS

MIN_SEGMENT_FRAMES = 10
_REACH = 8
_MIN_RATIO, _MIN_PRODUCT = 2.4, 9.5
_SURE_RATIO, _SURE_CHANGE = 6.0, 25.0


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """Return a 32x32 picture of an RGB frame, float32."""
    return cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)


def find_cuts(points: np.ndarray, thumbnails: np.ndarray) -> list[int]:
    """Return the frames that begin a new shot or follow a jump cut.

    Args:
        points: Mesh points in pixels, [T,478,3].
        thumbnails: Small RGB pictures of the frames, 0-255, [T,h,w,3].
    """
    if len(points) < 2:
        return []
    left, right = (points[:, vertex, :2] for vertex in EYE_CORNERS)
    unit = max(float(np.median(np.linalg.norm(right - left, axis=1))), 1.0)
    jump = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1).mean(axis=1) / unit
    change = np.abs(np.diff(thumbnails, axis=0)).mean(axis=(1, 2, 3))
    jump_ratio, change_ratio = _over_neighbours(jump, 0.004), _over_neighbours(change, 0.3)
    together = (np.minimum(jump_ratio, change_ratio) > _MIN_RATIO) & (jump_ratio * change_ratio > _MIN_PRODUCT)
    alone = (change_ratio > _SURE_RATIO) & (change > _SURE_CHANGE)
    return [int(frame) + 1 for frame in np.flatnonzero(together | alone)]


def _over_neighbours(values: np.ndarray, floor: float) -> np.ndarray:
    """Return each value over the second largest of those around it."""
    ratios = np.empty(len(values))
    for i, value in enumerate(values):
        around = np.sort(np.concatenate([values[max(0, i - _REACH) : i], values[i + 1 : i + 1 + _REACH]]))
        ratios[i] = value / max(floor, around[-2] if len(around) > 1 else floor)
    return ratios


def segments_of(cuts: Iterable[int], num_frames: int) -> list[tuple[int, int]]:
    """Return the half-open ranges between ``cuts``; together they cover all frames in order."""
    inner = sorted({int(cut) for cut in cuts if 0 < cut < num_frames})
    return list(itertools.pairwise([0, *inner, num_frames]))


def long_enough(segments: Iterable[tuple[int, int]], num_frames: int, minimum: int = MIN_SEGMENT_FRAMES) -> np.ndarray:
    """Return [T] bool: the frame lies in a segment of at least ``minimum`` frames (shorter ones are of no use)."""
    usable = np.zeros(num_frames, bool)
    for start, end in segments:
        usable[start:end] = end - start >= minimum
    return usable
