"""What is taken out of a batch of rays, or of a frame."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.base_task import Batch


def head_alone(batch: Batch) -> Tensor:
    """Return the true colors [...,3] without torso: the picture, also in the soft border of hair, else the background.

    The head laid over background or torso then gives the true picture again.
    """
    head, torso = batch["masks"].unbind(dim=-1)
    hidden = torch.where(head > 0, torso, 1.0)
    return torch.lerp(batch["gt"], batch["background"], hidden[..., None])


def first_square(pixels: Tensor, num_frames: int, side: int) -> Tensor:
    """Return the first ``side``² pixels of each frame as squares [F,side,side,3], of pixels [F*n,3]."""
    return pixels.view(num_frames, -1, 3)[:, : side**2].view(num_frames, side, side, 3)


def thin_rays(batch: Batch, stride: int) -> Batch:
    """Return the batch with every ``stride``-th ray of each frame."""
    frames = len(batch["c2w"])
    per_frame = len(batch["rows"]) // frames
    keep = torch.arange(len(batch["rows"]), device=batch["rows"].device).view(frames, per_frame)[:, ::stride].flatten()
    return {key: value[keep] if len(value) == frames * per_frame else value for key, value in batch.items()}
