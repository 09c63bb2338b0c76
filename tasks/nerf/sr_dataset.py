"""Patches of heads drawn at half the size, with the true pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from modules.nerf.super_resolution import FACTOR
from tasks.base_task import Batch, BatchDataset
from tasks.nerf.config import NerfSrConfig
from tasks.nerf.dataset import read_pictures
from utils.commons.runtime import seeded_generator
from utils.data.person_store import PersonStore

_SALT = 43

DrawSmall = Callable[[int], Tensor]
"""From a frame's number to its small head [4,h,w]."""


class SrPatchDataset(BatchDataset):
    """Item ``i``: patches of a few frames, a pure function of configuration, data, ``i`` and rank."""

    def __init__(self, store: PersonStore, config: NerfSrConfig, draw: DrawSmall, *, rank: int) -> None:
        self.store, self.config, self.draw, self.rank = store, config, draw, rank
        frames = store.indices("train")
        number = min(config.sr_frames, len(frames))
        self.frames = frames[np.linspace(0, len(frames) - 1, number).astype(int)]
        self.background = torch.from_numpy(store.background.copy())
        self._small: dict[int, Tensor] = {}

    def __getitem__(self, step: int) -> Batch:
        generator = seeded_generator(self.config.seed, _SALT, step, self.rank)
        rows = torch.randint(len(self.frames), (2,), generator=generator).tolist()
        per_frame = max(1, self.config.sr_batch // 2)
        parts = [self._patches(int(self.frames[row]), per_frame, generator) for row in rows]
        return {key: torch.stack([patch[key] for part in parts for patch in part]) for key in parts[0][0]}

    def _patches(self, frame: int, number: int, generator: torch.Generator) -> list[Batch]:
        if frame not in self._small:
            self._small[frame] = self.draw(frame)
        small = self._small[frame]
        pictures = {name: torch.from_numpy(p) for name, p in read_pictures(self.store, frame, ("gt", "masks")).items()}
        pictures["background"] = self.background
        lengths = [length // FACTOR for length in pictures["gt"].shape[:2]]
        side = min(self.config.sr_patch, *lengths)
        seen = (small[3] > 0).nonzero()
        centers = seen if len(seen) else torch.zeros(1, 2, dtype=torch.long)
        picked = centers[torch.randint(len(centers), (number,), generator=generator)]
        most = torch.tensor([length - side for length in lengths])
        corners = torch.minimum((picked - side // 2).clamp(min=0), most)
        return [self._patch(small, pictures, int(row), int(column), side) for row, column in corners.tolist()]

    @staticmethod
    def _patch(small: Tensor, pictures: Batch, row: int, column: int, side: int) -> Batch:
        top, left, large = FACTOR * row, FACTOR * column, FACTOR * side
        cuts = {key: value[top : top + large, left : left + large].float() / 255 for key, value in pictures.items()}
        return {**cuts, "small": small[:, row : row + side, column : column + side]}
