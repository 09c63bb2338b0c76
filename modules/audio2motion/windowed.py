"""Motion for sound of any length in bounded memory, and for sound that is still arriving.

The network looks a limited number of frames to both sides, so a window with that much context gives the very frames
that one pass over everything would give: there is nothing to blend and no seam.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import STRIDE, Audio2MotionVAE

WINDOW_FRAMES = 2000
MAX_LOOK_AHEAD = 7
"""Frames of 40 ms that a stream may wait for: 0.28 s."""


def context_frames(config: Audio2MotionConfig) -> int:
    """Return how many frames to each side can matter to a frame, a multiple of 4."""
    flow = config.flow_steps * config.flow_layers * (config.flow_kernel_size // 2)
    decoder = config.vae_dec_layers * (config.vae_kernel_size // 2)
    return STRIDE * -(-(STRIDE * (flow + 2) + STRIDE + decoder + 2) // STRIDE)


def infer_windowed(
    vae: Audio2MotionVAE,
    speech: Tensor,
    *,
    f0: Tensor | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    latents: Tensor | None = None,
    window: int = WINDOW_FRAMES,
) -> Tensor:
    """Return motion [B,T,204] as ``vae.infer`` does, window by window: memory grows by the result alone.

    Args:
        vae: The model.
        speech: [B,2T,C].
        f0: [B,2T] Hz; only for models with ``use_pitch``.
        temperature: Scale of the prior's noise.
        generator: Source of the noise, a CPU generator.
        latents: The noise itself, [B,Z,ceil(T/4)], where the sound is part of a longer one; see :func:`draw_latents`.
        window: Frames computed at once, without their context; a multiple of 4.
    """
    frames = speech.shape[1] // 2
    if latents is None:
        latents = draw_latents(vae, len(speech), frames, temperature, generator)
    z_p = latents.to(speech)
    context, parts = context_frames(vae.config), []
    for start in range(0, frames, window):
        end = min(start + window, frames)
        low, high = max(0, start - context), min(frames, end + context)
        motion = _one_pass(vae, speech, f0, z_p, low, high)
        parts.append(motion[:, start - low : end - low])
    return torch.cat(parts, dim=1)


def draw_latents(
    vae: Audio2MotionVAE, batch: int, frames: int, temperature: float, generator: torch.Generator | None
) -> Tensor:
    """Return noise [B,Z,ceil(T/4)] of the prior, the same that ``vae.infer`` would draw."""
    shape = (batch, vae.config.vae_latent, -(-frames // STRIDE))
    return torch.randn(shape, generator=generator) * temperature if temperature > 0 else torch.zeros(shape)


def _one_pass(vae: Audio2MotionVAE, speech: Tensor, f0: Tensor | None, z_p: Tensor, low: int, high: int) -> Tensor:
    """Return motion of frames ``low`` (a multiple of 4) to ``high``; the last frame is repeated to fill a latent."""
    pad = -(high - low) % STRIDE
    rows = torch.arange(2 * low, 2 * (high + pad), device=speech.device).clamp(max=2 * high - 1)
    g = vae.encode_speech(speech[:, rows], None if f0 is None else f0[:, rows])
    mask = torch.ones(len(speech), high - low + pad, device=speech.device)
    latents = z_p[:, :, low // STRIDE : (high + pad) // STRIDE]
    return vae.decode_prior(g, latents, mask)[:, : high - low]


class MotionStream:
    """Motion of sound that arrives piece by piece; each frame waits for a few frames of sound behind it and no more."""

    def __init__(
        self,
        vae: Audio2MotionVAE,
        *,
        look_ahead: int = MAX_LOOK_AHEAD,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Begin a stream of one voice.

        Args:
            vae: The model, in eval mode.
            look_ahead: Frames of sound to wait for.
            temperature: Scale of the prior's noise.
            generator: Source of the noise.
        """
        if look_ahead < 0:
            raise ValueError(f"look_ahead must be 0 or more frames, got {look_ahead}")
        self.vae, self.look_ahead = vae, look_ahead
        self.temperature, self.generator = temperature, generator
        self._context = context_frames(vae.config)
        self._first, self._done = 0, 0
        self._speech = torch.zeros(1, 0, vae.config.speech_dim)
        self._f0 = torch.zeros(1, 0)
        self._latents = torch.zeros(1, vae.config.vae_latent, 0)

    @torch.inference_mode()
    def push(self, speech: Tensor, f0: Tensor | None = None) -> Tensor:
        """Take speech [2N,C] (and f0 [2N] for pitch models); return the motion [M,204] that is final now.

        Raises:
            ValueError: An odd number of rows, or no pitch for a model that needs it.
        """
        if len(speech) % 2 or (f0 is None and self.vae.config.use_pitch):
            raise ValueError(f"speech must hold two rows a frame, and pitch models need f0; got {len(speech)} rows")
        self._speech = torch.cat([self._speech, speech[None]], dim=1)
        if f0 is not None:
            self._f0 = torch.cat([self._f0, f0[None]], dim=1)
        return self._emit(self._end - self.look_ahead)

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """Return the motion [M,204] of the frames that were still waiting."""
        return self._emit(self._end)

    @property
    def _end(self) -> int:
        return self._first + self._speech.shape[1] // 2

    def _emit(self, until: int) -> Tensor:
        if until <= self._done:
            return torch.zeros(0, 204)
        f0 = self._f0 if self.vae.config.use_pitch else None
        frames = self._end - self._first
        missing = -(-frames // STRIDE) - self._latents.shape[2]
        if missing > 0:
            fresh = draw_latents(self.vae, 1, missing * STRIDE, self.temperature, self.generator)
            self._latents = torch.cat([self._latents, fresh], dim=2)
        motion = _one_pass(self.vae, self._speech, f0, self._latents, 0, frames)[0]
        final = motion[self._done - self._first : until - self._first]
        self._done = until
        self._forget()
        return final

    def _forget(self) -> None:
        """Drop what no frame to come can see."""
        drop = max(0, (self._done - self._context - self._first) // STRIDE * STRIDE)
        self._speech, self._f0 = self._speech[:, 2 * drop :], self._f0[:, 2 * drop :]
        self._latents = self._latents[:, :, drop // STRIDE :]
        self._first += drop
