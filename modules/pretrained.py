"""Trained networks, rebuilt from their experiment folder: ``config.yaml`` and one model file are enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from utils.commons.checkpoint import load_model, load_strict, model_path
from utils.commons.experiment import short
from utils.commons.hparams import load_experiment_config
from utils.commons.runtime import pick_device
from utils.commons.schema import Config, DataError

_M = TypeVar("_M", bound=nn.Module)


def load_pretrained(
    cls: type[_M], work_dir: str | Path, *, ckpt_steps: int = 0, child: str = "", device: str | torch.device = "cpu"
) -> tuple[_M, dict[str, Any], int]:
    """Return the network (eval mode, no gradients), the experiment's flat configuration and the step of the checkpoint.

    Args:
        cls: The network's class; it has ``config_cls`` and is built by ``cls(config)``.
        work_dir: The experiment folder.
        ckpt_steps: The step to load; 0 is the newest.
        child: Name of the network inside the experiment's model; "" if it is the whole model.
        device: A device, or its name (``auto`` too).

    Raises:
        FileNotFoundError: The experiment or the step does not exist; the text tells how to train it.
        DataError: Damaged, or saved by another model.
    """
    work_dir = Path(work_dir)
    values = load_experiment_config(work_dir)
    tensors, step = load_model(work_dir, ckpt_steps)
    what = short(model_path(work_dir, step))
    if child:
        tensors = {name.removeprefix(f"{child}."): t for name, t in tensors.items() if name.startswith(f"{child}.")}
        if not tensors:
            raise DataError(f"{what} holds no network {child!r}; is {short(work_dir)} the right experiment?")
    network = _build(cls, values, what)
    load_strict(network, tensors, what)
    target = pick_device(device) if isinstance(device, str) else device
    return network.to(target).eval().requires_grad_(False), values, step


def start_from(network: nn.Module, work_dir: str | Path) -> None:
    """Copy the newest weights of an experiment of the same shape into a network that is about to be trained.

    Raises:
        FileNotFoundError: The experiment does not exist.
        DataError: It has another shape; the text lists the differences.
    """
    tensors, step = load_model(Path(work_dir))
    load_strict(network, tensors, short(model_path(Path(work_dir), step)))


def _build(cls: type[_M], values: dict[str, Any], what: str) -> _M:
    config_cls: type[Config] = cls.config_cls  # type: ignore[attr-defined]
    try:
        return cls(config_cls.from_flat(values))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(f"{what} has a config.yaml that {cls.__name__} cannot read: {problem}") from error
