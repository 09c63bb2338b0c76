"""Files of an experiment's state: written whole or not at all, read strictly.

``model_ckpt_steps_<N>.safetensors`` holds the networks after N updates, ``trainer_state_steps_<N>.pt`` what resuming
needs (tensors and plain Python only). The state is written first, so a model file without its state is a published
model: good for inference, not resumed from. ``best.json`` names the step that validation liked best; pruning spares it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from utils.commons.experiment import how_to_train, short
from utils.commons.schema import DataError
from utils.data.atomic import atomic_path, save_json

logger = logging.getLogger(__name__)

_MODEL = re.compile(r"model_ckpt_steps_(\d+)\.safetensors")
_MAX_LISTED = 6


@dataclass(frozen=True)
class Best:
    """The best validation so far."""

    step: int
    value: float
    key: str


def model_path(work_dir: Path, step: int) -> Path:
    return work_dir / f"model_ckpt_steps_{step}.safetensors"


def state_path(work_dir: Path, step: int) -> Path:
    return work_dir / f"trainer_state_steps_{step}.pt"


def saved_steps(work_dir: Path) -> list[int]:
    """Return the steps that have a model file, ascending."""
    if not work_dir.is_dir():
        return []
    return sorted(int(match[1]) for path in work_dir.iterdir() if (match := _MODEL.fullmatch(path.name)))


def latest_step(work_dir: Path, *, resumable: bool = False) -> int | None:
    """Return the newest saved step; with ``resumable``, the newest that has its trainer state too."""
    steps = [step for step in saved_steps(work_dir) if not resumable or state_path(work_dir, step).exists()]
    return steps[-1] if steps else None


def save_checkpoint(
    work_dir: Path,
    step: int,
    model: Mapping[str, Tensor],
    trainer_state: Mapping[str, Any],
    keep: int,
    *,
    best: Best | None = None,
) -> None:
    """Write state, model and ``best.json``, in this order, then delete all but the ``keep`` newest and the best one."""
    with atomic_path(state_path(work_dir, step)) as temporary:
        torch.save(dict(trainer_state), temporary)
    save_model(work_dir, step, model)
    if best is not None:
        save_json(work_dir / "best.json", asdict(best))
    _sync_folder(work_dir)
    _prune(work_dir, keep)


def save_model(work_dir: Path, step: int, model: Mapping[str, Tensor]) -> None:
    """Write networks alone: good for inference, not resumed from."""
    with atomic_path(model_path(work_dir, step)) as temporary:
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.items()}
        save_file(tensors, temporary, metadata={"format": "pt", "step": str(step)})


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(work_dir: Path, keep: int) -> None:
    best = load_best(work_dir)
    spared = set(saved_steps(work_dir)[-max(keep, 1) :]) | ({best.step} if best else set())
    for step in saved_steps(work_dir):
        if step not in spared:
            model_path(work_dir, step).unlink(missing_ok=True)
            state_path(work_dir, step).unlink(missing_ok=True)


def load_best(work_dir: Path) -> Best | None:
    """Return the best validation so far, or None if there is none or its checkpoint is gone."""
    path = work_dir / "best.json"
    if not path.exists():
        return None
    try:
        best = Best(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        raise DataError(f"{short(path)} is damaged ({error}); delete it to go on without a best checkpoint") from error
    return best if model_path(work_dir, best.step).exists() else None


def clean_leftovers(work_dir: Path) -> None:
    """Delete temporary files that a killed run left, and trainer states whose model was never written."""
    for path in work_dir.glob(".*.part*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    steps = set(saved_steps(work_dir))
    for path in work_dir.glob("trainer_state_steps_*.pt"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and int(number) not in steps:
            path.unlink()


def load_model(work_dir: Path, steps: int = 0) -> tuple[dict[str, Tensor], int]:
    """Return the tensors saved after ``steps`` updates (0 = the newest) and that step.

    Raises:
        FileNotFoundError: No such checkpoint; the text tells which exist or how to train.
        DataError: The file is damaged.
    """
    step = _choose(Path(work_dir), steps)
    path = model_path(Path(work_dir), step)
    try:
        return load_file(path), step
    except (SafetensorError, OSError) as error:
        raise DataError(f"{short(path)} is damaged ({error}); {_fall_back(path.parent, step)}") from error


def _choose(work_dir: Path, steps: int) -> int:
    known = saved_steps(work_dir)
    if not known:
        raise FileNotFoundError(f"no checkpoint in {short(work_dir)}; train it first: {how_to_train(work_dir)}")
    if steps and steps not in known:
        raise FileNotFoundError(
            f"no checkpoint of step {steps} in {short(work_dir)}; there are {', '.join(map(str, known))}"
        )
    return steps or known[-1]


def _fall_back(work_dir: Path, step: int) -> str:
    others = [other for other in saved_steps(work_dir) if other != step]
    rest = f"fall back to step {others[-1]}" if others else "train from the beginning"
    return f"delete {model_path(work_dir, step).name} and {state_path(work_dir, step).name} to {rest}"


def load_trainer_state(work_dir: Path, step: int) -> dict[str, Any]:
    """Return what resuming from ``step`` needs.

    Raises:
        DataError: The file is damaged.
    """
    path = state_path(work_dir, step)
    if not _is_sound_zip(path):
        raise DataError(f"{short(path)} is damaged (cut short or altered); {_fall_back(work_dir, step)}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{short(path)} is damaged ({_first_line(error)}); {_fall_back(work_dir, step)}") from error
    if not isinstance(state, dict):
        raise DataError(f"{short(path)} holds no trainer state; {_fall_back(work_dir, step)}")
    return state


def _is_sound_zip(path: Path) -> bool:
    """Return whether the file is whole and every checksum in it holds (torch does not look)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, zlib.error):
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copy tensors into the module; every name and shape must fit.

    Args:
        module: Receives the tensors.
        tensors: By name, as ``module.state_dict()``.
        what: Where they come from, for the error.

    Raises:
        DataError: Lists missing, unexpected and differently shaped names.
    """
    problems = mismatches(module.state_dict(), tensors)
    if problems:
        raise DataError(f"{what} belongs to another model ({problems}); use its own config.yaml or train anew")
    module.load_state_dict(dict(tensors))


def mismatches(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """Return which names are missing, unexpected or of another shape than a module's ``own``; empty if all fit."""
    wrong = [
        f"{name} {list(tensors[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in own.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = {
        "missing": [name for name in own if name not in tensors],
        "unexpected": [name for name in tensors if name not in own],
        "of another shape": wrong,
    }
    return "; ".join(f"{kind}: {_listing(found)}" for kind, found in problems.items() if found)


def _listing(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
