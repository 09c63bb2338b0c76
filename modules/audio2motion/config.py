"""Shape of the audio-to-motion model; the defaults are the published ones, speech width comes from the data."""

from __future__ import annotations

from pydantic import Field

from utils.commons.schema import Config


class Audio2MotionConfig(Config):
    """Shape of the audio-to-motion VAE."""

    speech_dim: int = Field(0, ge=0)
    """Channels of the speech features; 0 takes the width of the corpus."""
    use_pitch: bool = False
    """Add the coarse pitch to the condition."""
    vae_hidden: int = Field(256, ge=4)
    """Channels of the WaveNet blocks of encoder and decoder."""
    vae_latent: int = Field(16, ge=2, multiple_of=2)
    """Channels of the latent at a quarter of the frame rate."""
    vae_cond: int = Field(64, ge=2)
    """Channels of the encoded speech."""
    vae_kernel_size: int = Field(5, ge=3)
    """Kernel of the WaveNet blocks of encoder and decoder; odd."""
    vae_enc_layers: int = Field(8, ge=1)
    """WaveNet layers of the encoder."""
    vae_dec_layers: int = Field(4, ge=1)
    """WaveNet layers of the decoder."""
    flow_hidden: int = Field(64, ge=2)
    """Channels inside a coupling layer of the prior flow."""
    flow_kernel_size: int = Field(3, ge=3)
    """Kernel inside a coupling layer; odd."""
    flow_layers: int = Field(4, ge=1)
    """WaveNet layers inside a coupling layer."""
    flow_steps: int = Field(4, ge=1)
    """Coupling layers of the prior flow."""
    vae_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout inside the WaveNet blocks of the decoder."""
    speech_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of speech channels dropped from a whole sequence while training."""
