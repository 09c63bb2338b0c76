"""Clips of a corpus as lip motion: deviations from the speaker's mean shape, random access, a small cache."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from utils.commons.experiment import load_experiment_config
from utils.commons.schema import DataError
from utils.data import paths
from utils.data.corpora import JoinedClips

_CACHED_CLIPS = 128


@dataclass(frozen=True)
class SpeechKind:
    """Which speech features something was made with."""

    owner: str
    """What it is, in words of an error."""
    encoder: str
    """Name of the encoder; empty if not known."""
    dim: int
    """Channels; 0 if not known."""


def check_same_speech(data: SpeechKind, model: SpeechKind) -> None:
    """Pass if a model was trained on the speech features this data holds.

    Raises:
        DataError: It was not; both encoders are named.
    """
    if (model.encoder or data.encoder) != data.encoder or model.dim not in (0, data.dim):
        raise DataError(
            f"{model.owner} needs speech features {model.encoder or 'of another encoder'!r} of width {model.dim}, but "
            f"{data.owner} holds {data.encoder!r} of width {data.dim}; process the data with the same speech_encoder, "
            "or train the model anew"
        )


def speech_of_experiment(work_dir: str) -> SpeechKind:
    """Return which speech features a trained model needs."""
    values = load_experiment_config(paths.under_work_root(work_dir))
    return SpeechKind(work_dir, str(values.get("speech_encoder", "")), int(values.get("speech_dim", 0)))


@dataclass(frozen=True)
class MotionClip:
    """One clip as training sees it."""

    deviation: Tensor
    """[T,204] f32 cm, from the speaker's mean."""
    speech: Tensor
    """[2T,C] f32"""
    f0: Tensor
    """[2T] f32 Hz"""


class MotionClips:
    """Random access to the clips of a store as :class:`MotionClip`."""

    def __init__(self, store: JoinedClips) -> None:
        self.store = store
        self.speakers, lengths = store.overview()
        self.lengths = torch.from_numpy(lengths)
        self._cached = functools.lru_cache(_CACHED_CLIPS)(self._read)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> MotionClip:
        return self._cached(index)

    def _read(self, index: int) -> MotionClip:
        clip = self.store[index]
        deviation = clip.lm3d - self.store.mean_of(index)
        return MotionClip(
            deviation=torch.from_numpy(deviation.reshape(len(deviation), -1).astype(np.float32)),
            speech=torch.from_numpy(clip.speech.astype(np.float32)),
            f0=torch.from_numpy(clip.f0.astype(np.float32)),
        )

    def neutral(self, index: int) -> Tensor:
        """Return the mean shape [204], cm, of the speaker of a clip."""
        return torch.from_numpy(self.store.mean_of(index).reshape(-1).copy())

    def weights(self, balance: float) -> Tensor:
        """Return how often each clip is drawn: by its length; ``balance`` of 1 makes the speakers equal, then
        corpora have their shares."""
        totals: dict[str, float] = {}
        for speaker, length in zip(self.speakers, self.lengths.tolist(), strict=True):
            totals[speaker] = totals.get(speaker, 0.0) + length
        factor = torch.tensor([totals[speaker] ** -balance for speaker in self.speakers], dtype=torch.float64)
        return self.store.weighted(factor * self.lengths.double())

    def __getstate__(self) -> dict[str, JoinedClips]:
        return {"store": self.store}

    def __setstate__(self, state: dict[str, JoinedClips]) -> None:
        self.__init__(state["store"])  # type: ignore[misc]


def crop_batch(clips: Sequence[MotionClip], starts: Sequence[int], frames: int) -> dict[str, Tensor]:
    """Cut ``frames`` frames from each clip; a clip that ends earlier is continued by its last frame under mask 0.

    Returns:
        ``speech`` [B,2L,C], ``f0`` [B,2L], ``y`` [B,L,204], ``y_mask`` [B,L].
    """
    speech, f0, y, mask = [], [], [], []
    for clip, start in zip(clips, starts, strict=True):
        video = torch.arange(start, start + frames)
        sound = torch.arange(2 * start, 2 * (start + frames)).clamp(max=len(clip.speech) - 1)
        speech.append(clip.speech[sound])
        f0.append(clip.f0[sound])
        y.append(clip.deviation[video.clamp(max=len(clip.deviation) - 1)])
        mask.append((video < len(clip.deviation)).float())
    return {"speech": torch.stack(speech), "f0": torch.stack(f0), "y": torch.stack(y), "y_mask": torch.stack(mask)}


def draw_crops(
    clips: MotionClips, count: int, frames: tuple[int, int], weights: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return a batch of ``count`` random crops, all of one length that is a multiple of 4 (see :func:`crop_batch`).

    Args:
        clips: Where to draw from.
        count: Crops B.
        frames: Shortest and longest crop; clips may be shorter and are padded.
        weights: How often each clip is drawn, [len(clips)].
        generator: Source of chance.
    """
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    low, high = (-(-edge // 4) for edge in frames)
    length = 4 * int(torch.randint(low, high + 1, (), generator=generator))
    length = min(length, 4 * int(-(-clips.lengths[chosen].max() // 4)))
    room = (clips.lengths[chosen] - length).clamp(min=0)
    starts = (torch.rand(count, generator=generator) * (room + 1)).long().minimum(room)
    return crop_batch([clips[int(index)] for index in chosen], starts.tolist(), length)
