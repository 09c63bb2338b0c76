"""Pairs of speech and mouth windows from a corpus: training batches by step, validation clips one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from modules.syncnet.pairs import MOUTH, draw_pairs, draw_windows
from tasks.base_task import BatchDataset
from utils.commons.runtime import seeded_generator
from utils.commons.schema import DataError
from utils.data.clip_motion import MotionClip, MotionClips
from utils.data.corpora import CorpusConfig, open_corpus


class SyncDataConfig(CorpusConfig):
    """How pairs are drawn."""

    sync_pairing: Literal["drawn", "all"] = "drawn"
    """``drawn`` makes pairs one by one; ``all`` pairs every window of a batch with every other."""
    sync_batch_clips: int = Field(64, ge=2)
    """Clips behind one batch."""
    sync_batch_pairs: int = Field(256, ge=2)
    """Pairs in one batch, half of them aligned."""
    sync_min_shift: int = Field(2, ge=1)
    """Smallest shift in frames of a wrong pair."""
    sync_max_shift: int = Field(5, ge=1)
    """Largest shift of the nearby wrong pairs."""
    sync_foreign: float = Field(0.25, ge=0, le=1)
    """Share of the wrong pairs that take another speaker's speech."""
    speaker_balance: float = Field(0.5, ge=0, le=1)
    """0 draws clips as they come, 1 draws every speaker equally often."""
    speech_noise: float = Field(0.0, ge=0)
    """Deviation of the noise on speech features while training."""
    mouth_noise: float = Field(0.0, ge=0)
    """Deviation in cm of the noise on mouth points while training."""
    mouth_scale: float = Field(0.0, ge=0, lt=1)
    """Mouth motion is enlarged or reduced by up to this share while training."""
    mouth_offset: float = Field(0.0, ge=0)
    """Deviation in cm of a shift of each mouth point that lasts a whole window, while training: other mouths rest
    otherwise, and a judge of strangers must not mind."""


class SyncPairs(BatchDataset):
    """Item ``step`` is the batch of this step: ``speech`` [N,2W,C], ``mouth`` [N,W,60] and ``labels`` [N].

    With ``sync_pairing: all``, ``clip`` and ``start`` [N] of the windows take the place of ``labels``.
    """

    def __init__(self, config: SyncDataConfig, *, win: int, num_steps: int, seed: int, rank: int) -> None:
        self.config, self.win, self.num_steps, self.salt = config, win, num_steps, (seed, rank)
        self.clips = MotionClips(open_corpus(config, "train"))
        self.weights = self.clips.weights(config.speaker_balance) * (self.clips.lengths >= win)
        names = sorted(set(self.clips.speakers))
        self.speakers = torch.tensor([names.index(speaker) for speaker in self.clips.speakers])
        if self.weights.sum() <= 0:
            raise DataError(
                f"no clip of corpus {config.corpus} has {win} frames (longest {int(self.clips.lengths.max())}); "
                "use longer clips or a smaller sync_win_frames"
            )

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        seed, rank = self.salt
        generator = seeded_generator(seed, step, rank)
        chosen = torch.multinomial(
            self.weights, self.config.sync_batch_clips, replacement=True, generator=generator
        ).unique()
        clips = [self.clips[int(index)] for index in chosen]
        if self.config.sync_pairing == "all":
            per_clip = max(2, self.config.sync_batch_pairs // len(clips))
            clip, start = draw_windows(self.clips.lengths[chosen], per_clip=per_clip, win=self.win, generator=generator)
            where = list(zip(clip.tolist(), start.tolist(), strict=True))
            return self._augment(*self._cut(clips, where, where), generator) | {"clip": clip, "start": start}
        draw = draw_pairs(
            self.clips.lengths[chosen],
            self.speakers[chosen],
            count=self.config.sync_batch_pairs,
            win=self.win,
            shifts=(self.config.sync_min_shift, self.config.sync_max_shift),
            foreign=self.config.sync_foreign,
            generator=generator,
        )
        seen = list(zip(draw.mouth_clip.tolist(), draw.mouth_start.tolist(), strict=True))
        heard = list(zip(draw.speech_clip.tolist(), draw.speech_start.tolist(), strict=True))
        return self._augment(*self._cut(clips, seen, heard), generator) | {"labels": draw.labels}

    def _cut(
        self, clips: Sequence[MotionClip], seen: Sequence[tuple[int, int]], heard: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Return speech and mouth windows at the given (clip, start)."""
        mouth = torch.stack([clips[clip].deviation[start : start + self.win, MOUTH] for clip, start in seen])
        speech = torch.stack([clips[clip].speech[2 * start : 2 * (start + self.win)] for clip, start in heard])
        return speech, mouth

    def _augment(self, speech: Tensor, mouth: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        scale = 1 + self.config.mouth_scale * (2 * torch.rand(len(mouth), 1, 1, generator=generator) - 1)
        mouth = mouth * scale + self.config.mouth_noise * torch.randn(mouth.shape, generator=generator)
        mouth = mouth + self.config.mouth_offset * torch.randn(len(mouth), 1, mouth.shape[2], generator=generator)
        return {
            "speech": speech + self.config.speech_noise * torch.randn(speech.shape, generator=generator),
            "mouth": mouth,
        }


class SyncValidation(BatchDataset):
    """Item i is validation clip i: ``speech`` [1,2T,C], ``y`` [1,T,204], ``index`` [1]."""

    def __init__(self, config: SyncDataConfig, *, win: int) -> None:
        self.clips = MotionClips(open_corpus(config, "val"))
        self.items = torch.nonzero(self.clips.lengths >= win).flatten().tolist()
        if not self.items:
            raise DataError(f"no validation clip of corpus {config.corpus} has {win} frames; use longer clips")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        clip = self.clips[self.items[index]]
        return {"speech": clip.speech[None], "y": clip.deviation[None], "index": torch.tensor([index])}
