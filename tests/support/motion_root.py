"""A root folder with the tiny corpus, the tiny speaker and both experts, made once a session."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.audio2motion.task import Audio2MotionTask
from tasks.syncnet.task import SyncNetTask
from tests.support.motion_runs import run, sync_config, vae_config
from tests.support.tiny_corpus import write_tiny_corpus, write_tiny_speaker


def write_data(root: Path) -> None:
    """Write corpus ``tiny`` and person ``tim`` below ``root``."""
    (root / "data" / "binary" / "videos").mkdir(parents=True)
    write_tiny_corpus(root / "data" / "binary" / "tiny")
    write_tiny_speaker(root / "data" / "binary" / "videos" / "tim")


def train_experts() -> None:
    """Train small experts below GENEFACE_ROOT: a few steps only, enough for those who build on them."""
    assert os.environ["GENEFACE_ROOT"]
    run(SyncNetTask, sync_config(max_updates=8), "tiny/syncnet")
    config = vae_config(max_updates=60, lambda_prior=1.0, lambda_kl=0.01, val_check_interval=60)
    run(Audio2MotionTask, config, "tiny/lm3d_vae")
