"""The post-net: a generator that adapts generic lip motion to one person, and its critic (specification 5.3)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from modules.audio2motion.model import pitch_ids
from modules.layers.conv import ConvBlock1d
from modules.postnet.lip_closing import LipClosing
from modules.postnet.nearest import NearestMouths
from modules.postnet.opening_map import OpeningMap
from modules.postnet.ridge import SpeechRidge
from utils.commons.schema import Config

LM3D_DIM = 204
"""68 points, three coordinates each."""
_NUM_PITCHES, _PITCH_CHANNELS = 300, 64
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
    postnet: Literal["net", "ridge", "lle"] = "net"
    """``net`` learns a correction; ``ridge`` stops at the blend of generic model and linear map; ``lle`` projects that
    on the person's nearest tracked mouths. The last two are solved, not trained."""
    person_opening_map: bool = False
    """Give the blend the person's own distribution of lip openings, closed ones above all. Needs person_ridge_share."""
    person_lip_closing: bool = False
    """Shut the lips for a moment where the blend's opening dips, as often as frames left out of the fit allow. Needs
    person_opening_map."""
    postnet_speech_channels: int = Field(0, ge=0)
    """Channels in which the generator hears the speech itself; 0 is the published post-net, which sees motion alone."""
    postnet_use_pitch: bool = False
    """Tell the generator the coarse pitch, as the original's pitch variant does; for imported post-nets."""
    postnet_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the generator's inner channels dropped while training."""
    postnet_auto_share: bool = False
    """Let each validation choose how much of the correction counts; with nothing gained, none of it."""
    speech_dim: int = Field(0, ge=0)
    """Channels of the speech features; 0 takes the width of the person's."""


