"""Torso and neck as one learnt picture, warped by a coarse grid that follows the head's pose.

Picture positions are in [-1,1], x to the right and y down, so any picture size can be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from modules.nerf.precision import full_precision
from modules.nerf.triplane import read_frames
from utils.commons.schema import Config

_MAX_SHIFT = 0.15
_TEXTURE_SIZE = 256


class TorsoConfig(Config):
    """What a torso is made of."""

    torso_grid_size: int = Field(32, ge=2)
    """Nodes of the warp grid along each side."""
    torso_texture_size: int = Field(0, ge=0)
    """Pixels of the learnt picture along each side; 0 = as high as the person's pictures (256 without a person)."""
    torso_hidden_size: int = Field(64, ge=1)
    """Width of the network from pose to warp."""
    torso_shades: int = Field(4, ge=0)
    """Small pictures added with weights that follow the pose (shadows, folds); 0 = none."""
    torso_shade_size: int = Field(64, ge=2)
    """Pixels of these along each side."""


@dataclass(frozen=True)
class TorsoState:
    """A torso in F frames."""

    warp: Tensor
    """[F,2,G,G] shifts in picture units."""
    warps: Sequence[Tensor]
    """The same by frame, [1,2,G,G] each."""
    textures: Sequence[Tensor]
    """[1,4,S,S] each: color and opacity before the sigmoid."""


class TorsoField(nn.Module):
    """Color and opacity of the torso layer at picture positions."""

    config_cls: ClassVar[type[Config]] = TorsoConfig
    pose_mean: Tensor
    pose_std: Tensor
    nodes: Tensor

    def __init__(self, config: TorsoConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("pose_mean", torch.zeros(6))
        self.register_buffer("pose_std", torch.ones(6))
        size, grid, hidden = (
            config.torso_texture_size or _TEXTURE_SIZE,
            config.torso_grid_size,
            config.torso_hidden_size,
        )
        self.texture = nn.Parameter(torch.zeros(1, 4, size, size))
        self.pose_net = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.warp_head = nn.Linear(hidden, 2 * grid * grid)
        self.shade_head = nn.Linear(hidden, config.torso_shades) if config.torso_shades else None
        shade = (config.torso_shades, 4, config.torso_shade_size, config.torso_shade_size)
        self.shades = nn.Parameter(torch.zeros(shade))
        self.affine_head = nn.Linear(6, 6)
        line = torch.linspace(-1, 1, grid)
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        self.register_buffer("nodes", torch.stack([columns, rows, torch.ones_like(rows)]).view(3, -1), persistent=False)
        for layer in (self.warp_head, self.affine_head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def fit_person(self, poses: Tensor, layer: Tensor) -> None:
        """Take the training poses [T,6] and a torso layer [4,H,W] to begin with (RGBA in [0,1], not premultiplied)."""
        self.pose_mean.copy_(poses.mean(dim=0))
        self.pose_std.copy_(poses.std(dim=0, unbiased=False).clamp(min=1e-4))
        size = self.texture.shape[-1]
        layer = F.interpolate(layer[None], (size, size), mode="bilinear", align_corners=False, antialias=True)
        with torch.no_grad():
            self.texture.copy_(torch.logit(layer.clamp(0.01, 0.99)))

    @full_precision
    def frame(self, poses: Tensor) -> TorsoState:
        """Return warp and texture of each frame for poses [F,6] as :func:`pose_vector` gives them."""
        normal = ((poses - self.pose_mean) / self.pose_std).clamp(-3, 3)
        hidden = self.pose_net(normal)
        grid = self.config.torso_grid_size
        bend = _MAX_SHIFT * torch.tanh(self.warp_head(hidden)).view(-1, 2, grid, grid)
        shift = (self.affine_head(normal).view(-1, 2, 3) @ self.nodes).view(-1, 2, grid, grid)
        warps = shift + bend
        textures = self.texture.expand(len(poses), -1, -1, -1)
        if self.shade_head is not None:
            weights = self.shade_head(hidden)
            shade = (weights @ self.shades.flatten(1)).view(len(poses), 4, *self.shades.shape[2:])
            textures = textures + F.interpolate(shade, textures.shape[2:], mode="bilinear", align_corners=True)
        return TorsoState(warps, warps.split(1), textures.split(1))

    def draw(self, positions: Tensor, state: TorsoState, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return premultiplied color [N,3] and opacity [N] at picture positions [N,2], contiguous by frame."""
        source = positions + read_frames(state.warps, positions, counts).t()
        raw = read_frames(state.textures, source, counts).t()
        alpha = torch.sigmoid(raw[:, 3])
        return torch.sigmoid(raw[:, :3]) * alpha[:, None], alpha


@full_precision
def pose_vector(c2w: Tensor) -> Tensor:
    """Return the head's pose as six numbers, [...,6]: extrinsic xyz angles of c2w [...,4,4], then its place.

    That is (x/z, y/z, log z) of the head's origin before the camera. A torso follows it almost linearly, whereas the
    camera's place in head coordinates mixes in the rotation.
    """
    rotation = c2w[..., :3, :3]
    x = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    y = torch.asin((-rotation[..., 2, 0]).clamp(-1, 1))
    z = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    head = -(rotation.transpose(-1, -2) @ c2w[..., :3, 3:])[..., 0]
    depth = (-head[..., 2]).clamp(min=1e-3)
    return torch.stack([x, y, z, head[..., 0] / depth, head[..., 1] / depth, depth.log()], dim=-1)


def picture_positions(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Return pixel centers as picture positions [N,2] (x, y)."""
    x = (columns.float() + 0.5) * (2.0 / width) - 1.0
    y = (rows.float() + 0.5) * (2.0 / height) - 1.0
    return torch.stack([x, y], dim=-1)
