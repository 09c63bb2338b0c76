from __future__ import annotations

import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tasks.base_task import Media, Task
from tasks.trainer import train
from tests.support.toy_task import ToyConfig, ToyGanTask, ToyMediaTask, ToyTask
from utils.commons.checkpoint import latest_step, load_best, load_model, load_trainer_state, model_path, saved_steps
from utils.commons.runtime import Runtime
from utils.commons.schema import ConfigError, DataError, TrainingError
from utils.data.paths import CODE_ROOT


def config(**changes: Any) -> ToyConfig:
    return ToyConfig(**{"max_updates": 12, "val_check_interval": 5, "lr": 1e-2, "num_ckpt_keep": 2, **changes})


class CutError(Exception):
    pass


def stop_at(step: int) -> Any:
    def after_step(done: int) -> None:
        if done == step:
            raise CutError

    return after_step


def assert_same_state(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_state(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same_state(a, b)
    else:
        assert one == other


def assert_same_experiment(one: Path, other: Path) -> None:
    models = [load_model(folder) for folder in (one, other)]
    assert models[0][1] == models[1][1]
    assert_same_state(models[0][0], models[1][0])
    states = [load_trainer_state(folder, models[0][1]) for folder in (one, other)]
    for state in states:
        state.pop("elapsed_seconds")
    assert_same_state(*states)


@pytest.mark.parametrize(
    ("task_cls", "changes"),
    [
        (ToyTask, {}),
        (ToyGanTask, {}),
        (ToyGanTask, {"accumulate_grad_batches": 2}),
        (ToyTask, {"num_workers": 1}),
        (ToyTask, {"amp": "bf16"}),
    ],
)
def test_resume_equals_uninterrupted_run(tmp_path: Path, task_cls: type[Task], changes: dict[str, Any]) -> None:
    """Bitwise: networks, both optimizers' moments, task state. The run is cut two steps after its checkpoint."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(task_cls, config(**changes), whole)
    with pytest.raises(CutError):
        train(task_cls, config(**changes), cut, after_step=stop_at(7))
    assert latest_step(cut) == 5
    result = train(task_cls, config(**changes), cut)
    assert (result.step, result.reason) == (12, "complete")
    assert_same_experiment(whole, cut)


def test_validation_does_not_influence_training(tmp_path: Path) -> None:
    train(ToyTask, config(val_check_interval=1), tmp_path / "often")
    train(ToyTask, config(val_check_interval=100, num_sanity_val_steps=0), tmp_path / "never")
    assert_same_state(load_model(tmp_path / "often")[0], load_model(tmp_path / "never")[0])


def test_the_seed_decides_the_result(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(ToyTask, config(seed=seed), tmp_path / name)
    a, b, c = (load_model(tmp_path / name)[0]["net.0.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_training_learns(tmp_path: Path) -> None:
    train(ToyTask, config(max_updates=400, val_check_interval=50, batch_size=16, lr=2e-2, hidden_size=32), tmp_path)
    assert load_best(tmp_path).value < 0.3  # type: ignore[union-attr]


def test_max_updates_counts_exactly_and_a_finished_run_stays_finished(tmp_path: Path) -> None:
    done: list[int] = []
    train(ToyTask, config(), tmp_path, after_step=done.append)
    assert done == list(range(1, 13))
    assert train(ToyTask, config(), tmp_path, after_step=done.append).reason == "complete"
    assert len(done) == 12
    train(ToyTask, config(max_updates=13), tmp_path, after_step=done.append)
    assert done[-1] == 13


def test_accumulation_uses_consecutive_batches(tmp_path: Path) -> None:
    kept: list[ToyTask] = []

    class Kept(ToyTask):
        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            kept.append(self)

    train(Kept, config(max_updates=4, accumulate_grad_batches=2), tmp_path / "two")
    train(Kept, config(max_updates=8), tmp_path / "one")
    assert_same_state(kept[0].seen_indices, kept[1].seen_indices)


def test_each_optimizer_moves_its_own_parameters_only(tmp_path: Path) -> None:
    """The discriminator rests on odd steps and the generator's loss runs through it: it must not move then."""
    snapshots: list[dict[str, torch.Tensor]] = []

    class Watched(ToyGanTask):
        def before_step(self, step: int, progress: float) -> None:
            snapshots.append({name: tensor.clone() for name, tensor in self.model.state_dict().items()})

    train(Watched, config(max_updates=3), tmp_path)
    moved = [{n.split(".")[0] for n in a if not torch.equal(a[n], b[n])} for a, b in itertools.pairwise(snapshots)]
    assert moved == [{"net", "disc"}, {"net"}]


def test_progress_follows_the_clock_when_there_is_one(tmp_path: Path) -> None:
    seen: list[float] = []

    class Watched(ToyTask):
        def before_step(self, step: int, progress: float) -> None:
            seen.append(progress)

    result = train(Watched, config(max_updates=10**6, max_minutes=0.4 / 60, val_check_interval=10**6), tmp_path)
    assert result.reason == "time"
    assert 0.4 <= result.seconds < 3
    assert seen == sorted(seen)
    assert seen[0] < 0.2
    assert seen[-1] > 0.8
    assert latest_step(tmp_path) == result.step
    assert load_trainer_state(tmp_path, result.step)["elapsed_seconds"] >= 0.4
    assert train(Watched, config(max_updates=10**6, max_minutes=0.4 / 60), tmp_path).step == result.step


def test_best_checkpoint_is_kept(tmp_path: Path) -> None:
    values = iter([9.0, 3.0, 1.00004, 1.00003, 5.0, 4.0, float("nan")])

    class Scripted(ToyTask):
        def validation_step(self, batch: Any, *, step: int) -> dict[str, float]:
            return {"val_loss": next(values)}

    once = config(max_updates=6, val_check_interval=1, eval_max_batches=1, num_ckpt_keep=1)
    train(Scripted, once, tmp_path)
    assert saved_steps(tmp_path) == [3, 6]
    assert json.loads((tmp_path / "best.json").read_text()) == {"step": 3, "value": 1.00003, "key": "val_loss"}


def test_best_can_be_the_largest(tmp_path: Path) -> None:
    class Scripted(ToyTask):
        def validation_step(self, batch: Any, *, step: int) -> dict[str, float]:
            return {"accuracy": -abs(step - 2.0)}

    keys = {"valid_monitor_key": "accuracy", "valid_monitor_mode": "max"}
    train(Scripted, config(max_updates=4, val_check_interval=1, num_ckpt_keep=1, **keys), tmp_path)
    assert load_best(tmp_path).step == 2  # type: ignore[union-attr]


def test_a_wrong_monitor_key_is_refused_before_training(tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(ConfigError, match="valid_monitor_key 'psnr' is no validation figure; there are val_loss"):
        train(ToyTask, config(valid_monitor_key="psnr"), tmp_path, after_step=done.append)
    assert not done


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path: Path) -> None:
    message = r"loss 'mse' is not finite at step 7 \(nan\); last checkpoint: exp @ 5"
    with pytest.raises(TrainingError, match=message):
        train(ToyTask, config(nan_at_step=7), tmp_path / "exp")
    assert all(torch.isfinite(tensor).all() for tensor in load_model(tmp_path / "exp")[0].values())


def test_a_gradient_that_is_not_finite_names_the_parameter(tmp_path: Path) -> None:
    message = r"gradient of optimizer 'net' is not finite at step 2, first in 'net\.0\.weight'; last checkpoint: none"
    with pytest.raises(TrainingError, match=message):
        train(ToyTask, config(nan_weight_at_step=2), tmp_path)


def test_a_loss_term_without_weight_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"optimizer 'net': .* terms without weight: \['size'\]"):
        train(ToyTask, config(forget_weight=True), tmp_path)


def test_task_state_changed_by_validation_is_saved_and_restored(tmp_path: Path) -> None:
    gates: list[bool] = []

    class Watched(ToyTask):
        def before_step(self, step: int, progress: float) -> None:
            gates.append(bool(self.state_vars["gate"]))

    train(Watched, config(max_updates=6), tmp_path)
    assert gates == [False] * 5 + [True]
    train(Watched, config(max_updates=8), tmp_path)
    assert gates[6:] == [True, True]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train(ToyTask, config(), tmp_path)
    with pytest.raises(
        DataError, match=r"model_ckpt_steps_12\.safetensors belongs to another model .*net\.0\.weight \[8, 3\]"
    ):
        train(ToyTask, config(hidden_size=4), tmp_path)


def test_after_deleting_a_damaged_checkpoint_training_falls_back(tmp_path: Path) -> None:
    train(ToyTask, config(), tmp_path)
    model_path(tmp_path, 12).write_bytes(b"damaged")
    with pytest.raises(DataError, match="to fall back to step 10"):
        train(ToyTask, config(), tmp_path)
    model_path(tmp_path, 12).unlink()
    done: list[int] = []
    train(ToyTask, config(), tmp_path, after_step=done.append)
    assert done == [11, 12]


def test_an_experiment_in_training_is_locked(tmp_path: Path) -> None:
    def again(step: int) -> None:
        train(ToyTask, config(), tmp_path)

    with pytest.raises(ConfigError, match="is being trained by another process"):
        train(ToyTask, config(), tmp_path, after_step=again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    result = train(
        ToyTask, config(), tmp_path, after_step=lambda step: os.kill(os.getpid(), number) if step == 8 else None
    )
    assert (result.reason, result.step, result.signal_number) == ("signal", 8, number)
    assert latest_step(tmp_path, resumable=True) == 8
    assert signal.getsignal(number) == before


def test_everything_worth_seeing_is_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    films: dict[str, Media] = {}
    train(
        ToyMediaTask,
        config(tb_log_interval=1, max_updates=5),
        tmp_path,
        video=lambda path, media: films.update({str(path): media}),
    )
    events = EventAccumulator(str(tmp_path / "tb_logs"))
    events.Reload()
    tags = events.Tags()
    assert {"tr/mse", "tr/size", "tr/loss_net", "grad_norm/net", "lr/net_0", "val/val_loss"} <= set(tags["scalars"])
    rates = [event.value for event in events.Scalars("lr/net_0")]
    np.testing.assert_allclose(rates, [1e-2 * (1 - 0.5 * step / 5) for step in range(5)], rtol=1e-6)
    total = events.Scalars("tr/mse")[0].value + 1e-3 * events.Scalars("tr/size")[0].value
    assert math.isclose(events.Scalars("tr/loss_net")[0].value, total, rel_tol=1e-5)
    assert set(tags["images"]) == {"picture", "film/talking"}
    assert tags["audio"] == ["sound"]
    strip = events.Images("film/talking")[0]
    assert (strip.width, strip.height) == (8 * 16, 16)
    assert list(films) == [str(tmp_path / "validation" / "film_talking_5.mp4")]
    assert re.search(r"step 5: val_loss", (tmp_path / "train.log").read_text())


def test_amp_auto_keeps_the_choice_of_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    real = Runtime.create.__func__  # type: ignore[attr-defined]

    def create(cls: type[Runtime], device: str, **options: Any) -> Runtime:
        chosen.append(options["amp"])
        return real(cls, device, **{**options, "amp": "bf16" if options["amp"] == "auto" else options["amp"]})

    monkeypatch.setattr(Runtime, "create", classmethod(create))
    train(ToyTask, config(amp="auto", max_updates=2), tmp_path)
    train(ToyTask, config(amp="auto", max_updates=4), tmp_path)
    assert chosen == ["auto", "bf16"]


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """Two gloo processes by torchrun (about 12 s): equal parameters, different batches, and the run resumes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    command += ["-m", "tests.support.ddp_toy", str(tmp_path)]
    for max_updates in (6, 9):
        environment = {**os.environ, "PYTHONPATH": str(CODE_ROOT)}
        run = subprocess.run(
            [*command, str(max_updates)], cwd=CODE_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr[-3000:]
        ranks = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
        indices = [rank.pop("seen_indices") for rank in ranks]
        assert_same_state(ranks[0], ranks[1])
        assert not set(indices[0][0].tolist()) & set(indices[1][0].tolist())
        saved, step = load_model(tmp_path / "exp")
        assert step == max_updates
        for name, tensor in saved.items():
            assert torch.equal(tensor, ranks[0][name]), name
