"""How near a picture is to the true one. Pictures: RGB [H,W,3], uint8 or float in [0,1]; boxes: (x, y, w, h)."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

Box = tuple[int, int, int, int]
_LEAST_ERROR = 1e-10
"""Equal pictures score 100 dB instead of infinity, so that means stay finite."""


def psnr(generated: np.ndarray, true: np.ndarray) -> float:
    """Return -10 log10 of the mean squared error in dB."""
    error = np.mean((_unit(generated) - _unit(true)) ** 2)
    return float(-10 * np.log10(max(error, _LEAST_ERROR)))


def psnr_box(generated: np.ndarray, true: np.ndarray, box: Box) -> float:
    """Return :func:`psnr` inside one box; NaN where the box lies outside the picture."""
    rows, columns = _slices(box, true.shape)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return float("nan")
    return psnr(generated[rows, columns], true[rows, columns])


def psnr_head(generated: np.ndarray, true: np.ndarray, head_alpha: np.ndarray) -> float:
    """Return :func:`psnr` inside the bounding box of the head mask [H,W] uint8; NaN without a head."""
    return psnr_box(generated, true, mask_box(head_alpha))


def mask_box(alpha: np.ndarray) -> Box:
    """Return the bounding box of the pixels [H,W] above one half; (0, 0, 0, 0) when there is none."""
    rows, columns = np.nonzero(alpha > (127 if alpha.dtype == np.uint8 else 0.5))
    if not len(rows):
        return 0, 0, 0, 0
    x, y = int(columns.min()), int(rows.min())
    return x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1


def ssim(generated: np.ndarray, true: np.ndarray) -> float:
    """Return the structural similarity in [-1, 1] with a Gaussian window of sigma 1.5."""
    return float(
        structural_similarity(
            _unit(generated), _unit(true), data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5
        )
    )


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64) / 255 if picture.dtype == np.uint8 else np.asarray(picture, np.float64)


def _slices(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x, y, width, height = (int(value) for value in box)
    return slice(max(y, 0), min(y + height, shape[0])), slice(max(x, 0), min(x + width, shape[1]))
