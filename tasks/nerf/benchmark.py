"""Rays a second in training a person's head, and the original's network beside it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from modules.nerf.fields.vanilla import NerfMlp, VanillaHeadConfig
from tasks.nerf.config import NerfHeadConfig
from tasks.nerf.task import NerfHeadTask
from tasks.updates import Updater
from utils.commons.checkpoint import latest_step, load_model, load_strict
from utils.commons.experiment import load_experiment_config
from utils.commons.runtime import Runtime


@dataclass(frozen=True)
class TrainingRow:
    """Medians over training steps of a trained head."""

    processes: int
    """That share a step."""
    rays: int
    """Rays of a step, all processes together."""
    step_ms: float
    batch_ms: float
    """Of preparing a batch, which is not part of ``step_ms``."""
    amp: str

    @property
    def rays_per_second(self) -> float:
        """Preparing and learning one after the other, as without worker processes."""
        return 1000 * self.rays / (self.step_ms + self.batch_ms)


def training_row(work_dir: Path, *, steps: int = 8, n_rays: int = 0) -> TrainingRow:
    """Return the medians of ``steps`` further steps of a trained head, after three to warm up; nothing is saved.

    Under torchrun each process takes rays of its own, as in training, and all wait for the slowest.
    """
    values = load_experiment_config(work_dir)
    config = NerfHeadConfig.from_flat(values | ({"n_rays": n_rays} if n_rays else {}))
    runtime = Runtime.create(config.device, seed=config.seed, amp=config.amp, num_threads=config.num_threads)
    task = NerfHeadTask(config)
    tensors, step = load_model(work_dir, latest_step(work_dir) or 0)
    load_strict(task.model, tensors, str(work_dir))
    task.model.to(runtime.device).train()
    updater, data = Updater(task, runtime), task.train_dataset(rank=runtime.rank, world_size=runtime.world_size)
    step_ms, batch_ms = [], []
    for number in range(step, step + steps + 3):
        start = time.perf_counter()
        batch = data[number]
        middle = time.perf_counter()
        with runtime.autocast():
            task.before_step(number, 0.9)
        updater.update([batch], step=number, progress=0.9)
        batch_ms.append(1000 * (middle - start))
        step_ms.append(1000 * (time.perf_counter() - middle))
    return TrainingRow(
        processes=runtime.world_size,
        rays=len(batch["rows"]) * runtime.world_size,
        step_ms=round(statistics.median(step_ms[3:]), 1),
        batch_ms=round(statistics.median(batch_ms[3:]), 1),
        amp=runtime.amp,
    )


@torch.inference_mode()
def vanilla_seconds(size: int = 512, *, repeats: int = 5, rays: int = 256) -> float:
    """Return the seconds the original's head and torso need for a picture of ``size``², scaled from some rays.

    Each ray costs the coarse samples once and the coarse and fine ones again, in each of both networks.
    """
    config = VanillaHeadConfig()
    evaluations = 2 * config.n_samples_per_ray + config.n_samples_per_ray_fine
    network = NerfMlp(64, config.vanilla_hidden_size)
    positions = torch.rand(rays, evaluations, 3)
    cond, view = torch.rand(rays, 64), torch.rand(rays, 3)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        network(positions, cond, view)
        seconds.append(time.perf_counter() - start)
    return 2 * statistics.median(seconds[1:]) * size**2 / rays
