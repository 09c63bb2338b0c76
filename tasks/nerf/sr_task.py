"""Learning the network that enlarges a person's head: ``<id>/lm3d_nerf_sr``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.losses.image import mse
from modules.nerf.compositing import over
from modules.nerf.conditions import head_condition
from modules.nerf.model import HeadModel, compose_state
from modules.nerf.super_resolution import FACTOR, SuperResolution, shrunk
from modules.pretrained import load_pretrained
from tasks.base_task import Batch, BatchDataset, OptimizerSpec
from tasks.nerf.batch import head_alone
from tasks.nerf.config import NerfSrConfig
from tasks.nerf.sr_dataset import SrPatchDataset
from tasks.nerf.task import RayTask
from utils.data import paths

_BORDER = 3 * FACTOR
"""Pixels at the border of a patch that the network knows too little of."""


class NerfSrTask(RayTask):
    """The network between a head drawn at half the size and the true picture."""

    config_cls = NerfSrConfig
    config: NerfSrConfig

    def __init__(self, config: NerfSrConfig) -> None:
        super().__init__(config)
        head_dir = config.head_model_dir or f"checkpoints/{config.video_id}/lm3d_nerf"
        head, _, _ = load_pretrained(
            HeadModel, paths.under_work_root(head_dir), ckpt_steps=config.head_ckpt_steps, child="head"
        )
        self.head: HeadModel = head
        self.condition = head.config
        self.sr = SuperResolution(config)
        self.model = nn.ModuleDict({"sr": self.sr})

    def frozen(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def optimizers(self) -> dict[str, OptimizerSpec]:
        groups = [{"params": list(self.sr.parameters()), "lr": self.config.lr}]
        return {"sr": OptimizerSpec(groups, schedule=self.schedule, clip_grad_norm=self.config.clip_grad_norm)}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return SrPatchDataset(self.store, self.config, self.draw_small, rank=rank)

    @torch.no_grad()
    def draw_small(self, frame: int) -> Tensor:
        """Return the head of a frame at half the size, [4,h,w]."""
        device = self.head.field.aabb.device
        cond = head_condition(self.store, frame, self.condition)[None].to(device)
        c2w = torch.from_numpy(self.store.c2w[frame].copy()).to(device)
        camera = shrunk(self.camera, FACTOR)
        seen = self.head.renderer.render_frame(self.head.frame(cond), c2w, camera)
        small = torch.cat([seen.rgb, seen.opacity[:, None]], dim=1)
        return small.t().reshape(4, camera.height, camera.width).cpu()

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        large = self.sr(batch["small"]).permute(0, 2, 3, 1)
        inner = slice(_BORDER, -_BORDER)
        rgb, alpha = large[:, inner, inner, :3], large[:, inner, inner, 3]
        true = {key: value[:, inner, inner] for key, value in batch.items() if key != "small"}
        picture, target = over(rgb, alpha, true["background"]), head_alone(true)
        edges = [(picture.diff(dim=axis) - target.diff(dim=axis)).abs().mean() for axis in (1, 2)]
        return {
            "mse": mse(picture, target),
            "alpha": mse(alpha, true["masks"][..., 0]),
            "edges": edges[0] + edges[1],
        }

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"mse": 1.0, "alpha": self.config.lambda_alpha, "edges": self.config.lambda_edges}

    def render(self, batch: Batch) -> Tensor:
        return compose_state(
            self.head,
            None,
            state=self.head.frame(batch["cond"]),
            c2w=batch["c2w"][0],
            camera=self.camera,
            background=batch["background"],
            scale=FACTOR,
            sr=self.sr,
        )[0]

    def target(self, batch: Batch) -> Tensor:
        return head_alone(batch)
