"""Figures and pictures of whole rendered test frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from modules.losses.image import box_psnr, mse, psnr
from tasks.base_task import Batch, Media

_STRIP_HEIGHT = 96


def frame_metrics(picture: Tensor, target: Tensor, batch: Batch) -> dict[str, float]:
    """Return psnr of a frame [H,W,3], of the head's box, of the lips' and of the eyes', and the squared error."""
    boxes = {"psnr_head": "head_rect", "psnr_lip": "lip_rect", "psnr_eye": "eye_rect"}
    return {
        "val_loss": float(mse(picture, target)),
        "psnr": psnr(picture, target),
        **{name: box_psnr(picture, target, _box(batch[key])) for name, key in boxes.items()},
    }


def _box(rect: Tensor) -> tuple[int, int, int, int]:
    x, y, width, height = (int(value) for value in rect.tolist())
    return x, y, width, height


def crop_row(picture: Tensor, target: Tensor, rect: Tensor) -> Tensor:
    """Return truth and rendering of a box side by side at a fixed height, [h,w,3]."""
    x, y, width, height = _box(rect)
    crops = torch.cat([image[max(y, 0) : y + height, max(x, 0) : x + width] for image in (target, picture)], dim=1)
    scale = _STRIP_HEIGHT / crops.shape[0]
    size = (_STRIP_HEIGHT, max(1, round(crops.shape[1] * scale)))
    enlarged = F.interpolate(crops.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=False)
    return enlarged[0].permute(1, 2, 0)


def comparison(pairs: Sequence[tuple[Tensor, Tensor, Batch]]) -> list[Media]:
    """Return pictures for TensorBoard of (rendering, truth, batch): whole frames, and enlarged mouths and eyes."""
    if not pairs:
        return []
    whole = torch.cat([torch.cat([target, picture], dim=1) for picture, target, _ in pairs])
    media = [Media("truth_and_render", "image", whole)]
    for name in ("lip", "eye"):
        rows = [crop_row(picture, target, batch[f"{name}_rect"]) for picture, target, batch in pairs]
        width = max(row.shape[1] for row in rows)
        strip = torch.cat([F.pad(row, (0, 0, 0, width - row.shape[1])) for row in rows])
        media.append(Media(f"{name}s_truth_and_render", "image", strip))
    return media
