from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tasks import run
from tasks.launch import companions
from tests.support.tiny_person import write_tiny_person
from utils.commons.checkpoint import latest_step, load_model
from utils.commons.schema import ConfigError
from utils.data import paths
from utils.data.paths import CODE_ROOT

HEAD = {
    **{"task_cls": "tasks.nerf.task.NerfHeadTask", "video_id": "tiny", "amp": "off", "num_sanity_val_steps": 0},
    **{"plane_sizes": [16, 32], "blend_size": 16, "warp_grid_size": 16, "grid_size": 24, "step_size": 0.01},
    **{"n_rays": 256, "frames_per_step": 2, "fog_steps": 2, "lr": 5e-3, "update_extra_interval": 2},
}
SCRIPT = """
import os, sys, time
sys.path.insert(0, {root!r})
from tasks import run
from tasks.launch import companions
with companions(2 if "--processes" not in sys.argv else 1, []):
    if os.environ["RANK"] == {failing!r}:
        sys.exit("this one is broken")
    time.sleep(60)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_tiny_person(paths.binary_video("tiny"), num_frames=24, size=32)
    config = tmp_path / "head.yaml"
    config.write_text(yaml.safe_dump(HEAD), encoding="utf-8")
    script = str(CODE_ROOT / "tasks" / "run.py")
    return [sys.executable, script, "--config", str(config), "--exp_name", "tiny/head", "--processes", "2"]


def test_two_processes_train_a_head_and_one_of_them_reports(command: list[str]) -> None:
    done = subprocess.run([*command, "--hparams", "max_updates=6"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    work_dir = paths.experiment("tiny/head")
    assert latest_step(work_dir) == 6
    assert done.stderr.count("training is complete: step 6") == 1
    cells, _ = load_model(work_dir)
    assert cells["head.occupancy.occupied"].any()


def test_a_stopped_training_saves_and_leaves_nobody_behind(command: list[str]) -> None:
    process = subprocess.Popen([*command, "--hparams", "max_updates=100000"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "step" in line and "/100000" in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM, rest
    assert "stopped by a signal and saved" in rest
    assert latest_step(paths.experiment("tiny/head"))


@pytest.mark.parametrize(("failing", "told"), [("0", "this one is broken"), ("1", "error: one of the training's proc")])
def test_nobody_waits_for_a_process_that_failed(tmp_path: Path, failing: str, told: str) -> None:
    script = tmp_path / "broken.py"
    script.write_text(SCRIPT.format(root=str(CODE_ROOT), failing=failing), encoding="utf-8")
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=50)
    assert time.monotonic() - began < 40
    assert done.returncode != 0
    assert told in done.stderr
    assert "this one is broken" in done.stderr


def test_a_process_that_leaves_a_little_earlier_is_no_failure(tmp_path: Path) -> None:
    script = tmp_path / "early.py"
    text = SCRIPT.format(root=str(CODE_ROOT), failing="1").replace("time.sleep(60)", "time.sleep(2)")
    script.write_text(text.replace('"this one is broken"', "128"), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_processes_is_named(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse_arguments([f"--processes={number}"])
    assert f"argument --processes: must be a whole number of 1 or more, got '{number}'" in capsys.readouterr().err


def test_torchrun_and_processes_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ConfigError, match="nproc_per_node"), companions(2, []):
        pass
    with companions(1, []):
        assert os.environ["RANK"] == "1"
