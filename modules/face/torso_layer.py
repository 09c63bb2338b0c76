"""The torso as a layer of its own, continued upwards under the chin so that no hole opens when the head moves."""

from __future__ import annotations

import cv2
import numpy as np

_NECK_ROWS, _SIDE_ROWS = 53 / 512, 8 / 512
_FADE_AT_512 = 0.99
_OPAQUE, _SOLID = 128, 240
_KEPT = 102
"""Alpha from which a pixel keeps its color."""


def torso_layer(frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the torso with neck, uint8 RGBA [H,W,4]; color is 0 where alpha is 0.

    Args:
        frame: RGB, [H,W,3].
        masks: Alpha of head and torso, uint8 [H,W,2].
    """
    alpha = masks[..., 1].copy()
    color = frame.copy()
    painted = paint_under_head(color, masks)
    if painted.any():
        rows = np.flatnonzero(painted.any(axis=1))
        near = slice(max(0, rows[0] - 2), rows[-1] + 3)
        cv2.copyTo(cv2.GaussianBlur(color[near], (5, 5), 0), painted[near].view(np.uint8), color[near])
        alpha[painted] = 255
    return cv2.merge([*cv2.split(cv2.copyTo(color, alpha)), alpha])


def paint_under_head(color: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Continue the torso upwards in ``color`` (in place) in columns where the head sits on it; return where [H,W].

    Color is taken a little below the border, where the chin's shadow and mixed pixels end, and darkens upwards. The
    widest unbroken run of columns under the face is the neck; elsewhere, as beneath hanging hair, a few rows do.
    """
    height, width = masks.shape[:2]
    offset = max(2, round(height * 4 / 512))
    top = _topmost(masks[..., 1] >= _OPAQUE)
    columns = np.arange(width)
    inside = np.clip(top + offset, 0, height - 1)
    covered = (top < height - offset) & (masks[np.clip(top - offset, 0, height - 1), columns, 0] >= _OPAQUE)
    covered &= masks[inside, columns, 1] >= _SOLID
    painted = np.zeros((height, width), bool)
    source = color[inside, columns].astype(np.float32)
    fade = _FADE_AT_512 ** (512 / height)
    for column, rows in rows_to_paint(top, covered, height).items():
        first, last = max(0, top[column] - rows), min(height, top[column] + offset)
        above = np.maximum(top[column] - np.arange(first, last), 0)
        color[first:last, column] = np.round(source[column] * fade ** above[:, None])
        painted[first:last, column] = True
    return painted


def _topmost(mask: np.ndarray) -> np.ndarray:
    """Return the first row set in each column, or the number of rows where none is."""
    return np.where(mask.any(axis=0), mask.argmax(axis=0), len(mask))


def rows_to_paint(top: np.ndarray, covered: np.ndarray, height: int) -> dict[int, int]:
    """Return how many rows to paint above the torso in each covered column: a half ellipse over the neck."""
    columns = np.flatnonzero(covered)
    if len(columns) == 0:
        return {}
    jumps = (np.diff(columns) > 1) | (np.abs(np.diff(top[columns])) > max(3, height // 50))
    runs = np.split(columns, np.flatnonzero(jumps) + 1)
    neck = max(runs, key=len)
    side = round(height * _SIDE_ROWS)
    rows = {int(column): side for column in columns}
    middle, half = 0.5 * (neck[0] + neck[-1]), max(1.0, 0.5 * (neck[-1] - neck[0]))
    for column in neck:
        bow = np.sqrt(max(0.0, 1 - ((column - middle) / half) ** 2))
        rows[int(column)] = round(height * (_SIDE_ROWS + (_NECK_ROWS - _SIDE_ROWS) * bow))
    return rows


def over_background(frame: np.ndarray, masks: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the frame with the background replaced, uint8 [H,W,3]; pixels that are mostly person keep their color."""
    person = cv2.add(masks[..., 0], masks[..., 1])
    picture = cv2.copyTo(frame, person, background.copy())
    border = (person > 0) & (person < _KEPT)
    share = person[border, None].astype(np.float32) / _KEPT
    picture[border] = np.round(frame[border] * share + background[border] * (1 - share)).astype(np.uint8)
    return picture
