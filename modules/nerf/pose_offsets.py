"""Small rigid corrections of the tracked poses of training frames, learnt with the field and not used at inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.nerf.precision import full_precision


class PoseOffsets(nn.Module):
    """Six numbers a frame: rotation in degrees, translation in millimetres; their mean over frames is taken out."""

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(num_frames, 6))

    @full_precision
    def forward(self, c2w: Tensor, frames: Tensor) -> Tensor:
        """Return corrected cameras [F,4,4] of the tracked ones [F,4,4]; ``frames`` [F] numbers them."""
        vector = self.offsets[frames] - self.offsets.mean(dim=0)
        rotation = torch.matrix_exp(_skew(vector[:, :3] * (torch.pi / 180)))
        corrected_rotation = rotation @ c2w[:, :3, :3]
        position = (rotation @ c2w[:, :3, 3:]) + vector[:, 3:, None] * 1e-3
        return torch.cat([torch.cat([corrected_rotation, position], dim=2), c2w[:, 3:]], dim=1)

    def penalty(self, frames: Tensor) -> Tensor:
        """Return the mean squared correction of ``frames``."""
        return self.offsets[frames].square().mean()


def _skew(vector: Tensor) -> Tensor:
    x, y, z = vector.unbind(dim=-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
