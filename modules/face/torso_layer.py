"""The torso as a layer of its own, continued upwards under the chin so that no hole opens when the head moves."""

from __future__ import annotations

import cv2
import numpy as np

_NECK_ROWS, _SIDE_ROWS = 53 / 512, 8 / 512
_FADE_AT_512 = 0.99
_OPAQUE = 128


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
        blurred = cv2.GaussianBlur(color, (5, 5), 0)
        color[painted] = blurred[painted]
    alpha[painted] = 255
    color[alpha == 0] = 0
    return np.dstack([color, alpha])


def paint_under_head(color: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Continue the torso upwards in ``color`` (in place) in columns where the head sits on it; return where [H,W].

    Color is taken a little below the border, where the chin's shadow and mixed pixels end, and darkens upwards.
    """
    height, width = masks.shape[:2]
    head, torso = masks[..., 0] >= _OPAQUE, masks[..., 1] >= _OPAQUE
    top = np.where(torso.any(axis=0), torso.argmax(axis=0), height)
    offset = max(2, round(height * 4 / 512))
    columns = np.arange(width)
    covered = (top < height - offset) & head[np.clip(top - offset, 0, height - 1), columns]
    painted = np.zeros((height, width), bool)
    if not covered.any():
        return painted
    reach = neck_profile(np.flatnonzero(covered), height)
    source_row = np.clip(top + offset, 0, height - 1)
    source = color[source_row, columns].astype(np.float32)
    fade = _FADE_AT_512 ** (512 / height)
    for column, rows in zip(np.flatnonzero(covered), reach, strict=True):
        first, last = max(0, top[column] - rows), min(height, top[column] + offset)
        above = np.maximum(top[column] - np.arange(first, last), 0)
        color[first:last, column] = np.round(source[column] * fade ** above[:, None])
        painted[first:last, column] = True
    return painted


def neck_profile(columns: np.ndarray, height: int) -> np.ndarray:
    """Return how many rows to paint in each of the covered ``columns``: a half ellipse, highest in the middle."""
    middle, half = 0.5 * (columns[0] + columns[-1]), max(1.0, 0.5 * (columns[-1] - columns[0]))
    bow = np.sqrt(np.clip(1 - ((columns - middle) / half) ** 2, 0, 1))
    rows: np.ndarray = np.round(height * (_SIDE_ROWS + (_NECK_ROWS - _SIDE_ROWS) * bow)).astype(int)
    return rows


def over_background(frame: np.ndarray, masks: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the frame with the background replaced, uint8 [H,W,3]; pixels that are mostly person keep their color."""
    person = masks.sum(axis=-1, dtype=np.float32) / 255
    share = np.clip(person / 0.4, 0, 1)[..., None]
    return np.round(frame * share + background * (1 - share)).astype(np.uint8)
