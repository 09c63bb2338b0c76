"""The picture behind the person: the median of what was seen there, in-painted where nothing ever was."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

MAX_SAMPLES = 64
_MARGIN_SHARE = 0.015
_BAND_ROWS = 32


def clean_background(frames: Iterable[np.ndarray], person: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the background uint8 [H,W,3] and where it was seen, bool [H,W].

    Args:
        frames: A few dozen RGB frames spread over the clip; all are held in memory.
        person: Their alpha of the person, uint8 [H,W].
    """
    pictures, free = [], []
    for frame, alpha in zip(frames, person, strict=True):
        margin = max(2, round(_MARGIN_SHARE * frame.shape[0]))
        near = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1)))
        pictures.append(frame)
        free.append(near < 26)
    background, seen = masked_median(np.stack(pictures), np.stack(free))
    return fill_holes(background, seen), seen


def masked_median(pictures: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median color [H,W,3] over the pictures [N,H,W,3] that are ``free`` [N,H,W] there, and where any is."""
    seen = free.any(axis=0)
    median = np.zeros(pictures.shape[1:], np.uint8)
    for top in range(0, pictures.shape[1], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        band = np.where(free[:, rows, :, None], pictures[:, rows].astype(np.float32), np.inf)
        band.sort(axis=0)
        middle = np.maximum(free[:, rows].sum(axis=0) - 1, 0) // 2
        values = np.take_along_axis(band, middle[None, :, :, None], axis=0)[0]
        median[rows] = np.where(seen[rows, :, None], values, 0).astype(np.uint8)
    return median, seen


def fill_holes(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``picture`` [H,W,3] with pixels not ``known`` [H,W] filled smoothly from those around (push-pull)."""
    if known.all() or not known.any():
        return picture
    weight = known.astype(np.float32)
    filled = _push_pull(picture.astype(np.float32) * weight[..., None], weight)
    result = picture.copy()
    result[~known] = np.clip(np.round(filled[~known]), 0, 255).astype(np.uint8)
    return result


def _push_pull(color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the full-cover picture of weighted colors [H,W,3] by averaging down and interpolating up."""
    height, width = weight.shape
    own = color / np.maximum(weight, 1e-6)[..., None]
    if min(height, width) <= 2 or weight.min() >= 1:
        total = max(float(weight.sum()), 1e-6)
        return np.where(weight[..., None] > 0, own, color.sum(axis=(0, 1)) / total)
    size = (-(-width // 2), -(-height // 2))
    coarse = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    coarse_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    gain = np.minimum(1.0, 4 * coarse_weight) / np.maximum(coarse_weight, 1e-6)
    below = _push_pull(coarse * gain[..., None], coarse_weight * gain)
    around = cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(weight, 0, 1)[..., None]
    return own * share + around * (1 - share)
