"""Learning the original's radiance fields, to compare with: a head, then the torso before it (``field: vanilla``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.losses.image import mse
from modules.nerf.compositing import over
from modules.nerf.conditions import condition_width, stored_rows, stored_speech_condition
from modules.nerf.fields.vanilla import VanillaConfig, VanillaHead, VanillaTorso
from modules.nerf.sampling import camera_rays
from modules.nerf.vanilla_model import (
    compose_vanilla_frame,
    depth_range,
    head_blends,
    reference_camera,
    torso_blends,
    torso_code,
)
from modules.pretrained import load_pretrained
from tasks.base_task import Batch, BatchDataset, OptimizerSpec, TaskConfig
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig
from tasks.nerf.dataset import FrameDataset, HeadRayDataset, RayDataset, TorsoRayDataset, open_person
from tasks.nerf.task import RayTask
from utils.commons.schema import ConfigError
from utils.data import paths
from utils.data.person_store import PersonStore

_ATTENTION_RATE = 5.0
"""Learning rate of attention over that of everything else, as published."""


class SpeechAdded(BatchDataset):
    """The batches of another dataset with the speech windows of their frames, ``speech`` [F,S,W,C]."""

    def __init__(self, inner: RayDataset | FrameDataset, kind: str, *, window: int, smoothing: int) -> None:
        self.inner, self.kind, self.window, self.smoothing = inner, kind, window, smoothing
        self.frames = inner.frames

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __getitem__(self, step: int) -> Batch:
        batch = self.inner[step]
        rows = batch["frame_rows"].tolist() if "frame_rows" in batch else [step]
        windows = [
            stored_speech_condition(
                self.inner.store, int(self.frames[row]), self.kind, window=self.window, smoothing=self.smoothing
            )
            for row in rows
        ]
        return {**batch, "speech": torch.stack(windows)}


class VanillaHeadTask(RayTask):
    """A vanilla head, from landmarks or, with ``cond_type: speech``, from speech as AD-NeRF."""

    config_cls = NerfHeadConfig
    config: NerfHeadConfig

    def __init__(self, config: NerfHeadConfig) -> None:
        super().__init__(config)
        _check_depths(config)
        self.condition = config
        self.head = VanillaHead(config)
        self.model = nn.ModuleDict({"head": self.head})

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Take depths and the width of the condition from the dataset."""
        assert isinstance(config, NerfHeadConfig)
        store = open_person(config.video_id)
        return config.model_copy(update={"cond_in_dim": condition_width(store, config), **_depths(config, store)})

    def optimizers(self) -> dict[str, OptimizerSpec]:
        return {"head": _optimizer(self, self.head)}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return HeadRayDataset(self.store, self.config, rank=rank, condition=self.condition)

    def before_step(self, step: int, progress: float) -> None:
        self.head.attention_on.fill_(self.config.with_att and step >= self.config.no_smo_iterations)

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        rays = camera_rays(batch["c2w"], self.camera, batch["rows"], batch["columns"])
        code = self.head.encode(batch["cond"])
        target = _head_target(batch["gt"], batch["masks"], batch["background"])
        coarse, fine = head_blends(self.head, rays, code, jitter=batch["jitter"])
        background = batch["background"]
        return {"mse": mse(fine.over(background), target), "mse_coarse": mse(coarse.over(background), target)}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"mse": 1.0, "mse_coarse": 1.0}

    def render(self, batch: Batch) -> Tensor:
        return compose_vanilla_frame(
            self.head,
            None,
            cond=batch["cond"][0],
            speech=None,
            c2w=batch["c2w"][0],
            reference=batch["c2w"][0],
            camera=self.camera,
            background=batch["background"],
        )

    def target(self, batch: Batch) -> Tensor:
        return _head_target(batch["gt"], batch["masks"], batch["background"])


