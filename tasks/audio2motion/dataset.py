"""Random crops of a corpus for the audio-to-motion model; validation takes whole clips."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from modules.syncnet.pairs import draw_starts
from tasks.base_task import BatchDataset
from utils.commons.runtime import seeded_generator
from utils.data.clip_motion import MotionClips, crop_batch, draw_crops
from utils.data.corpora import CorpusConfig, open_corpus


class MotionDataConfig(CorpusConfig):
    """How crops are drawn."""

    batch_clips: int = Field(32, ge=1)
    """Crops in one batch."""
    min_crop_frames: int = Field(75, ge=4)
    """Shortest crop; shorter clips are padded."""
    max_crop_frames: int = Field(150, ge=4)
    """Longest crop."""
    speaker_balance: float = Field(0.5, ge=0, le=1)
    """0 draws clips as they come, 1 draws every speaker equally often."""
    speech_noise: float = Field(0.0, ge=0)
    """Deviation of the noise on speech features while training."""
    speech_mask_share: float = Field(0.0, ge=0, lt=1)
    """Share of short stretches of speech features that are blanked while training."""
    motion_scale: float = Field(0.0, ge=0, lt=1)
    """Motion of a crop is enlarged or reduced by up to this share while training."""
    sync_pairs: int = Field(64, ge=1)
    """Windows of a batch on which the sync expert judges."""

    @model_validator(mode="after")
    def _check_crops(self) -> Self:
        if self.max_crop_frames < self.min_crop_frames:
            raise ValueError(f"max_crop_frames {self.max_crop_frames} is below min_crop_frames {self.min_crop_frames}")
        return self


class MotionCrops(BatchDataset):
    """Item ``step`` is :func:`crop_batch`'s with ``clean_speech`` and ``sync_items``/``sync_starts`` [K]."""

    def __init__(self, config: MotionDataConfig, *, sync_win: int, num_steps: int, seed: int, rank: int) -> None:
        self.config, self.sync_win, self.num_steps, self.salt = config, sync_win, num_steps, (seed, rank)
        self.clips = MotionClips(open_corpus(config, "train"))
        self.weights = self.clips.weights(config.speaker_balance)

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        seed, rank = self.salt
        config, generator = self.config, seeded_generator(seed, step, rank)
        edges = (config.min_crop_frames, config.max_crop_frames)
        batch = draw_crops(self.clips, config.batch_clips, edges, self.weights, generator)
        count = config.sync_pairs if self.sync_win else 0
        real_frames = batch["y_mask"].sum(1).long()
        batch["sync_items"], batch["sync_starts"] = draw_starts(real_frames, count, max(1, self.sync_win), generator)
        batch["clean_speech"] = batch["speech"]
        batch["speech"] = blur_speech(batch["speech"], config.speech_noise, config.speech_mask_share, generator)
        scale = 1 + config.motion_scale * (2 * torch.rand(config.batch_clips, 1, 1, generator=generator) - 1)
        batch["y"] = batch["y"] * scale
        return batch


def blur_speech(speech: Tensor, noise: float, mask_share: float, generator: torch.Generator) -> Tensor:
    """Return speech [B,2L,C] with white noise added and some stretches of five video frames set to the mean, 0."""
    stretches = torch.rand(len(speech), -(-speech.shape[1] // 10), 1, generator=generator)
    keep = (stretches >= mask_share).float().repeat_interleave(10, dim=1)[:, : speech.shape[1]]
    return (speech + noise * torch.randn(speech.shape, generator=generator)) * keep


class WholeClips(BatchDataset):
    """Item i is validation clip i, padded to a multiple of 4: as :func:`crop_batch` with ``neutral`` [1,204]."""

    def __init__(self, config: MotionDataConfig) -> None:
        self.clips = MotionClips(open_corpus(config, "val"))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        frames = int(-(-self.clips.lengths[index] // 4) * 4)
        batch = crop_batch([self.clips[index]], [0], frames)
        return batch | {"neutral": self.clips.neutral(index)[None], "index": torch.tensor([index])}
