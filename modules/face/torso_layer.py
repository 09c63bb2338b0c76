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
    alpha = cv2.extractChannel(masks, 1)
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
    head, torso = cv2.split(masks)
    top = _topmost(torso >= _OPAQUE)
    columns = np.arange(width)
    inside = np.clip(top + offset, 0, height - 1)
    covered = (top < height - offset) & (head[np.clip(top - offset, 0, height - 1), columns] >= _OPAQUE)
    covered &= torso[inside, columns] >= _SOLID
    where, above = rows_to_paint(top, covered, height)
    first = np.maximum(0, top[where] - above)
    rows, where = _runs(first, np.minimum(height, top[where] + offset), where)
    fade = (_FADE_AT_512 ** (512 / height)) ** np.arange(height + 1)
    source = color[inside[where], where].astype(np.float32)
    color[rows, where] = np.round(source * fade[np.maximum(top[where] - rows, 0)][:, None])
    painted = np.zeros((height, width), bool)
    painted[rows, where] = True
    return painted


def _runs(first: np.ndarray, last: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of every pixel of vertical runs, rows ``first`` [N] up to before ``last`` [N]."""
    lengths = last - first
    begins = np.cumsum(lengths) - lengths
    rows = np.arange(lengths.sum()) - np.repeat(begins - first, lengths)
    return rows, np.repeat(columns, lengths)


def _topmost(mask: np.ndarray) -> np.ndarray:
    """Return the first row set in each column, or the number of rows where none is."""
    first = mask.argmax(axis=0)
    return np.where(mask[first, np.arange(mask.shape[1])], first, len(mask))


def rows_to_paint(top: np.ndarray, covered: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the covered columns and how many rows to paint above the torso in each: a half ellipse over the neck."""
    columns = np.flatnonzero(covered)
    rows = np.full(len(columns), round(height * _SIDE_ROWS))
    if len(columns) == 0:
        return columns, rows
    jumps = (np.diff(columns) > 1) | (np.abs(np.diff(top[columns])) > max(3, height // 50))
    runs = np.split(columns, np.flatnonzero(jumps) + 1)
    neck = max(runs, key=len)
    middle, half = 0.5 * (neck[0] + neck[-1]), max(1.0, 0.5 * (neck[-1] - neck[0]))
    bow = np.sqrt(np.maximum(0.0, 1 - ((neck - middle) / half) ** 2))
    rows[np.searchsorted(columns, neck)] = np.rint(height * (_SIDE_ROWS + (_NECK_ROWS - _SIDE_ROWS) * bow))
    return columns, rows


def over_background(frame: np.ndarray, masks: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the frame with the background replaced, uint8 [H,W,3]; pixels that are mostly person keep their color."""
    head, body = cv2.split(masks)
    person = cv2.add(head, body)
    picture = cv2.copyTo(frame, person, background.copy())
    border = np.flatnonzero((person > 0) & (person < _KEPT))
    share = person.ravel()[border, None].astype(np.float32) / _KEPT
    near, behind = (layer.reshape(-1, 3)[border] for layer in (frame, background))
    picture.reshape(-1, 3)[border] = np.round(near * share + behind * (1 - share))
    return picture