class VanillaTorsoTask(RayTask):
    """A vanilla torso under a trained vanilla head, which is frozen."""

    config_cls = NerfTorsoConfig
    config: NerfTorsoConfig

    def __init__(self, config: NerfTorsoConfig) -> None:
        super().__init__(config)
        _check_depths(config)
        head_dir = paths.under_work_root(config.head_model_dir or f"checkpoints/{config.video_id}/lm3d_nerf")
        head, _, _ = load_pretrained(VanillaHead, head_dir, ckpt_steps=config.head_ckpt_steps, child="head")
        self.head: VanillaHead = head
        self.condition = head.config
        self.torso = VanillaTorso(config)
        self.model = nn.ModuleDict({"torso": self.torso})
        self.reference = reference_camera(self.store)

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Take depths and the width of the speech features from the dataset."""
        assert isinstance(config, NerfTorsoConfig)
        store = open_person(config.video_id)
        width = stored_rows(store, config.torso_cond_speech).shape[1]
        return config.model_copy(update={"torso_cond_in_dim": width, **_depths(config, store)})

    def frozen(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def optimizers(self) -> dict[str, OptimizerSpec]:
        return {"torso": _optimizer(self, self.torso)}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return self._with_speech(TorsoRayDataset(self.store, self.config, rank=rank, condition=self.condition))

    def val_dataset(self) -> BatchDataset:
        data = super().val_dataset()
        assert isinstance(data, FrameDataset)
        return self._with_speech(data)

    def _with_speech(self, data: RayDataset | FrameDataset) -> BatchDataset:
        """Add the windows the torso hears; a head driven by speech hears the same."""
        config, head = self.config, self.head.config
        own = (config.torso_cond_speech, config.torso_cond_win_size, config.torso_smo_win_size)
        heads = (head.cond_speech, head.cond_win_size, head.smo_win_size)
        if head.cond_type == "speech" and heads != own:
            raise ConfigError(
                f"torso_cond_speech, torso_cond_win_size and torso_smo_win_size {own} must be those of the head that "
                f"hears the speech, {heads}"
            )
        return SpeechAdded(data, own[0], window=own[1], smoothing=own[2])

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        frames, background = len(batch["c2w"]), batch["background"]
        with torch.no_grad():
            rays = camera_rays(batch["c2w"], self.camera, batch["rows"], batch["columns"])
            head_code = self.head.encode(batch["cond"])
            head = [blend.over(background) for blend in head_blends(self.head, rays, head_code)]
        reference = self.reference.to(background.device).expand(frames, 4, 4)
        rays = camera_rays(reference, self.camera, batch["rows"], batch["columns"])
        code = torso_code(self.torso, batch["speech"], batch["c2w"])
        coarse, fine = torso_blends(self.torso, rays, code, head[1], jitter=batch["jitter"])
        return {"mse": mse(fine.over(head[1]), batch["gt"]), "mse_coarse": mse(coarse.over(head[0]), batch["gt"])}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"mse": 1.0, "mse_coarse": 1.0}

    def render(self, batch: Batch) -> Tensor:
        return compose_vanilla_frame(
            self.head,
            self.torso,
            cond=batch["cond"][0],
            speech=batch["speech"][0],
            c2w=batch["c2w"][0],
            reference=self.reference.to(batch["c2w"].device),
            camera=self.camera,
            background=batch["background"],
        )

    def target(self, batch: Batch) -> Tensor:
        return batch["gt"]


def _head_target(gt: Tensor, masks: Tensor, background: Tensor) -> Tensor:
    """Return the head alone before the background, [...,3]."""
    alpha = masks[..., 0]
    return over(gt * alpha[..., None], alpha, background)


def _optimizer(task: RayTask, network: nn.Module) -> OptimizerSpec:
    attention = [p for name, p in network.named_parameters() if "att" in name.split(".")[0]]
    others = [p for name, p in network.named_parameters() if "att" not in name.split(".")[0]]
    config = task.config
    groups = [{"params": others, "lr": config.lr}, {"params": attention, "lr": config.lr * _ATTENTION_RATE}]
    return OptimizerSpec(groups, schedule=task.schedule, clip_grad_norm=config.clip_grad_norm)


def _depths(config: VanillaConfig, store: PersonStore) -> dict[str, float]:
    if config.near or config.far:
        return {}
    near, far = depth_range(store)
    return {"near": near, "far": far}


def _check_depths(config: VanillaConfig) -> None:
    if config.far <= config.near:
        raise ConfigError(f"far must be beyond near, got near {config.near} and far {config.far}; 0 and 0 choose both")
