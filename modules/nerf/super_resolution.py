"""A head drawn at half the size and brought to full size by a small network that knows the person.

The picture is enlarged by interpolation and the network adds what is missing: three convolutions at the small size, the
last of which gives the four pixels of each small one. Colors are multiplied by opacity.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from utils.commons.schema import Config
from utils.geometry.cameras import Intrinsics

TIERS = {"full": 1, "fast": 2, "preview": 4}
"""How many times smaller than the picture the head is drawn."""
FACTOR = 2


class SuperResolutionConfig(Config):
    """What the network is made of."""

    sr_channels: int = Field(32, ge=1, le=64)
    """Features between its convolutions."""


class SuperResolution(nn.Module):
    """Twice the height and width of color times opacity and opacity."""

    config_cls: ClassVar[type[Config]] = SuperResolutionConfig

    def __init__(self, config: SuperResolutionConfig) -> None:
        super().__init__()
        self.config = config
        widths = (4, config.sr_channels, config.sr_channels, 4 * FACTOR**2)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths))
        for parameter in self.convs[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, small: Tensor) -> Tensor:
        """Return [N,4,2h,2w] of pictures [N,4,h,w]; nothing is added where no pixel around shows the head."""
        seen = F.max_pool2d(small[:, 3:], 3, stride=1, padding=1) > 0
        features = small
        for conv in self.convs[:-1]:
            features = F.relu(conv(features))
        detail = F.pixel_shuffle(self.convs[-1](features).float() * seen, FACTOR)
        return torch.clamp(enlarge(small, FACTOR) + detail, 0, 1)


def enlarge(small: Tensor, factor: int) -> Tensor:
    """Return pictures [N,C,h,w] interpolated to ``factor`` times the size."""
    return F.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)


def shrunk(camera: Intrinsics, factor: int) -> Intrinsics:
    """Return the camera whose pixels each stand for ``factor`` x ``factor`` ones of ``camera``."""
    return Intrinsics(
        camera.focal / factor,
        camera.cx / factor,
        camera.cy / factor,
        -(-camera.height // factor),
        -(-camera.width // factor),
    )
