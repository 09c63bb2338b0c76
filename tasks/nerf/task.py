"""Learning a person's head from rays, and the torso under it."""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import Tensor, nn

from modules.losses.image import depth_spread, mse, opacity_entropy, structural_difference, total_variation
from modules.nerf.bounds import carve_by_landmarks, carve_by_masks, head_bounds, intrinsics_of
from modules.nerf.compositing import over
from modules.nerf.conditions import ConditionConfig, condition_width
from modules.nerf.fields.torso import picture_positions, pose_vector
from modules.nerf.model import HeadModel, TorsoModel, compose_frame
from modules.nerf.pose_offsets import PoseOffsets
from modules.nerf.precision import full_precision
from modules.nerf.sampling import camera_rays
from modules.pretrained import load_pretrained
from tasks.base_task import Batch, BatchDataset, Media, OptimizerSpec, Task, TaskConfig
from tasks.nerf.batch import first_square, head_alone, thin_rays
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig, RayConfig
from tasks.nerf.dataset import FrameDataset, HeadRayDataset, TorsoRayDataset, lip_patch, open_person
from tasks.nerf.validation import comparison, frame_metrics
from utils.commons import distributed
from utils.data import paths
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics

_WARMUP_DECAY = 0.75
_WARMUP_PROGRESS = 0.15
_POSE_START = 0.3
_SETTLED = 0.5
_PATCH_START = 0.4


class RayTask(Task):
    """What head and torso tasks share: one person, a falling learning rate, whole frames at validation."""

    config: RayConfig
    condition: ConditionConfig
    """What the head is told of a frame."""

    def __init__(self, config: RayConfig) -> None:
        super().__init__(config)
        self.store = open_person(config.video_id)
        self.camera: Intrinsics = intrinsics_of(self.store)
        self._shown: list[tuple[Tensor, Tensor, Batch]] = []

    def schedule(self, step: int, progress: float) -> float:
        """Return the factor on the learning rates: a short rise, then an exponential fall with progress."""
        rise = min(1.0, (step + 1) / max(1, self.config.warmup_updates))
        return rise * self.config.lr_final_factor**progress

    def val_dataset(self) -> BatchDataset:
        return FrameDataset(self.store, max_frames=self.config.eval_max_batches, condition=self.condition)

    @abc.abstractmethod
    def render(self, batch: Batch) -> Tensor:
        """Return the picture [H,W,3] of a validation batch."""

    @abc.abstractmethod
    def target(self, batch: Batch) -> Tensor:
        """Return what that picture should be."""

    def validation_step(self, batch: Batch, *, step: int) -> dict[str, float]:
        picture, target = self.render(batch), self.target(batch)
        number = int(batch["number"])
        if number == 0:
            self._shown.clear()
        if number < self.config.num_valid_plots:
            self._shown.append((picture.cpu(), target.cpu(), {key: value.cpu() for key, value in batch.items()}))
        return frame_metrics(picture, target, batch)

    def validation_media(self, *, step: int) -> list[Media]:
        shown, self._shown = self._shown, []
        return comparison(shown)


