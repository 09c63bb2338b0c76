"""Train any task: ``python tasks/run.py --config egs/.../x.yaml --exp_name May/x [--hparams "lr=1e-3,..."]``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

    from utils.commons.malloc import tune_process

    tune_process()

import argparse
import logging
import os
from collections.abc import Sequence

from tasks.base_task import Task, TaskConfig, load_task_class
from tasks.launch import companions, process_count
from tasks.trainer import train
from utils.commons import checkpoint, distributed
from utils.commons.cli import run_main
from utils.commons.experiment import CONFIG_NAME, check_same_config, move_aside, save_config, short
from utils.commons.hparams import PRESETS, ResolvedConfig, build_config, describe, load_config
from utils.commons.schema import ConfigError
from utils.data import paths

logger = logging.getLogger(__name__)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a task, or go on where its training stopped.")
    parser.add_argument(
        "--config", default="", help="YAML file under egs/; without it the experiment's saved one is used"
    )
    parser.add_argument("--exp_name", default="", help="experiment, such as May/lm3d_nerf: checkpoints/<exp_name>")
    parser.add_argument("--hparams", action="append", default=[], help='overrides, such as "lr=1e-3,max_minutes=5"')
    parser.add_argument(
        "--preset",
        default="quick",
        choices=PRESETS,
        help="schedule and size: quick (CPU), full (GPU), geneface (the original)",
    )
    parser.add_argument(
        "--processes",
        type=process_count,
        default=1,
        metavar="N",
        help="processes on this machine that share every step; 2 on a CPU; for GPUs rather torchrun",
    )
    parser.add_argument("--reset", action="store_true", help="start anew; the old experiment is moved aside")
    parser.add_argument("--print_config", action="store_true", help="show every key with its origin and exit")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    options = parse_arguments(arguments)
    resolved = resolve(options)
    task_cls, config = typed_config(resolved)
    if options.print_config:
        sys.stdout.write(describe(config, resolved) + "\n")
        return
    if not options.exp_name:
        raise ConfigError("--exp_name is missing; give the experiment a name such as --exp_name May/lm3d_nerf")
    work_dir = paths.experiment(options.exp_name)
    config = task_cls.resolve(config)
    if int(os.environ.get("RANK", "0")) == 0:
        prepare(work_dir, config, options.exp_name, reset=options.reset)
    with companions(options.processes, arguments):
        result = train(task_cls, config, work_dir)
        distributed.shut_down()
    if result.reason == "signal":
        sys.exit(128 + result.signal_number)


def resolve(options: argparse.Namespace) -> ResolvedConfig:
    """Return the values of ``--config``, or of the saved configuration if there is no ``--config``."""
    if options.config:
        return load_config(options.config, options.hparams, options.preset)
    if not options.exp_name:
        raise ConfigError("give --config and --exp_name to train, or --exp_name alone to resume")
    saved = paths.experiment(options.exp_name) / CONFIG_NAME
    if not saved.exists():
        raise FileNotFoundError(f"no experiment in {short(saved.parent)} to resume; start it with --config <file>")
    return load_config(saved, options.hparams)


def typed_config(resolved: ResolvedConfig) -> tuple[type[Task], TaskConfig]:
    """Return the task class that ``task_cls`` names and its configuration."""
    if "task_cls" not in resolved.values:
        raise ConfigError(f"{resolved.source}: key 'task_cls' is missing; it names the task to train")
    try:
        task_cls = load_task_class(resolved.values["task_cls"])
    except ConfigError as error:
        raise ConfigError(f"{resolved.origins['task_cls']}: {error}") from error
    config = build_config(task_cls.config_cls, resolved)
    return task_cls.variant(config), config


def prepare(work_dir: Path, config: TaskConfig, exp_name: str, *, reset: bool) -> None:
    """Leave ``work_dir`` with this configuration saved; refuse to go on with another one than training began with."""
    if reset:
        move_aside(work_dir)
    if checkpoint.latest_step(work_dir) is not None and (work_dir / CONFIG_NAME).exists():
        check_same_config(work_dir, config, exp_name)
    work_dir.mkdir(parents=True, exist_ok=True)
    save_config(work_dir, config)


if __name__ == "__main__":
    run_main(main)
