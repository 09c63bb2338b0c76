"""Small runs of the three motion tasks on the tiny corpus, for their tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tasks.audio2motion.task import Audio2MotionTask, Audio2MotionTaskConfig
from tasks.base_task import Task, TaskConfig
from tasks.postnet.task import PostNetTask, PostNetTaskConfig
from tasks.syncnet.task import SyncNetTask, SyncNetTaskConfig
from tasks.trainer import train
from utils.commons.checkpoint import load_model
from utils.commons.experiment import save_config
from utils.data import paths

COMMON: dict[str, Any] = {
    "corpus": "tiny",
    "device": "cpu",
    "amp": "off",
    "num_threads": 1,
    "val_check_interval": 4,
    "eval_max_batches": 2,
    "num_ckpt_keep": 5,
    "lr": 3e-3,
}
SYNC: dict[str, Any] = {
    "sync_win_frames": 9,
    "syncnet_audio_channels": (12, 12, 16),
    "syncnet_mouth_channels": (12, 12, 12, 16),
    "syncnet_res_blocks": 0,
    "sync_batch_clips": 6,
    "sync_batch_pairs": 48,
}
VAE: dict[str, Any] = {
    "vae_hidden": 16,
    "vae_cond": 16,
    "vae_latent": 4,
    "vae_enc_layers": 1,
    "vae_dec_layers": 2,
    "flow_hidden": 8,
    "flow_layers": 1,
    "flow_steps": 2,
    "batch_clips": 4,
    "min_crop_frames": 24,
    "max_crop_frames": 40,
    "sync_pairs": 8,
}
POST: dict[str, Any] = {
    "video_id": "tim",
    "postnet_channels": (12, 16),
    "disc_win_frames": 3,
    "disc_channels": (8, 8, 8, 8),
    "batch_clips": 3,
    "batch_windows": 3,
    "crop_frames": 24,
    "sync_pairs": 8,
}


def sync_config(**changes: Any) -> TaskConfig:
    return SyncNetTask.resolve(SyncNetTaskConfig(**{**COMMON, **SYNC, **changes}))


def vae_config(**changes: Any) -> TaskConfig:
    return Audio2MotionTask.resolve(Audio2MotionTaskConfig(**{**COMMON, **VAE, **changes}))


def post_config(**changes: Any) -> TaskConfig:
    dirs = {"audio2motion_work_dir": "checkpoints/tiny/lm3d_vae", "syncnet_work_dir": "checkpoints/tiny/syncnet"}
    return PostNetTask.resolve(PostNetTaskConfig(**{**COMMON, **POST, **dirs, **changes}))


def run(task_cls: type[Task], config: TaskConfig, exp_name: str) -> Path:
    """Train as the command line does; return the experiment's folder."""
    work_dir = paths.experiment(exp_name)
    work_dir.mkdir(parents=True, exist_ok=True)
    save_config(work_dir, config)
    train(task_cls, config, work_dir)
    return work_dir


class CutError(RuntimeError):
    """Ends a run as a crash would."""


def assert_resume_is_exact(task_cls: type[Task], config: TaskConfig, where: Path) -> None:
    """Train whole and cut (two steps after a checkpoint, then resumed), and compare the networks bit by bit."""

    def cut(step: int) -> None:
        if step == 6:
            raise CutError

    train(task_cls, config, where / "whole")
    try:
        train(task_cls, config, where / "cut", after_step=cut)
    except CutError:
        pass
    else:
        raise AssertionError("the run was not cut")
    train(task_cls, config, where / "cut")
    (whole, step), (again, step_again) = load_model(where / "whole"), load_model(where / "cut")
    assert step == step_again == config.max_updates
    assert whole.keys() == again.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name
