"""The post-net: a generator that adapts generic lip motion to one person, and its critic (specification 5.3)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from modules.layers.conv import ConvBlock1d
from modules.postnet.ridge import SpeechRidge
from utils.commons.schema import Config

LM3D_DIM = 204
"""68 points, three coordinates each."""
_CRITIC_SLOPES = (0.2, 0.25, 0.25, 0.25)


class PostNetConfig(Config):
    """Shape of the generator."""

    postnet_channels: tuple[int, int] = (128, 256)
    """Widths of the outer and of the middle block."""
    postnet_zero_init: bool = False
    """Let the correction start from zero, so that training begins at the motion it is given."""
    person_ridge_share: float = Field(0.0, ge=0, le=1)
    """Share of a linear speech-to-motion map of this person in what the generator refines; the rest is the generic
    model. 0 is the published post-net. 0.5 helps most where there is little video; 1 forgets other voices."""
    speech_dim: int = Field(0, ge=0)
    """Channels of the speech features; 0 takes the width of the person's."""


class PostNet(nn.Module):
    """Adds a learnt correction to a sequence of landmark deviations; sees seven frames to both sides."""

    config_cls: ClassVar[type[Config]] = PostNetConfig

    def __init__(self, config: PostNetConfig) -> None:
        super().__init__()
        self.config = config
        narrow, wide = config.postnet_channels
        self.block1 = nn.Sequential(
            _block(LM3D_DIM, narrow), _block(narrow, narrow, True), _block(narrow, narrow, True)
        )
        self.block2 = nn.Sequential(_block(narrow, wide), _block(wide, wide, True), _block(wide, wide, True))
        self.block3 = nn.Sequential(_block(wide, narrow), nn.Conv1d(narrow, LM3D_DIM, 1))
        if config.postnet_zero_init:
            for parameter in self.block3[-1].parameters():
                nn.init.zeros_(parameter)
        if config.person_ridge_share:
            self.ridge = SpeechRidge(config.speech_dim, LM3D_DIM)

    def blend(self, x: Tensor, speech: Tensor | None) -> Tensor:
        """Return what the generator starts from: generic motion x [B,T,204] averaged with the person's linear map."""
        share = self.config.person_ridge_share
        if not share:
            return x
        if speech is None:
            raise ValueError("this post-net has a person_ridge_share and needs the speech features")
        return (1 - share) * x + share * self.ridge(speech)

    def forward(self, x: Tensor, y_mask: Tensor | None = None, speech: Tensor | None = None) -> Tensor:
        """Return the person's deviations [B,T,204] in cm for generic ones; padded frames (mask 0) stay zero.

        Args:
            x: Generic deviations, [B,T,204], cm.
            y_mask: 1 = real frame, [B,T]; without it, frames whose absolute sum is zero count as padding.
            speech: Speech features at 50 Hz, [B,2T,C]; only for models with ``person_ridge_share``.
        """
        keep = (x.abs().sum(-1) > 0).to(x.dtype) if y_mask is None else y_mask.to(x.dtype)
        mask = keep[:, None, :]
        x = self.blend(x, speech)
        hidden = x.transpose(1, 2) * mask
        hidden = self.block1(hidden) * mask
        hidden = self.block2(hidden) * mask
        return (x + self.block3(hidden).transpose(1, 2)) * keep[..., None]


def _block(in_channels: int, out_channels: int, residual: bool = False) -> ConvBlock1d:
    return ConvBlock1d(in_channels, out_channels, residual=residual, negative_slope=0.2)


class LandmarkCriticConfig(Config):
    """Shape of the critic."""

    disc_win_frames: int = Field(1, ge=1)
    """Frames the critic sees at once; 1 is the published critic, which judges single frames and knows no motion."""
    disc_channels: tuple[int, int, int, int] = (128, 256, 256, 128)
    """Widths of the hidden layers."""
    disc_dropout: float = Field(0.25, ge=0, lt=1)
    """Dropout behind every hidden layer, active while training."""


class LandmarkCritic(nn.Module):
    """Tells the person's own landmarks from generated ones; about 1 is real, about 0 is generated."""

    config_cls: ClassVar[type[Config]] = LandmarkCriticConfig

    def __init__(self, config: LandmarkCriticConfig) -> None:
        super().__init__()
        self.config = config
        widths = (LM3D_DIM * config.disc_win_frames, *config.disc_channels)
        layers: list[nn.Module] = []
        for before, after, slope in zip(widths[:-1], widths[1:], _CRITIC_SLOPES, strict=True):
            layers += [nn.Linear(before, after), nn.LeakyReLU(slope), nn.Dropout(config.disc_dropout)]
        self.backbone = nn.Sequential(*layers, nn.Linear(widths[-1], 1, bias=False))

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows [N,W,204] (or frames [N,204]) to scores [N,1]."""
        return self.backbone(windows.flatten(1))


def lsgan_generator_loss(fake_scores: Tensor) -> Tensor:
    """Return mean((1 - D(fake))^2)."""
    return F.mse_loss(fake_scores, fake_scores.new_ones(()).expand_as(fake_scores))


def lsgan_critic_loss(fake_scores: Tensor, real_scores: Tensor) -> Tensor:
    """Return mean(D(fake)^2) + mean((D(real) - 1)^2)."""
    return fake_scores.square().mean() + (real_scores - 1).square().mean()
