"""Batches of rays and whole test frames of one person."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modules.nerf.conditions import ConditionConfig, head_condition
from tasks.base_task import Batch, BatchDataset
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig, RayConfig
from tasks.nerf.sampling import Box, as_box, clip_box, mask_box, sample_patch, sample_pixels, split_rays
from utils.commons.runtime import seeded_generator
from utils.commons.schema import ConfigError, DataError
from utils.data import paths
from utils.data.person_store import PersonStore

Pictures = dict[str, np.ndarray]
Decoded = tuple[Pictures, list[Box], list[float]]
"""Pictures of a frame, boxes in it and the share of rays in each but the last."""
_SALT = 41
_HEAD_GROW = 0.06
_MAX_RARITY = 12.0


def open_person(video_id: str) -> PersonStore:
    """Open a person's dataset.

    Raises:
        DataError: It has no frame to train on.
    """
    store = PersonStore(paths.binary_video(video_id))
    if len(store.indices("train")) == 0:
        raise DataError(f"{store.root} has no training frame with a face; process another video")
    return store


class RayDataset(BatchDataset):
    """Item ``i``: rays of a few training frames, a pure function of configuration, seed, ``i`` and rank."""

    pictures: tuple[str, ...]
    """Which pictures of a frame a step needs."""

    def __init__(self, store: PersonStore, config: RayConfig, *, rank: int, condition: ConditionConfig) -> None:
        self.store, self.config, self.rank = store, config, rank
        self.condition = condition
        self.frames = store.indices("train")
        self.frame_weights = torch.ones(len(self.frames), dtype=torch.float64)
        self.background = torch.from_numpy(store.background.copy())
        self._decoded: dict[int, Decoded] = {}

    def __getitem__(self, step: int) -> Batch:
        generator = seeded_generator(self.config.seed, _SALT, step, self.rank)
        picked = self.frames_of(step)
        per_frame = max(1, self.config.n_rays // len(picked))
        frames = [int(self.frames[row]) for row in picked.tolist()]
        self._decoded = {frame: self._decoded.get(frame) or self._decode(frame) for frame in frames}
        parts = [self._rays(frame, per_frame, generator) for frame in frames]
        batch = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        batch["frame_rows"] = picked
        batch["jitter"] = torch.rand(len(batch["rows"]), generator=generator)
        batch["code_noise"] = torch.randn(batch["cond"].shape, generator=generator)
        return batch

    def frames_of(self, step: int) -> Tensor:
        """Return which training frames a step looks at, [F]: some are new, the others were there in the last steps."""
        number, stay = self.config.frames_per_step, self.config.frame_stay_steps
        picked = []
        for place in range(number):
            turn = (step + place * stay // number) // stay
            generator = seeded_generator(self.config.seed, _SALT, self.rank, place, turn)
            picked.append(torch.multinomial(self.frame_weights, 1, generator=generator))
        return torch.cat(picked)

    def _decode(self, frame: int) -> Decoded:
        pictures = read_pictures(self.store, frame, self.pictures)
        return pictures, *self._boxes(frame, pictures)

    def _rays(self, frame: int, number: int, generator: torch.Generator) -> Batch:
        pictures, boxes, shares = self._decoded[frame]
        rows, columns = self._pixels(boxes, split_rays(number, shares), generator)
        pixels = (rows.numpy(), columns.numpy())
        chosen = {key: torch.from_numpy(picture[pixels]).float() / 255 for key, picture in pictures.items()}
        return {
            **frame_inputs(self.store, frame, self.condition),
            **chosen,
            "background": self.background[rows, columns].float() / 255,
            "rows": rows,
            "columns": columns,
        }

    def _pixels(self, boxes: list[Box], counts: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return rows and columns of the rays of a frame, so many in each box."""
        return sample_pixels(boxes, counts, generator)

    @abc.abstractmethod
    def _boxes(self, frame: int, pictures: Pictures) -> tuple[list[Box], list[float]]:
        """Return boxes and the share of rays in each but the last."""


