from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tasks import run
from tests.support import toy_task
from utils.commons.checkpoint import latest_step, load_model
from utils.commons.cli import run_main
from utils.commons.schema import ConfigError
from utils.data.paths import CODE_ROOT

Start = Callable[..., None]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that runs ``tasks/run.py --exp_name May/toy`` with the toy task's YAML and more arguments."""
    monkeypatch.setitem(sys.modules, "tasks.toy", toy_task)
    file = tmp_path / "toy.yaml"
    file.write_text("task_cls: tasks.toy.ToyTask\nmax_updates: 4\nval_check_interval: 2\nlr: 1e-2\n", encoding="utf-8")

    def call(*arguments: str, config: bool = True) -> None:
        run.main([*(["--config", str(file)] if config else []), "--exp_name", "May/toy", *arguments])

    return call


def test_training_saves_its_configuration(start: Start, tmp_path: Path) -> None:
    start("--hparams", "hidden_size=5,speakers=[3,4]")
    saved = yaml.safe_load((tmp_path / "checkpoints/May/toy/config.yaml").read_text())
    assert (saved["hidden_size"], saved["lr"], saved["speakers"]) == (5, 0.01, [3, 4])
    assert list(saved) == list(toy_task.ToyConfig.model_fields)
    assert latest_step(tmp_path / "checkpoints/May/toy") == 4


def test_the_name_alone_resumes_with_the_saved_configuration(start: Start, tmp_path: Path) -> None:
    start("--hparams", "hidden_size=5")
    start("--hparams", "max_updates=6", config=False)
    tensors, step = load_model(tmp_path / "checkpoints/May/toy")
    assert (step, len(tensors["net.0.bias"])) == (6, 5)


def test_another_configuration_is_refused_with_the_difference(start: Start, tmp_path: Path) -> None:
    start()
    with pytest.raises(ConfigError) as caught:
        start("--hparams", "lr=2e-2,hidden_size=4,max_updates=9")
    text = str(caught.value)
    assert "checkpoints/May/toy was trained with another configuration (lr: 0.01 -> 0.02; hidden_size: 8 -> 4)" in text
    assert "--reset" in text
    assert latest_step(tmp_path / "checkpoints/May/toy") == 4


def test_run_keys_may_change(start: Start, tmp_path: Path) -> None:
    start()
    start("--hparams", "max_updates=5,num_ckpt_keep=9,val_check_interval=1,log_interval=1,num_workers=1")
    assert latest_step(tmp_path / "checkpoints/May/toy") == 5


def test_reset_moves_the_old_experiment_aside(start: Start, tmp_path: Path) -> None:
    start()
    start("--reset", "--hparams", "hidden_size=4")
    start("--reset", "--hparams", "hidden_size=3")
    widths = [
        len(load_model(tmp_path / "checkpoints/May" / n)[0]["net.0.bias"]) for n in ("toy.old-1", "toy.old-2", "toy")
    ]
    assert widths == [8, 4, 3]


def test_a_new_configuration_is_free_before_the_first_checkpoint(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="terms without weight"):
        start("--hparams", "forget_weight=true")
    start("--hparams", "forget_weight=false")


def test_print_config_shows_origins_and_trains_nothing(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start("--print_config", "--hparams", "hidden_size=7")
    lines = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["hidden_size"].endswith("# --hparams")
    assert lines["lr"].endswith("# toy.yaml:4")
    assert lines["batch_size"].endswith("# default")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("task_cls", "message"),
    [
        ("os.path.join", r"bad\.yaml:2: task_cls must be a path under 'tasks\.'"),
        ("tasks.nowhere.Task", r"bad\.yaml:2: task_cls .*there is no module tasks\.nowhere"),
        (
            "tasks.toy.NoTask",
            r"bad\.yaml:2: .*tasks\.toy has no task 'NoTask'; it has ToyGanTask, ToyMediaTask, ToyTask",
        ),
    ],
)
def test_a_wrong_task_class_is_explained(start: Start, tmp_path: Path, task_cls: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(f"lr: 1\ntask_cls: {task_cls}\n")
    with pytest.raises(ConfigError, match=message):
        run.main(["--config", str(tmp_path / "bad.yaml"), "--exp_name", "x"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: give --config and --exp_name to train, or --exp_name alone to resume"),
        (
            ["--exp_name", "May/nothing"],
            "error: no experiment in checkpoints/May/nothing to resume; start it with --config",
        ),
        (["--exp_name", "../x"], "error: exp_name '..' must be letters"),
        (["--config", "none.yaml"], "error: no configuration file none.yaml"),
        (["--config", "typo.yaml", "--exp_name", "x"], "error: typo.yaml: key 'task_cls' is missing"),
    ],
)
def test_user_errors_end_with_one_line_and_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "typo.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_main(run.main)
    text = capsys.readouterr().err
    assert caught.value.code == 2
    assert text.count("\n") == 1
    assert text.startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["typo.yaml"]


def test_the_program_runs_from_any_folder_without_pythonpath(tmp_path: Path) -> None:
    """A subprocess (4 s): nothing but the message on stderr."""
    program = [sys.executable, str(CODE_ROOT / "tasks" / "run.py"), "--config", "none.yaml"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: no configuration file none.yaml; choose one under egs/\n"
