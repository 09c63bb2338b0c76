"""SyncNet: do these speech features belong to these lips (specification 5.2)?

Two convolutional encoders give unit vectors whose cosine lies in [0,1] and is read as a probability. In the published
form, the default, no component is negative and a window is averaged over time at the end; ``frames`` compares the two
windows frame by frame (:mod:`modules.syncnet.frames`). The published widths and a window of 5 frames are the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from modules.layers.conv import ConvBlock1d
from modules.syncnet.frames import FrameEncoder, frame_embedding
from utils.commons.schema import Config

MOUTH_DIM = 60
"""The 20 mouth points of the 68, three coordinates each."""


class SyncNetConfig(Config):
    """Shape of SyncNet."""

    speech_dim: int = Field(0, ge=0)
    """Channels of the speech features; 0 takes the width of the corpus."""
    sync_win_frames: int = Field(5, ge=5)
    """Video frames in one window; twice as many speech frames. 25 separates far better than the published 5."""
    syncnet_embedding: Literal["average", "frames"] = "average"
    """``average``: one vector for the whole window, as published; ``frames``: one a video frame, compared frame by
    frame, which few training persons suffice for."""
    syncnet_frame_width: int = Field(64, ge=1)
    """Width of the hidden layers of both encoders, where ``syncnet_embedding`` is ``frames``."""
    syncnet_frame_dims: int = Field(16, ge=1)
    """Numbers in which a frame of speech and one of lips are compared, where ``syncnet_embedding`` is ``frames``."""
    syncnet_audio_channels: tuple[int, int, int] = (128, 256, 512)
    """Widths of the three stages of the speech encoder."""
    syncnet_mouth_channels: tuple[int, int, int, int] = (96, 128, 256, 512)
    """Widths of the four stages of the mouth encoder; the last equals the speech encoder's last."""
    syncnet_res_blocks: int = Field(2, ge=0)
    """Residual blocks in each stage."""
    syncnet_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of input channels dropped while training, for both encoders."""


class SyncNet(nn.Module):
    """Embeds speech windows and mouth windows in one space."""

    config_cls: ClassVar[type[Config]] = SyncNetConfig

    def __init__(self, config: SyncNetConfig) -> None:
        super().__init__()
        self.config = config
        self.hubert_encoder: nn.Module
        self.mouth_encoder: nn.Module
        if config.syncnet_embedding == "frames":
            width, dims = config.syncnet_frame_width, config.syncnet_frame_dims
            dropout = config.syncnet_dropout
            self.hubert_encoder = FrameEncoder(config.speech_dim, width, dims, rows_per_frame=2, dropout=dropout)
            self.mouth_encoder = FrameEncoder(MOUTH_DIM, width, dims, rows_per_frame=1, dropout=dropout)
        else:
            self.hubert_encoder = nn.Sequential(*_audio_blocks(config))
            self.mouth_encoder = nn.Sequential(*_mouth_blocks(config))
        self.dropout = nn.Dropout1d(config.syncnet_dropout)

    def embed_speech(self, speech: Tensor) -> Tensor:
        """Map speech windows [N,2W,C] to unit vectors [N,E]."""
        return self._embed(self.hubert_encoder, speech)

    def embed_mouth(self, mouth: Tensor) -> Tensor:
        """Map mouth windows [N,W,60], deviations in cm, to unit vectors [N,E]."""
        return self._embed(self.mouth_encoder, mouth)

    def forward(self, speech: Tensor, mouth: Tensor) -> Tensor:
        """Return the cosine [N] in [0,1] of speech windows [N,2W,C] and mouth windows [N,W,60]."""
        return (self.embed_speech(speech) * self.embed_mouth(mouth)).sum(1)

    def _embed(self, encoder: nn.Module, windows: Tensor) -> Tensor:
        """Map windows [N,T,C] to unit vectors [N,E]."""
        x = windows.transpose(1, 2)
        if self.config.syncnet_embedding == "frames":
            return frame_embedding(encoder(x))
        return _average_embedding(encoder(self.dropout(x)))


def _average_embedding(maps: Tensor) -> Tensor:
    """Return unit vectors [N,E] of non-negative maps [N,E,T], averaged over time."""
    return F.normalize(F.adaptive_avg_pool1d(maps, 1).flatten(1), dim=1)


def _stage(channels: int, config: SyncNetConfig) -> Iterator[nn.Module]:
    for _ in range(config.syncnet_res_blocks):
        yield ConvBlock1d(channels, channels, residual=True)


def _head(channels: int) -> Iterator[nn.Module]:
    yield ConvBlock1d(channels, channels)
    yield ConvBlock1d(channels, channels, padding=0)
    yield ConvBlock1d(channels, channels, kernel_size=1, padding=0)


def _audio_blocks(config: SyncNetConfig) -> Iterator[nn.Module]:
    low, middle, high = config.syncnet_audio_channels
    yield ConvBlock1d(config.speech_dim, low)
    yield ConvBlock1d(low, low)
    yield from _stage(low, config)
    yield ConvBlock1d(low, middle, stride=2)
    yield from _stage(middle, config)
    yield ConvBlock1d(middle, high, stride=2)
    yield from _stage(high, config)
    yield from _head(high)


def _mouth_blocks(config: SyncNetConfig) -> Iterator[nn.Module]:
    first, low, middle, high = config.syncnet_mouth_channels
    yield ConvBlock1d(MOUTH_DIM, first)
    yield ConvBlock1d(first, low)
    yield from _stage(low, config)
    yield ConvBlock1d(low, middle, stride=2)
    yield from _stage(middle, config)
    yield ConvBlock1d(middle, high)
    yield from _stage(high, config)
    yield from _head(high)
