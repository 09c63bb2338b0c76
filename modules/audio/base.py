"""Speech encoders: sound to features at exactly 50 Hz, rows 2t and 2t + 1 belonging to video frame t.

Row ``s`` describes the sound around the instant ``(s + 0.5) / 50`` seconds. All encoders share one length rule, so
their rows can be joined: a name such as ``"moonshine+mel"`` is the columns of both side by side.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from modules.registry import resolve
from utils.commons.schema import ConfigError, DataError

SAMPLE_RATE_HZ = 16000
SAMPLES_PER_FRAME = 640
"""Samples of one video frame at 25 fps."""
HOP = 320
"""Samples of one row of features."""


class SpeechEncoder(Protocol):
    """Turns speech into features that a mouth can be predicted from."""

    name: str
    dim: int
    reach_s: int | None
    """A stretch cut out at whole seconds gives the rows of the whole sound, but for so many seconds at its new ends;
    None: every row may depend on the whole sound."""

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,dim] f32 of ``wav`` [N] f32 at 16 kHz, where T = ``frames_of(N)``."""
        ...


def frames_of(num_samples: int) -> int:
    """Return the number of 25 fps video frames that ``num_samples`` at 16 kHz last, at least 1."""
    return max(1, round(num_samples * 25 / SAMPLE_RATE_HZ))


def fit_to_frames(wav: np.ndarray) -> np.ndarray:
    """Return ``wav`` cut or filled with silence to a whole number of video frames, float32.

    Raises:
        DataError: ``wav`` is empty, not one-dimensional or not finite.
    """
    if wav.ndim != 1 or len(wav) == 0:
        raise DataError(f"speech must be one channel [N] with N > 0, got the shape {list(wav.shape)}")
    if not np.isfinite(wav).all():
        raise DataError("speech holds values that are not numbers; decode the file again")
    length = frames_of(len(wav)) * SAMPLES_PER_FRAME
    wav = wav[:length].astype(np.float32, copy=False)
    return wav if len(wav) == length else np.pad(wav, (0, length - len(wav)))


class JoinedEncoder:
    """The features of several encoders side by side."""

    def __init__(self, parts: Sequence[SpeechEncoder]) -> None:
        self.parts = list(parts)
        self.name = "+".join(part.name for part in parts)
        self.dim = sum(part.dim for part in parts)
        reaches = [part.reach_s for part in parts]
        known = [reach for reach in reaches if reach is not None]
        self.reach_s = max(known) if len(known) == len(reaches) else None

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,dim] f32."""
        return np.concatenate([part.encode(wav) for part in self.parts], axis=1)


def build_speech_encoder(name: str, *, hubert_path: str = "") -> SpeechEncoder:
    """Return the encoder registered as ``name``, or the join of several: ``"moonshine+mel"``.

    Args:
        name: Registered names, joined by ``+``.
        hubert_path: Local folder or hub id of HuBERT weights; ``""`` takes the encoder's default.

    Raises:
        ConfigError: A name is unknown, empty or given twice.
    """
    names = [part.strip() for part in name.split("+")]
    if len(set(names)) != len(names) or not all(names):
        raise ConfigError(f"speech_encoder {name!r} must be different names joined by '+', such as 'moonshine+mel'")
    parts = [_build_one(part, hubert_path) for part in names]
    return parts[0] if len(parts) == 1 else JoinedEncoder(parts)


def _build_one(name: str, hubert_path: str) -> SpeechEncoder:
    encoder_class = resolve("speech_encoder", name)
    takes_path = "model_path" in inspect.signature(encoder_class).parameters
    encoder: SpeechEncoder = encoder_class(model_path=hubert_path) if takes_path and hubert_path else encoder_class()
    return encoder