class HeadRayDataset(RayDataset):
    """Rays in the lips (the first of them a patch, see :func:`lip_patch`), the eyes, the head's box and everywhere."""

    config: NerfHeadConfig
    pictures = ("gt", "masks")

    def __init__(self, store: PersonStore, config: NerfHeadConfig, *, rank: int, condition: ConditionConfig) -> None:
        """Weigh the frames.

        Raises:
            ConfigError: The patch of the lips is larger than the pictures.
        """
        super().__init__(store, config, rank=rank, condition=condition)
        self.frame_weights = rarity(np.asarray(store.lm3d)[self.frames], config.rare_frames_weight)
        self.patch, height, width = lip_patch(config), store.manifest.height, store.manifest.width
        if self.patch > min(height, width):
            raise ConfigError(f"lip_patch={self.patch} does not fit into pictures of {width}x{height}; make it smaller")

    def _pixels(self, boxes: list[Box], counts: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, columns = super()._pixels(boxes, counts, generator)
        if self.patch:
            first, (_, _, width, height) = slice(self.patch**2), boxes[-1]
            rows[first], columns[first] = sample_patch(boxes[0], self.patch, height, width, generator)
        return rows, columns

    def _boxes(self, frame: int, pictures: Pictures) -> tuple[list[Box], list[float]]:
        masks = pictures["masks"]
        height, width = masks.shape[:2]
        store, config = self.store, self.config
        lips, eyes = (clip_box(as_box(rects[frame]), height, width) for rects in (store.lip_rect, store.eye_rect))
        head = clip_box(mask_box(masks[..., 0], as_box(store.face_rect[frame])), height, width, grow=_HEAD_GROW)
        special = config.lip_rays_percent + config.eye_rays_percent
        rest = max(0.0, 1.0 - special)
        shares = [config.lip_rays_percent, config.eye_rays_percent, rest * config.in_rect_percent]
        return [lips, eyes, head, (0, 0, width, height)], shares


def lip_patch(config: NerfHeadConfig) -> int:
    """Return the side of the patch that a frame's first rays are, 0 without one: where it has no weight or no room."""
    if not config.lambda_lip_ssim:
        return 0
    lips = round(max(1, config.n_rays // config.frames_per_step) * config.lip_rays_percent)
    return config.lip_patch if config.lip_patch**2 <= lips else 0


def rarity(lm3d: np.ndarray, strength: float) -> Tensor:
    """Return how often each frame [T,68,3] is to be drawn, [T]: those with unusual eyelids or lips more often.

    A blink fills one frame in fifty; drawn evenly, it is never learnt.
    """
    weights = np.ones(len(lm3d))
    for upper, lower in (([37, 38, 43, 44], [41, 40, 47, 46]), ([61, 62, 63], [67, 66, 65])):
        opening = (lm3d[:, upper, 1] - lm3d[:, lower, 1]).mean(axis=1)
        unusual = np.square((opening - np.median(opening)) / max(float(opening.std()), 1e-6))
        weights += strength * unusual.clip(0, _MAX_RARITY)
    return torch.from_numpy(weights)


class TorsoRayDataset(RayDataset):
    """Rays from the lower face down, and everywhere."""

    config: NerfTorsoConfig
    pictures = ("gt", "torso")

    def _boxes(self, frame: int, pictures: Pictures) -> tuple[list[Box], list[float]]:
        height, width = pictures["gt"].shape[:2]
        _, y, _, h = clip_box(as_box(self.store.face_rect[frame]), height, width)
        top = min(y + round(0.6 * h), height - 1)
        return [(0, top, width, height - top), (0, 0, width, height)], [self.config.in_rect_percent]


class FrameDataset(BatchDataset):
    """Item ``i``: a whole test frame; the frames lie evenly over the test split."""

    def __init__(self, store: PersonStore, *, max_frames: int, condition: ConditionConfig) -> None:
        self.store, self.condition = store, condition
        frames = store.indices("test")
        if len(frames) == 0:
            frames = store.indices("train")[-1:]
        number = len(frames) if max_frames < 0 else min(max(max_frames, 1), len(frames))
        self.frames = frames[np.linspace(0, len(frames) - 1, number).astype(int)]
        self.background = torch.from_numpy(store.background.copy())

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, step: int) -> Batch:
        frame = int(self.frames[step])
        rects = {name: torch.from_numpy(getattr(self.store, name)[frame].copy()) for name in ("lip_rect", "eye_rect")}
        pictures = read_pictures(self.store, frame, ("gt", "masks"))
        box = mask_box(pictures["masks"][..., 0], as_box(self.store.face_rect[frame]))
        return {
            **frame_inputs(self.store, frame, self.condition),
            **{key: torch.from_numpy(picture.astype(np.float32) / 255) for key, picture in pictures.items()},
            **rects,
            "head_rect": torch.tensor(box),
            "background": self.background.float() / 255,
            "number": torch.tensor(step),
        }


def frame_inputs(store: PersonStore, frame: int, condition: ConditionConfig) -> dict[str, Tensor]:
    """Return the condition [1,S,W,C] and camera [1,4,4] of a frame."""
    return {
        "cond": head_condition(store, frame, condition)[None],
        "c2w": torch.from_numpy(store.c2w[frame].copy())[None],
    }


def read_pictures(store: PersonStore, frame: int, names: Sequence[str]) -> Pictures:
    """Return pictures of a frame, uint8 [H,W,C], out of ``gt``, ``masks`` and ``torso``."""
    readers = {"gt": store.gt, "masks": store.masks, "torso": store.torso}
    return {name: readers[name](frame) for name in names}
