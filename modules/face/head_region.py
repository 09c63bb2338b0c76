"""Where the head ends and the torso begins: a line along the jaw, and hair that falls below it.

The line follows the jaw from ear lobe to ear lobe, then runs outwards beside the neck. Above it a person is head, below
it torso, except pixels of the color of the hair that hang together with the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from modules.face.landmarks68 import CHIN, EYE_CORNERS, FACE_OVAL, JAW_LINE

_JAW_ANGLES = (58, 288)
_JAW_MARGIN = 0.02
_BINS = 16
_LONG_HAIR_AREA = 0.04


def above_jaw(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return 1 above the line along the jaw, 0 below, with a soft border of a few pixels, f32 [height,width].

    Args:
        points: Mesh points of one frame in pixels of a picture of this size, [478,2 or more].
        height: Of the map.
        width: Of the map.
    """
    xy = np.asarray(points, np.float64)[:, :2]
    across = xy[EYE_CORNERS[1]] - xy[EYE_CORNERS[0]]
    unit = float(np.linalg.norm(across))
    across = across / unit
    down = np.array([-across[1], across[0]])
    order = list(JAW_LINE)
    first, last = (order.index(vertex) for vertex in _JAW_ANGLES)
    jaw = xy[JAW_LINE[first : last + 1]]
    outward = jaw - xy[FACE_OVAL].mean(axis=0)
    jaw = jaw + _JAW_MARGIN * unit * outward / np.linalg.norm(outward, axis=1, keepdims=True)
    reach = 2.0 * (height + width)
    left, right = jaw[0] - reach * across, jaw[-1] + reach * across
    polygon = np.concatenate([[left - reach * down, left], jaw, [right, right - reach * down]])
    region = np.zeros((height, width), np.uint8)
    cv2.fillPoly(region, [np.round(polygon * 16 - 8).astype(np.int32)], (255,), cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(region, (0, 0), max(0.6, height / 400)).astype(np.float32) / 255


class HairColors:
    """Tells hair from neck and clothes by color and place, learnt from some small frames of the clip.

    Only where the clip shows hair beside the cheeks, down to the line along the jaw, can hair hang below it.
    """

    def __init__(self) -> None:
        self._hair = np.zeros(_BINS**3)
        self._torso = np.zeros(_BINS**3)
        self.is_long = False

    def learn(self, frames: Sequence[np.ndarray], points: Sequence[np.ndarray], persons: Sequence[np.ndarray]) -> None:
        """Learn from small RGB frames, their mesh points [478,2] and alphas of the person."""
        for frame, xy, person in zip(frames, points, persons, strict=True):
            places, bins, solid = _Places(xy, *person.shape), _color_bins(frame), person > 0.9
            self._hair += np.bincount(bins[solid & places.crown], minlength=_BINS**3)
            self._torso += np.bincount(bins[solid & places.chest], minlength=_BINS**3)
        self._hair, self._torso = _smooth_histogram(self._hair), _smooth_histogram(self._torso)
        beside = [self._beside_cheeks(*item) for item in zip(frames, points, persons, strict=True)]
        self.is_long = bool(np.median(beside) > _LONG_HAIR_AREA)

    def _beside_cheeks(self, frame: np.ndarray, points: np.ndarray, person: np.ndarray) -> float:
        """Return the area of hair beside the cheeks, in squares from eyes to chin."""
        places = _Places(points, *person.shape)
        hair = (self._logit(frame) > 0) & (person > 0.5) & places.cheeks
        return float(hair.sum()) / places.unit**2

    def _logit(self, frame: np.ndarray) -> np.ndarray:
        """Return the logarithm of the odds that each pixel's color is hair's rather than the torso's."""
        floor = 0.02 / _BINS**3
        odds = np.log((self._hair + floor) / (self._torso + floor))
        logit: np.ndarray = np.clip(odds, -4, 4)[_color_bins(frame)].astype(np.float32)
        return logit

    def hanging(self, frame: np.ndarray, points: np.ndarray, person: np.ndarray) -> np.ndarray:
        """Return 1 where hair hangs together across the line along the jaw, f32 [H,W], for one small frame."""
        if not self.is_long:
            return np.zeros(person.shape, np.float32)
        places = _Places(points, *person.shape)
        logit = cv2.GaussianBlur(self._logit(frame), (0, 0), 1.0) + places.belief
        hair = ((logit > 0) & (person > 0.4) & ~places.face).astype(np.uint8)
        count, labels = cv2.connectedComponents(cv2.morphologyEx(hair, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
        above = np.bincount(labels[places.above > 0.5], minlength=count)
        below = np.bincount(labels[places.above <= 0.5], minlength=count)
        both = (above > 4) & (below > 0)
        both[0] = False
        head = (both[labels] | (places.above > 0.5)).astype(np.uint8)
        closed = cv2.morphologyEx(head, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
        slivers = (closed > head) & (person > 0.4) & (places.belief > -1)  # between hair and jaw
        return (both[labels] | slivers).astype(np.float32)


def parted(person: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return alpha of head and of torso, uint8 [H,W,2].

    Args:
        person: Alpha of the person, f32 [H,W] in [0,1].
        share: How much of it is head, f32 [H,W] in [0,1].
    """
    whole, head = (cv2.convertScaleAbs(alpha, alpha=255) for alpha in (person, share * person))
    cv2.copyTo(whole, strays(whole - head), head)  # ends of hair and slivers beside the neck
    return cv2.merge([head, whole - head])


def strays(torso: np.ndarray) -> np.ndarray:
    """Return 1 where alpha of the torso, uint8 [H,W], lies apart from its largest part and the lower edge, else 0."""
    solid = (torso >= 128).view(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(solid)
    table = np.zeros(count, np.uint8)
    if count > 1:
        table[1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())] = 1
    table[labels[-1]] = 1
    table[0] = 0
    kept = table[labels] if count > 2 else solid * table[-1]
    reach = 2 * (len(torso) // 64) + 1
    near = cv2.dilate(kept, np.ones((reach, reach), np.uint8)) > 0
    apart = (solid > kept) | ((torso > 0) & ~near)
    return apart.view(np.uint8)


class _Places:
    """Parts of a small picture by where the face is in it."""

    def __init__(self, points: np.ndarray, height: int, width: int) -> None:
        xy = np.asarray(points, np.float64)[:, :2]
        rows, columns = np.mgrid[:height, :width]
        eyes, chin = xy[list(EYE_CORNERS)].mean(axis=0), xy[CHIN]
        self.unit = float(chin[1] - eyes[1])
        """From eyes to chin, pixels."""
        level = xy[list(_JAW_ANGLES), 1].mean()
        side = np.abs(columns - chin[0]) / self.unit
        self.above = above_jaw(xy, height, width)
        self.face = _filled(xy[FACE_OVAL], 1.0, height, width)
        around = _filled(xy[FACE_OVAL], 1.15, height, width)
        self.crown = ~around & (rows < eyes[1])
        self.cheeks = ~around & (rows < level) & (rows > level - 0.35 * self.unit) & (side < 1.5)
        self.chest = (rows > chin[1] + 0.1 * self.unit) & (side < 0.25) | (rows > 0.96 * height)
        depth = (rows - level) / self.unit
        beside = 1.0 - 3.0 * np.clip((depth - 0.6) / 0.9, 0, 1) - 3.0 * np.clip((side - 0.8) / 0.5, 0, 1)
        self.belief = np.where(side < 0.35, -2.0, beside).astype(np.float32)
        """How likely hair is there before looking at colors, logarithm of the odds: beside the neck, not before it."""


def _filled(outline: np.ndarray, scale: float, height: int, width: int) -> np.ndarray:
    middle = outline.mean(axis=0)
    picture = np.zeros((height, width), np.uint8)
    cv2.fillPoly(picture, [np.round(middle + scale * (outline - middle)).astype(np.int32)], (1,))
    return picture.astype(bool)


def _color_bins(frame: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.int32)
    lightness = lab[..., 0] * _BINS // 256
    a, b = (np.clip((lab[..., k] - 128) // 4 + _BINS // 2, 0, _BINS - 1) for k in (1, 2))
    bins: np.ndarray = (lightness * _BINS + a) * _BINS + b
    return bins


def _smooth_histogram(counts: np.ndarray) -> np.ndarray:
    smooth: np.ndarray = gaussian_filter((counts / max(counts.sum(), 1)).reshape([_BINS] * 3), 0.7).ravel()
    return smooth
