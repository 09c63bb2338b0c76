"""The configuration an experiment was trained with: ``checkpoints/<exp>/config.yaml``."""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from utils.commons.schema import Config, ConfigError, DataError
from utils.data import paths
from utils.data.atomic import atomic_path

logger = logging.getLogger(__name__)

CONFIG_NAME = "config.yaml"
_ABSENT = object()
_TRAINERS = {
    "syncnet": "bash scripts/train_syncnet.sh",
    "lm3d_vae": "bash scripts/train_audio2motion.sh",
    "postnet": "bash scripts/train_postnet.sh {owner}",
    "lm3d_nerf": "bash scripts/train_nerf.sh {owner}",
    "lm3d_nerf_torso": "bash scripts/train_nerf.sh {owner}",
    "lm3d_nerf_sr": "bash scripts/train_nerf.sh {owner}",
}


def short(path: Path) -> str:
    """Return the path as a user knows it: relative to the working root if it lies below."""
    for root in (paths.work_root(), paths.CODE_ROOT):
        if path.is_absolute() and path.is_relative_to(root):
            return str(path.relative_to(root))
    return str(path)


def how_to_train(work_dir: Path) -> str:
    """Return the command that trains this experiment."""
    command = _TRAINERS.get(work_dir.name, "python tasks/run.py --config <file> --exp_name <name>")
    return command.format(owner=work_dir.parent.name)


def save_config(work_dir: Path, config: Config) -> None:
    """Write the resolved configuration, flat, in the order of the model."""
    with atomic_path(work_dir / CONFIG_NAME) as temporary:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
        temporary.write_text(text, encoding="utf-8")


def load_experiment_config(work_dir: Path) -> dict[str, Any]:
    """Return the flat configuration an experiment was trained with.

    Raises:
        FileNotFoundError: There is no such experiment; the text tells how to train it.
        DataError: The file is damaged.
    """
    path = Path(work_dir) / CONFIG_NAME
    if not path.exists():
        raise FileNotFoundError(f"no experiment in {short(path.parent)}; train it first: {how_to_train(path.parent)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(
            f"{short(path)} is damaged ({error}); copy it from a backup or train again with --reset"
        ) from error
    if not isinstance(values, dict):
        raise DataError(f"{short(path)} holds no configuration; copy it from a backup or train again with --reset")
    return values


def config_diff(saved: Mapping[str, Any], config: Config) -> list[str]:
    """Return ``key: saved -> now`` of each key that differs; run keys and new keys at their default do not count."""
    now = config.model_dump(mode="json")
    fields, free = type(config).model_fields, config.all_run_keys()
    lines = []
    for key in [*now, *(key for key in saved if key not in now)]:
        if key in free:
            continue
        before, after = saved.get(key, _ABSENT), now.get(key, _ABSENT)
        if before is _ABSENT and after == fields[key].get_default(call_default_factory=True):
            continue
        if before != after:
            lines.append(f"{key}: {_show(before)} -> {_show(after)}")
    return lines


def _show(value: Any) -> str:
    return "(absent)" if value is _ABSENT else repr(value)


def check_same_config(work_dir: Path, config: Config, exp_name: str) -> None:
    """Pass if the experiment's saved configuration equals ``config`` but for run keys.

    Raises:
        ConfigError: They differ; the text shows where and how to go on.
    """
    lines = config_diff(load_experiment_config(work_dir), config)
    if lines:
        raise ConfigError(
            f"{short(work_dir)} was trained with another configuration ({'; '.join(lines)}); resume with the old one: "
            f"--exp_name {exp_name} without --config, or start anew with --reset (the old experiment is moved aside)"
        )


def move_aside(work_dir: Path) -> Path | None:
    """Rename an experiment to ``<exp>.old-<n>`` (first free n); return the new name, or None if nothing was there."""
    if not work_dir.exists():
        return None
    number = 1
    while (target := work_dir.with_name(f"{work_dir.name}.old-{number}")).exists():
        number += 1
    work_dir.rename(target)
    logger.info("moved the old experiment to %s", short(target))
    return target


@contextlib.contextmanager
def locked(work_dir: Path) -> Iterator[None]:
    """Keep other trainings out of an experiment inside the block; the lock ends with the process, however it ends.

    Raises:
        ConfigError: Another process trains it now.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{short(work_dir)} is being trained by another process; wait for it or use another --exp_name"
            ) from error
        yield