class PostNet(nn.Module):
    """Adds a learnt correction to a sequence of landmark deviations; sees seven frames to both sides."""

    config_cls: ClassVar[type[Config]] = PostNetConfig
    gain: Tensor
    share: Tensor
    ridge_share: Tensor

    def __init__(self, config: PostNetConfig) -> None:
        super().__init__()
        self.config = config
        narrow, wide = config.postnet_channels
        if config.postnet_use_pitch:
            self.pitch_embed = nn.Embedding(_NUM_PITCHES, _PITCH_CHANNELS)
        self.block1 = nn.Sequential(
            _block(LM3D_DIM + _PITCH_CHANNELS * config.postnet_use_pitch, narrow),
            _block(narrow, narrow, True),
            _block(narrow, narrow, True),
        )
        self.block2 = nn.Sequential(_block(narrow, wide), _block(wide, wide, True), _block(wide, wide, True))
        self.block3 = nn.Sequential(_block(wide, narrow), nn.Conv1d(narrow, LM3D_DIM, 1))
        if config.postnet_zero_init:
            for parameter in self.block3[-1].parameters():
                nn.init.zeros_(parameter)
        if config.postnet_speech_channels:
            self.speech_in = nn.Sequential(
                nn.Conv1d(2 * config.speech_dim, config.postnet_speech_channels, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv1d(config.postnet_speech_channels, narrow, 3, padding=1),
            )
        self.dropout = nn.Dropout1d(config.postnet_dropout)
        if config.person_ridge_share:
            self.ridge = SpeechRidge(config.speech_dim, LM3D_DIM)
            self.register_buffer("gain", torch.ones(LM3D_DIM))
            self.register_buffer("ridge_share", torch.tensor(config.person_ridge_share))
            if config.person_opening_map:
                self.opening_map = OpeningMap()
            if config.person_opening_map and config.person_lip_closing:
                self.lip_closing = LipClosing()
        if config.postnet_auto_share:
            self.register_buffer("share", torch.ones(()))
        if config.postnet == "lle":
            self.nearest = NearestMouths(LM3D_DIM)

    @property
    def needs_speech(self) -> bool:
        """Whether the speech features must be given."""
        return bool(self.config.person_ridge_share or self.config.postnet_speech_channels)

    def blend(self, x: Tensor, speech: Tensor | None, ridge: Tensor | None = None) -> Tensor:
        """Return what the generator starts from: generic motion x [B,T,204] averaged with the person's linear map.

        Args:
            x: [B,T,204].
            speech: [B,2T,C].
            ridge: [B,T,204] the map's motion where it is known already.
        """
        if not self.config.person_ridge_share:
            return x
        share = self.ridge_share
        if ridge is None:
            assert speech is not None
            ridge = self.ridge(speech)
        blend = ((1 - share) * x + share * ridge) * self.gain
        return self.mapped(blend) if self.config.person_opening_map else blend

    def mapped(self, blend: Tensor) -> Tensor:
        """Return a blend [B,T,204] with the person's openings, and closed lips where it nearly closes them."""
        motion = self.opening_map(blend)
        if not self.config.person_lip_closing:
            return motion
        opening = self.opening_map.opening
        return self.lip_closing(motion, opening(motion), opening(blend), self.opening_map.direction)

    def correction(self, x: Tensor, keep: Tensor, speech: Tensor | None, f0: Tensor | None = None) -> Tensor:
        """Return what the generator adds to x [B,T,204] under a mask [B,T]."""
        mask = keep[:, None, :]
        if self.config.postnet_use_pitch:
            if f0 is None:
                raise ValueError("this post-net was trained with the pitch and needs f0")
            x = torch.cat([x, self.pitch_embed(pitch_ids(f0[:, ::2]))], dim=-1)
        hidden = self.block1(x.transpose(1, 2) * mask)
        if self.config.postnet_speech_channels:
            assert speech is not None
            frames = speech.reshape(len(speech), speech.shape[1] // 2, -1).transpose(1, 2)
            hidden = hidden + self.speech_in(self.dropout(frames.to(hidden.dtype)))
        hidden = self.dropout(self.block2(self.dropout(hidden) * mask)) * mask
        return self.block3(hidden).transpose(1, 2)

    def extremes(
        self,
        x: Tensor,
        y_mask: Tensor,
        speech: Tensor | None,
        ridge: Tensor | None = None,
        f0: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the motion without and with the whole correction, [B,T,204] each; see :meth:`forward`."""
        keep = y_mask.to(x.dtype)
        base = self.blend(x, speech, ridge)
        full = base
        if self.config.postnet == "net":
            full = base + self.correction(base, keep, speech, f0)
        elif self.config.postnet == "lle":
            full = self.nearest(base)
        return base * keep[..., None], full * keep[..., None]

    def forward(
        self,
        x: Tensor,
        y_mask: Tensor | None = None,
        speech: Tensor | None = None,
        ridge: Tensor | None = None,
        f0: Tensor | None = None,
    ) -> Tensor:
        """Return the person's deviations [B,T,204] in cm for generic ones; padded frames (mask 0) stay zero.

        Args:
            x: Generic deviations, [B,T,204], cm.
            y_mask: 1 = real frame, [B,T]; without it, frames whose absolute sum is zero count as padding.
            speech: Speech features at 50 Hz, [B,2T,C]; for models that need them (:attr:`needs_speech`).
            ridge: See :meth:`blend`.
            f0: Pitch in Hz, [B,2T]; only for models with ``postnet_use_pitch``.

        Raises:
            ValueError: The speech features or the pitch are needed and absent.
        """
        if speech is None and self.needs_speech:
            raise ValueError("this post-net has a person_ridge_share or hears speech, and needs the speech features")
        keep = (x.abs().sum(-1) > 0).to(x.dtype) if y_mask is None else y_mask.to(x.dtype)
        base, full = self.extremes(x, keep, speech, ridge, f0)
        if self.config.postnet_auto_share and not self.training:
            return base + self.share * (full - base)
        return full


def _block(in_channels: int, out_channels: int, residual: bool = False) -> ConvBlock1d:
    return ConvBlock1d(in_channels, out_channels, residual=residual, negative_slope=0.2)


class LandmarkCriticConfig(Config):
    """Shape of the critic."""

    disc_spectral_norm: bool = False
    """Bound the critic's slope by spectral normalisation: it cannot win by ever larger scores."""

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
        layers.append(nn.Linear(widths[-1], 1, bias=False))
        if config.disc_spectral_norm:
            layers = [spectral_norm(layer) if isinstance(layer, nn.Linear) else layer for layer in layers]
        self.backbone = nn.Sequential(*layers)

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows [N,W,204] (or frames [N,204]) to scores [N,1]."""
        return self.backbone(windows.flatten(1))


def lsgan_generator_loss(fake_scores: Tensor) -> Tensor:
    """Return mean((1 - D(fake))^2)."""
    return F.mse_loss(fake_scores, fake_scores.new_ones(()).expand_as(fake_scores))


def lsgan_critic_loss(fake_scores: Tensor, real_scores: Tensor) -> Tensor:
    """Return mean(D(fake)^2) + mean((D(real) - 1)^2)."""
    return fake_scores.square().mean() + (real_scores - 1).square().mean()
