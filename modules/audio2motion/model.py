"""Speech to lip motion: a variational autoencoder of landmark deviations, its prior a flow given the speech.

Architecture and names: specification 5.1.

Notation: T video frames (a multiple of 4 inside the network), S = T/4 latent frames, g the encoded speech at 25 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.flow import PriorFlow
from modules.layers.wavenet import WaveNet
from utils.commons.schema import Config

LM3D_DIM = 204
STRIDE = 4
_NUM_PITCHES, _PITCH_COND = 300, 32


@dataclass(frozen=True)
class VaeOutput:
    """What a training pass gives."""

    recon: Tensor
    """[B,T,204] from the posterior, zero in padded frames."""
    m_q: Tensor
    """[B,Z,S]"""
    logs_q: Tensor
    """[B,Z,S]"""
    z: Tensor
    """[B,Z,S]"""
    z_p: Tensor
    """[B,Z,S]"""
    mask4: Tensor
    """[B,1,S]"""
    g: Tensor
    """[B,G,T]"""


class PosteriorEncoder(nn.Module):
    """Landmarks and speech to the mean and the log deviation of the latent."""

    def __init__(self, config: Audio2MotionConfig, cond_channels: int) -> None:
        super().__init__()
        hidden = config.vae_hidden
        self.pre_net = nn.Sequential(nn.Conv1d(LM3D_DIM, hidden, 8, STRIDE, 2))
        self.wn = WaveNet(hidden, config.vae_kernel_size, config.vae_enc_layers, cond_channels)
        self.out_proj = nn.Conv1d(hidden, 2 * config.vae_latent, 1)

    def forward(self, y: Tensor, mask4: Tensor, g4: Tensor) -> tuple[Tensor, Tensor]:
        """Map y [B,204,T] to (m, logs) [B,Z,S]."""
        hidden = self.wn(self.pre_net(y) * mask4, mask4, g4) * mask4
        m, logs = self.out_proj(hidden).chunk(2, dim=1)
        return m, logs


class Decoder(nn.Module):
    """Latent and speech to landmarks."""

    def __init__(self, config: Audio2MotionConfig, cond_channels: int) -> None:
        super().__init__()
        hidden = config.vae_hidden
        self.pre_net = nn.Sequential(nn.ConvTranspose1d(config.vae_latent, hidden, STRIDE, STRIDE))
        self.wn = WaveNet(
            hidden, config.vae_kernel_size, config.vae_dec_layers, cond_channels, dropout=config.vae_dropout
        )
        self.out_proj = nn.Conv1d(hidden, LM3D_DIM, 1)

    def forward(self, z: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """Map z [B,Z,S] to landmarks [B,204,T]."""
        return self.out_proj(self.wn(self.pre_net(z) * mask, mask, g) * mask)


class FlowVae(nn.Module):
    """Encoder, decoder and prior under one name, as the published parameters are."""

    def __init__(self, config: Audio2MotionConfig, cond_channels: int) -> None:
        super().__init__()
        self.g_pre_net = nn.Sequential(nn.Conv1d(cond_channels, cond_channels, 8, STRIDE, 2))
        self.encoder = PosteriorEncoder(config, cond_channels)
        self.decoder = Decoder(config, cond_channels)
        self.prior_flow = PriorFlow(
            config.vae_latent,
            config.flow_hidden,
            kernel_size=config.flow_kernel_size,
            num_layers=config.flow_layers,
            num_steps=config.flow_steps,
            cond_channels=cond_channels,
        )


class Audio2MotionVAE(nn.Module):
    """Generic speech-to-landmark model; works in deviations (cm) from a speaker's mean shape."""

    config_cls: ClassVar[type[Config]] = Audio2MotionConfig

    def __init__(self, config: Audio2MotionConfig) -> None:
        super().__init__()
        self.config = config
        self.mel_encoder = _cond_encoder(config.speech_dim, config.vae_cond, config.vae_cond)
        if config.use_pitch:
            self.pitch_embed = nn.Embedding(_NUM_PITCHES, config.vae_cond)
            self.pitch_encoder = _cond_encoder(config.vae_cond, config.vae_cond, _PITCH_COND)
        self.vae = FlowVae(config, config.vae_cond + (_PITCH_COND if config.use_pitch else 0))
        self.speech_dropout = nn.Dropout1d(config.speech_dropout)

    def encode_speech(self, speech: Tensor, f0: Tensor | None = None) -> Tensor:
        """Map speech [B,2T,C] (and pitch f0 [B,2T] Hz) to the condition g [B,G,T]."""
        g = self.mel_encoder(self.speech_dropout(speech[:, ::2].transpose(1, 2)))
        if not self.config.use_pitch:
            return g
        if f0 is None:
            raise ValueError("this model was trained with use_pitch=true and needs f0")
        pitch = self.pitch_embed(pitch_ids(f0[:, ::2])).transpose(1, 2)
        return torch.cat([g, self.pitch_encoder(pitch)], dim=1)

    def forward(
        self, speech: Tensor, y: Tensor, y_mask: Tensor, *, f0: Tensor | None = None, noise: Tensor | None = None
    ) -> VaeOutput:
        """Encode the true motion and decode it again.

        Args:
            speech: Speech features at 50 Hz, [B,2T,C]; T a multiple of 4.
            y: True deviations, [B,T,204], cm.
            y_mask: 1 = real frame, [B,T].
            f0: Pitch in Hz, [B,2T]; only for models with ``use_pitch``.
            noise: Standard normal noise of the posterior, [B,Z,T/4]; drawn when absent.
        """
        mask = y_mask[:, None, :].to(y.dtype)
        mask4 = mask[:, :, ::STRIDE]
        g = self.encode_speech(speech, f0)
        g4 = self.vae.g_pre_net(g)
        m_q, logs_q = self.vae.encoder(y.transpose(1, 2), mask4, g4)
        z = m_q + (torch.randn_like(m_q) if noise is None else noise) * logs_q.exp()
        z_p = self.vae.prior_flow(z, mask4, g4)
        recon = (self.vae.decoder(z, mask, g) * mask).transpose(1, 2)
        return VaeOutput(recon=recon, m_q=m_q, logs_q=logs_q, z=z, z_p=z_p, mask4=mask4, g=g)

    def decode_prior(self, g: Tensor, z_p: Tensor, y_mask: Tensor) -> Tensor:
        """Return motion [B,T,204] of the prior's sample z_p [B,Z,T/4] for the condition g [B,G,T]."""
        mask = torch.ones_like(g[:, :1])
        z = self.vae.prior_flow.inverse(z_p, mask[:, :, ::STRIDE], self.vae.g_pre_net(g))
        return self.vae.decoder(z, mask, g).transpose(1, 2) * y_mask[..., None].to(g.dtype)

    def infer(
        self,
        speech: Tensor,
        y_mask: Tensor,
        *,
        f0: Tensor | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return motion for any number of frames T: deviations [B,T,204] in cm, zero in padded frames.

        Args:
            speech: Speech features at 50 Hz, [B,2T,C].
            y_mask: 1 = real frame, [B,T].
            f0: Pitch in Hz, [B,2T]; only for models with ``use_pitch``.
            temperature: Scale of the prior's noise; 0 gives the most likely motion.
            generator: Source of the noise, a CPU generator.
        """
        frames = y_mask.shape[1]
        pad = -frames % STRIDE
        g = self.encode_speech(
            _pad_edge(speech, 2 * pad), None if f0 is None else _pad_edge(f0[..., None], 2 * pad)[..., 0]
        )
        shape = (len(speech), self.config.vae_latent, (frames + pad) // STRIDE)
        z_p = torch.randn(shape, generator=generator).to(g) * temperature if temperature > 0 else g.new_zeros(shape)
        return self.decode_prior(g, z_p, F.pad(y_mask, (0, pad)))[:, :frames]


def _cond_encoder(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(in_channels, hidden, 3, padding=1, bias=False),
        nn.BatchNorm1d(hidden),
        nn.GELU(),
        nn.Conv1d(hidden, out_channels, 3, padding=1, bias=False),
    )


def _pad_edge(x: Tensor, pad: int) -> Tensor:
    """Repeat the last row of [B,T,C] ``pad`` times."""
    return torch.cat([x, x[:, -1:].expand(-1, pad, -1)], dim=1) if pad else x


def pitch_ids(f0: Tensor) -> Tensor:
    """Return the coarse pitch, 1 (unvoiced) to 255, of f0 in Hz (specification 2.11)."""
    low, high = (1127 * torch.log1p(torch.tensor(edge / 700.0, dtype=f0.dtype)).item() for edge in (50.0, 1100.0))
    mel = 1127 * torch.log1p(f0 / 700)
    mel = torch.where(mel > 0, (mel - low) * 254 / (high - low) + 1, mel)
    return (mel.clamp(1, 255) + 0.5).floor().long()
