from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from utils.commons.checkpoint import (
    Best,
    clean_leftovers,
    latest_step,
    load_best,
    load_model,
    load_strict,
    load_trainer_state,
    model_path,
    save_checkpoint,
    saved_steps,
    state_path,
)
from utils.commons.schema import DataError
from utils.data.paths import CODE_ROOT


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((3, 2), value), "count": torch.tensor(int(value))}


def save(folder: Path, step: int, *, keep: int = 2, best: Best | None = None) -> None:
    save_checkpoint(folder, step, tensors(step), {"step": step, "nested": {"lr": [0.1], "on": True}}, keep, best=best)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path, 5)
    model, step = load_model(tmp_path)
    assert step == 5
    torch.testing.assert_close(model, tensors(5), rtol=0, atol=0)
    assert load_trainer_state(tmp_path, 5) == {"step": 5, "nested": {"lr": [0.1], "on": True}}


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 9, best=Best(9, 0.5, "val_loss"))
    for step in (10, 100, 101):
        save(tmp_path, step)
    assert saved_steps(tmp_path) == [9, 100, 101]
    assert [state_path(tmp_path, step).exists() for step in (9, 10, 100, 101)] == [True, False, True, True]
    assert load_best(tmp_path) == Best(9, 0.5, "val_loss")
    assert load_model(tmp_path)[1] == 101
    assert load_model(tmp_path, 9)[1] == 9


def test_a_new_best_frees_the_old_one(tmp_path: Path) -> None:
    save(tmp_path, 1, keep=1, best=Best(1, 0.5, "x"))
    save(tmp_path, 2, keep=1, best=Best(2, 0.4, "x"))
    assert saved_steps(tmp_path) == [2]


def test_views_and_tied_tensors_are_saved(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    save_checkpoint(tmp_path, 1, {"a": base.T, "b": base, "c": base[0]}, {}, 1)
    torch.testing.assert_close(load_model(tmp_path)[0], {"a": base.T, "b": base, "c": base[0]})


def test_a_model_without_state_serves_inference_but_not_resuming(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    state_path(tmp_path, 2).unlink()
    assert latest_step(tmp_path) == 2
    assert latest_step(tmp_path, resumable=True) == 1


def test_leftovers_of_a_killed_run_are_cleaned_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 1)
    state_path(tmp_path, 2).write_bytes(b"state of a model never written")
    (tmp_path / ".model_ckpt_steps_2.part77.safetensors").write_bytes(b"half")
    (tmp_path / ".lock").touch()
    clean_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        model_path(tmp_path, 1).name,
        state_path(tmp_path, 1).name,
    ]


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_damaged_model_is_named_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    save(tmp_path, 3)
    save(tmp_path, 4)
    path = model_path(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    message = r"model_ckpt_steps_4\.safetensors is damaged .*delete .* to fall back to step 3"
    with pytest.raises(DataError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_damaged_state_is_named_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    save(tmp_path, 4)
    path = state_path(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with pytest.raises(DataError, match=r"trainer_state_steps_4\.pt is damaged .*to train from the beginning"):
        load_trainer_state(tmp_path, 4)


def test_flipped_bytes_inside_a_state_are_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, tensors(1), {"moments": torch.rand(1000)}, 1)
    path = state_path(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="is damaged"):
        load_trainer_state(tmp_path, 1)


def test_damaged_best_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(json.dumps({"step": 1}))
    with pytest.raises(DataError, match=r"best\.json is damaged .*delete it"):
        load_best(tmp_path)


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("lrs3/syncnet", "bash scripts/train_syncnet.sh"),
        ("lrs3/lm3d_vae", "bash scripts/train_audio2motion.sh"),
        ("May/postnet", "bash scripts/train_postnet.sh May"),
        ("May/lm3d_nerf_torso", "bash scripts/train_nerf.sh May"),
        ("May/lm3d_nerf_sr", "bash scripts/train_nerf.sh May"),
    ],
)
def test_a_missing_experiment_tells_how_to_train_it(tmp_path: Path, folder: str, command: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_model(tmp_path / "checkpoints" / folder)
    assert str(caught.value) == f"no checkpoint in checkpoints/{folder}; train it first: {command}"


def test_a_missing_step_tells_the_known_ones(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save(tmp_path, 8)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 5 in .*; there are 3, 8"):
        load_model(tmp_path, 5)


def test_tensors_of_another_model_are_listed() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    found = {
        "0.weight": torch.zeros(4, 2),
        "0.bias": torch.zeros(3),
        "1.weight": torch.zeros(1, 3),
        "old": torch.zeros(1),
    }
    with pytest.raises(DataError) as caught:
        load_strict(module, found, "x.safetensors")
    text = str(caught.value)
    for part in (
        "x.safetensors belongs to another model",
        "missing: 1.bias",
        "unexpected: old",
        "0.weight [4, 2] instead of [3, 2]",
    ):
        assert part in text


_SAVER = """
import sys, torch
from pathlib import Path
from utils.commons.checkpoint import save_checkpoint
step = 0
while True:
    step += 1
    model = {"weight": torch.full((500_000,), float(step))}
    save_checkpoint(Path(sys.argv[1]), step, model, {"step": step, "moments": torch.full((1_000_000,), float(step))}, 2)
    print(step, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.01])
def test_kill_9_during_saves_leaves_a_loadable_experiment(tmp_path: Path, delay: float) -> None:
    """A process that does nothing but save is killed at an arbitrary moment (4 s in all)."""
    command = [sys.executable, "-c", _SAVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=CODE_ROOT, env={**os.environ, "PYTHONPATH": "."}
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    clean_leftovers(tmp_path)
    step = latest_step(tmp_path, resumable=True)
    assert step is not None
    assert step >= 3
    assert step == latest_step(tmp_path)
    assert torch.equal(load_model(tmp_path)[0]["weight"], torch.full((500_000,), float(step)))
    assert torch.equal(load_trainer_state(tmp_path, step)["moments"], torch.full((1_000_000,), float(step)))
    assert not list(tmp_path.glob(".*part*"))