class NerfHeadTask(RayTask):
    """A head from landmarks (``<id>/lm3d_nerf``) or, with ``cond_type: speech``, from speech (``<id>/speech_nerf``)."""

    config_cls = NerfHeadConfig
    config: NerfHeadConfig

    @classmethod
    def variant(cls, config: TaskConfig) -> type[Task]:
        assert isinstance(config, NerfHeadConfig)
        from tasks.nerf.vanilla import VanillaHeadTask  # it builds on this module

        return VanillaHeadTask if config.field == "vanilla" else cls

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Take the width of the condition from the dataset."""
        assert isinstance(config, NerfHeadConfig)
        return config.model_copy(update={"cond_in_dim": condition_width(open_person(config.video_id), config)})

    def __init__(self, config: NerfHeadConfig) -> None:
        super().__init__(config)
        self.condition = config
        self.head = HeadModel(config)
        self.poses = PoseOffsets(len(self.store.indices("train")))
        self.model = nn.ModuleDict({"head": self.head, "poses": self.poses})
        self._poses_move = False
        self._patch = 0
        mean, std = torch.from_numpy(self.store.lm3d_mean), torch.from_numpy(self.store.lm3d_std)
        self.head.field.fit_person(mean, std, head_bounds(self.store))
        carve_by_masks(self.head.occupancy, self.head.field.aabb, self.store)
        carve_by_landmarks(self.head.occupancy, self.head.field.aabb, mean)

    def optimizers(self) -> dict[str, OptimizerSpec]:
        config = self.config
        planes = [p for name, p in self.head.named_parameters() if "planes" in name]
        nets = [p for name, p in self.head.named_parameters() if "planes" not in name]
        groups = [
            {"params": nets, "lr": config.lr},
            {"params": planes, "lr": config.lr * config.lr_planes_factor},
        ]
        if config.joint_pose:
            groups.append({"params": list(self.poses.parameters()), "lr": config.lr_pose})
        else:
            self.poses.requires_grad_(False)
        spec = OptimizerSpec(groups, eps=1e-12, schedule=self.schedule, clip_grad_norm=config.clip_grad_norm)
        return {"head": spec}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return HeadRayDataset(self.store, self.config, rank=rank, condition=self.condition)

    def before_step(self, step: int, progress: float) -> None:
        if step and step % self.config.update_extra_interval == 0:
            decay = _WARMUP_DECAY if progress < _WARMUP_PROGRESS else self.config.occupancy_decay
            distributed.maximum(self.head.occupancy.weight)  # each rank has seen other rays
            self.head.occupancy.update(decay, thin=progress >= _SETTLED)
        self._poses_move = progress >= _POSE_START
        late = progress >= _PATCH_START and step >= self.config.fog_steps
        self._patch = lip_patch(self.config) if late else 0

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        config = self.config
        if step < config.fog_steps:
            batch = thin_rays(batch, 4)
        c2w = batch["c2w"]
        if config.joint_pose:
            c2w = self.poses(c2w, batch["frame_rows"]) if self._poses_move else c2w
        rays = camera_rays(c2w, self.camera, batch["rows"], batch["columns"])
        state = self.head.frame(batch["cond"], code_noise=batch["code_noise"] * config.cond_noise_std)
        seen = self.head.renderer.render_rays(rays, state, phase=batch["jitter"])
        self.head.occupancy.observe(seen.samples.cells, seen.weights.detach())
        alpha = batch["masks"][:, 0]
        picture, target = over(seen.rgb, seen.opacity, batch["background"]), head_alone(batch)
        terms = {
            "mse": mse(picture, target),
            "alpha": mse(seen.opacity, alpha),
            "weights_entropy": opacity_entropy(seen.opacity),
            "depth_spread": depth_spread(
                seen.weights, seen.samples.depths * 100, seen.samples.ray_index, num_rays=len(alpha)
            ),
        }
        if self._patch:
            lips = (first_square(pixels, len(c2w), self._patch) for pixels in (picture, target))
            terms["lip_ssim"] = full_precision(structural_difference)(*lips)
        return {**terms, "pose": self.poses.penalty(batch["frame_rows"])} if config.joint_pose else terms

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        config = self.config
        weights = {
            "mse": 1.0,
            "alpha": config.lambda_alpha,
            "weights_entropy": config.lambda_weights_entropy,
            "depth_spread": config.lambda_depth_spread,
        }
        if self._patch:
            weights["lip_ssim"] = config.lambda_lip_ssim
        return {**weights, "pose": config.lambda_pose} if config.joint_pose else weights

    def render(self, batch: Batch) -> Tensor:
        return compose_frame(
            self.head,
            None,
            cond=batch["cond"][0],
            c2w=batch["c2w"][0],
            camera=self.camera,
            background=batch["background"],
        )[0]

    def target(self, batch: Batch) -> Tensor:
        return head_alone(batch)


class NerfTorsoTask(RayTask):
    """The torso under a trained head: ``<id>/lm3d_nerf_torso``."""

    config_cls = NerfTorsoConfig
    config: NerfTorsoConfig

    @classmethod
    def variant(cls, config: TaskConfig) -> type[Task]:
        assert isinstance(config, NerfTorsoConfig)
        from tasks.nerf.vanilla import VanillaTorsoTask  # it builds on this module

        return VanillaTorsoTask if config.field == "vanilla" else cls

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        assert isinstance(config, NerfTorsoConfig)
        if config.torso_texture_size:
            return config
        return config.model_copy(update={"torso_texture_size": open_person(config.video_id).manifest.height})

    def __init__(self, config: NerfTorsoConfig) -> None:
        super().__init__(config)
        head_dir = config.head_model_dir or f"checkpoints/{config.video_id}/lm3d_nerf"
        head, _, _ = load_pretrained(
            HeadModel, paths.under_work_root(head_dir), ckpt_steps=config.head_ckpt_steps, child="head"
        )
        self.head: HeadModel = head
        self.condition = self.head.config
        self.torso = TorsoModel(config)
        self.model = nn.ModuleDict({"torso": self.torso})
        poses = pose_vector(torch.from_numpy(np.asarray(self.store.c2w)[self.store.indices("train")]))
        self.torso.field.fit_person(poses, typical_torso_layer(self.store, poses))

    def frozen(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def optimizers(self) -> dict[str, OptimizerSpec]:
        config, field = self.config, self.torso.field
        pictures = [field.texture, field.shades]
        nets = [p for name, p in field.named_parameters() if name not in ("texture", "shades")]
        groups = [
            {"params": nets, "lr": config.lr},
            {"params": pictures, "lr": config.lr * config.lr_texture_factor},
        ]
        return {"torso": OptimizerSpec(groups, schedule=self.schedule, clip_grad_norm=config.clip_grad_norm)}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return TorsoRayDataset(self.store, self.config, rank=rank, condition=self.condition)

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        rays = camera_rays(batch["c2w"], self.camera, batch["rows"], batch["columns"])
        with torch.no_grad():
            seen = self.head.renderer.render_rays(rays, self.head.frame(batch["cond"]))
        state = self.torso.field.frame(pose_vector(batch["c2w"]))
        positions = picture_positions(batch["rows"], batch["columns"], self.camera.height, self.camera.width)
        rgb, alpha = self.torso.field.draw(positions, state, rays.counts)
        picture = over(seen.rgb, seen.opacity, over(rgb, alpha, batch["background"]))
        layer_alpha = batch["torso"][:, 3]
        layer = torch.cat([batch["torso"][:, :3] * layer_alpha[:, None], layer_alpha[:, None]], dim=1)
        return {
            "mse": mse(picture, batch["gt"]),
            "torso_layer": mse(torch.cat([rgb, alpha[:, None]], dim=1), layer),
            "torso_warp": total_variation(state.warp),
        }

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        config = self.config
        return {"mse": 1.0, "torso_layer": config.lambda_torso_layer, "torso_warp": config.lambda_torso_warp}

    def render(self, batch: Batch) -> Tensor:
        return compose_frame(
            self.head,
            self.torso,
            cond=batch["cond"][0],
            c2w=batch["c2w"][0],
            camera=self.camera,
            background=batch["background"],
        )[0]

    def target(self, batch: Batch) -> Tensor:
        return batch["gt"]


def typical_torso_layer(store: PersonStore, poses: Tensor) -> Tensor:
    """Return the torso layer of the training frame whose pose is nearest to the median, RGBA [4,H,W] in [0,1]."""
    spread = poses.std(dim=0, unbiased=False).clamp(min=1e-6)
    distance = ((poses - poses.median(dim=0).values) / spread).square().sum(dim=-1)
    layer = store.torso(int(store.indices("train")[int(distance.argmin())]))
    return torch.from_numpy(layer.astype(np.float32) / 255).permute(2, 0, 1)
