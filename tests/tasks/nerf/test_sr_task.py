from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from modules.nerf.renderers.frame_renderer import FrameRenderer
from modules.nerf.super_resolution import enlarge
from tasks.nerf.config import NerfSrConfig
from tasks.nerf.sr_task import NerfSrTask
from tasks.run import prepare
from tasks.trainer import train
from tests.support.tiny_person import write_tiny_person
from tests.tasks.nerf.test_tasks import COMMON, run
from utils.data import paths
from utils.data.person_store import PersonStore

SR = {**COMMON, "sr_channels": 8, "sr_frames": 3, "sr_patch": 12, "sr_batch": 4, "lr": 5e-3}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        write_tiny_person(paths.binary_video("tiny"), num_frames=24, size=48)
        run("head", "tiny/lm3d_nerf", updates=6, val_check_interval=100)
    return root


@pytest.fixture(autouse=True)
def _root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(root))


def test_the_network_learns_what_interpolation_misses() -> None:
    task = NerfSrTask(NerfSrConfig(**SR))
    batch, (group,) = task.train_dataset(rank=0, world_size=1)[0], task.optimizers()["sr"].groups
    optimizer = torch.optim.Adam(group["params"], lr=5e-3)
    errors = []
    for step in range(140):
        terms = task.training_step(batch, step=step, optimizer="sr")
        weights = task.loss_weights(step=step, progress=0, optimizer="sr")
        sum(terms[name] * weights[name] for name in weights).backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(terms["mse"].detach()))
    assert errors[-1] < 0.5 * errors[0]


def test_patches_lie_in_both_sizes_at_the_same_place() -> None:
    task = NerfSrTask(NerfSrConfig(**SR))
    batch = task.train_dataset(rank=0, world_size=1)[3]
    again = task.train_dataset(rank=0, world_size=1)[3]
    assert all(torch.equal(batch[key], again[key]) for key in batch)
    assert batch["gt"].shape == (4, 24, 24, 3)
    opacity, mask = enlarge(batch["small"], 2)[:, 3].flatten(), batch["masks"][..., 0].flatten()
    assert float(torch.corrcoef(torch.stack([opacity, mask]))[0, 1]) > 0.2


def test_the_fast_tier_renders_with_the_network() -> None:
    work_dir = paths.experiment("tiny/lm3d_nerf_sr")
    config = NerfSrConfig(**{**SR, "max_updates": 3, "val_check_interval": 100})
    prepare(work_dir, config, "tiny/lm3d_nerf_sr", reset=False)
    train(NerfSrTask, config, work_dir)
    store = PersonStore(paths.binary_video("tiny"))
    pictures = {}
    for tier in ("full", "fast", "preview"):
        frames = FrameRenderer.from_experiments(
            paths.experiment("tiny/lm3d_nerf"), None, store, device="cpu", amp="off", tier=tier, sr_work_dir=work_dir
        )
        assert (frames.scene.sr is not None) == (tier == "fast")
        pictures[tier] = frames.render(frames.conditions(np.asarray(store.lm3d[:1])), 0, store.c2w[0]).astype(float)
    errors = {tier: np.abs(pictures[tier] - pictures["full"]).mean() for tier in pictures}
    assert 0 < errors["fast"] < 20
    assert 0 < errors["preview"] < 20
