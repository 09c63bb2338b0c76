from __future__ import annotations

from pathlib import Path

import pytest

from tasks.nerf.benchmark import training_row, vanilla_seconds
from tests.support.tiny_person import write_tiny_person
from tests.tasks.nerf.test_tasks import run
from utils.commons import checkpoint
from utils.data import paths


def test_training_is_timed_and_leaves_the_experiment_alone(tmp_path: Path) -> None:
    write_tiny_person(paths.binary_video("tiny"), num_frames=24, size=32)
    work_dir = run("head", "tiny/lm3d_nerf", updates=3, val_check_interval=100)
    before = {file: file.stat().st_mtime_ns for file in work_dir.rglob("*")}
    row = training_row(work_dir, steps=2, n_rays=128)
    assert (row.rays, row.amp) == (128, "off")
    assert row.rays_per_second == pytest.approx(128000 / (row.step_ms + row.batch_ms))
    assert before == {file: file.stat().st_mtime_ns for file in work_dir.rglob("*")}
    assert checkpoint.latest_step(work_dir) == 3


def test_the_original_costs_in_proportion_to_pixels() -> None:
    assert vanilla_seconds(64, repeats=1, rays=4) > 0.5, "2 networks, 4096 rays, 256 evaluations of 1.2 MFLOP"
