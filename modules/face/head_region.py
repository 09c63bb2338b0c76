"""Where the head ends and the torso begins: a line along the jaw, and hair that falls below it.

The line follows the jaw from ear lobe to ear lobe, then runs outwards beside the neck. Above it a person is head, below
it torso, except pixels of the color of the hair that hang together with the head.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from modules.face.landmarks68 import EYE_CORNERS, FACE_OVAL, JAW_LINE

_JAW_ANGLES = (58, 288)
_JAW_MARGIN = 0.02
_BINS = 16
_HAIR_SHARE = 0.85
_MIN_HAIR_BELOW = 0.02


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
    """Tells hair from neck and clothes by color, learnt from some frames of the clip."""

    def __init__(self) -> None:
        self._hair = np.zeros(_BINS**3)
        self._torso = np.zeros(_BINS**3)
        self._is_long = False

    def learn(self, frame: np.ndarray, points: np.ndarray, person: np.ndarray) -> None:
        """Count the colors of one small RGB frame: hair around the face above the ears, torso below the chin."""
        height, width = person.shape
        xy = np.asarray(points, np.float64)[:, :2]
        bins = _color_bins(frame)
        solid = person > 0.9
        eyes_y, chin_y = xy[list(EYE_CORNERS), 1].mean(), xy[152, 1]
        rows = np.arange(height)[:, None]
        face = np.zeros((height, width), np.uint8)
        oval = xy[FACE_OVAL]
        oval = oval + 0.15 * (oval - oval.mean(axis=0))
        cv2.fillPoly(face, [np.round(oval).astype(np.int32)], (1,))
        hair = solid & (face == 0) & (rows < eyes_y)
        columns = np.arange(width)[None]
        below = (rows > chin_y + 0.1 * (chin_y - eyes_y)) & (np.abs(columns - xy[152, 0]) < 0.25 * (chin_y - eyes_y))
        lowest = rows > height * 0.96
        self._hair += np.bincount(bins[hair], minlength=_BINS**3)
        self._torso += np.bincount(bins[solid & (below | lowest)], minlength=_BINS**3)

    def likelihood(self, frame: np.ndarray) -> np.ndarray:
        """Return how surely each pixel has the color of hair rather than of the torso, [H,W] in [0,1]."""
        hair, torso = (_smooth_histogram(counts) for counts in (self._hair, self._torso))
        share = hair / (hair + torso + 0.05 / _BINS**3)
        result: np.ndarray = share[_color_bins(frame)].astype(np.float32)
        return result

    def hanging(self, frame: np.ndarray, person: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Return 1 where hair below the line hangs together with the head, f32 [H,W], for one small frame."""
        share = cv2.GaussianBlur(self.likelihood(frame), (0, 0), 1.2)
        hair = ((share > _HAIR_SHARE) & (person > 0.5)).astype(np.uint8)
        count, labels = cv2.connectedComponents(cv2.morphologyEx(hair, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
        if count < 2:
            return np.zeros(person.shape, np.float32)
        touches = np.bincount(labels[above > 0.5], minlength=count) > 0
        touches[0] = False
        return (touches[labels] & (above < 0.5)).astype(np.float32)


def _color_bins(frame: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.int32)
    lightness = lab[..., 0] * _BINS // 256
    a, b = (np.clip((lab[..., k] - 128) // 4 + _BINS // 2, 0, _BINS - 1) for k in (1, 2))
    bins: np.ndarray = (lightness * _BINS + a) * _BINS + b
    return bins


def _smooth_histogram(counts: np.ndarray) -> np.ndarray:
    smooth: np.ndarray = gaussian_filter((counts / max(counts.sum(), 1)).reshape([_BINS] * 3), 0.7).ravel()
    return smooth
