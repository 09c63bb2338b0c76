"""What a task is: networks, data and losses. It knows no device, file, loop or logger; the trainer does."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.utils.data import Dataset

from utils.commons.schema import Config, ConfigError

Batch = dict[str, Tensor]


class BatchDataset(Dataset[Batch], abc.ABC):
    """Whole batches by number.

    For training, item ``i`` *is* the batch of step ``i``: a pure function of configuration, data, seed, ``i`` and rank
    (with ``accumulate_grad_batches`` = k, step ``s`` uses items ``s*k ... s*k+k-1``). For validation, ``__len__`` is
    finite and item ``i`` is batch ``i``.
    """

    @abc.abstractmethod
    def __getitem__(self, step: int) -> Batch:
        """Return batch number ``step`` as CPU tensors."""


def constant_schedule(step: int, progress: float) -> float:
    """Keep the learning rate."""
    return 1.0


@dataclass
class OptimizerSpec:
    """One optimizer: which parameters it moves and how."""

    groups: list[dict[str, Any]]
    """Parameter groups: ``{"params": [...], "lr": base rate, ...}``."""
    kind: Literal["adam", "adamw", "rmsprop"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: Callable[[int, float], float] = constant_schedule
    """(step, progress in [0,1]) -> factor on every group's base rate."""
    clip_grad_norm: float = 0.0
    """Largest global gradient norm; 0 does not clip."""


@dataclass
class Media:
    """Something to look at or listen to after a validation."""

    tag: str
    kind: Literal["image", "audio", "video"]
    data: Tensor | np.ndarray
    """Image [H,W,3] and video [T,H,W,3], uint8 RGB or float in [0,1]; audio [N] float in [-1,1]."""
    fps: int = 25
    sample_rate: int = 16000
    audio: np.ndarray | None = field(default=None)
    """Sound of a video, [N] float at ``sample_rate``."""


class TaskConfig(Config):
    """Keys that every task has."""

    run_keys: ClassVar[frozenset[str]] = frozenset(
        {
            *("max_updates", "max_minutes", "val_check_interval", "num_sanity_val_steps", "eval_max_batches"),
            *("num_ckpt_keep", "tb_log_interval", "log_interval", "device", "num_threads", "num_workers"),
        }
    )

    task_cls: str = ""
    """Dotted path of the task class, under ``tasks.``."""
    seed: int = 9999
    """Seed of every random number: initial weights, order of data, sampling."""
    max_updates: int = Field(10000, ge=1)
    """Parameter updates after which training is complete."""
    max_minutes: float = Field(0.0, ge=0)
    """Minutes of training (summed over resumed runs) after which it ends, schedules stretched to fit; 0 = no clock."""
    lr: float = Field(5e-4, gt=0)
    """Base learning rate."""
    warmup_updates: int = Field(0, ge=0)
    """Updates over which the learning rate rises from 0."""
    clip_grad_norm: float = Field(0.0, ge=0)
    """Largest global gradient norm; 0 does not clip."""
    accumulate_grad_batches: int = Field(1, ge=1)
    """Batches whose gradients are summed for one update."""
    val_check_interval: int = Field(1000, ge=1)
    """Updates between validations; a checkpoint follows each."""
    num_sanity_val_steps: int = Field(1, ge=0)
    """Validation batches tried before training begins."""
    eval_max_batches: int = Field(10, ge=-1)
    """Most validation batches; -1 = all."""
    valid_monitor_key: str = "val_loss"
    """Validation value that decides which checkpoint is best; empty = keep no best one."""
    valid_monitor_mode: Literal["min", "max"] = "min"
    """Whether the best value is the smallest or the largest."""
    num_ckpt_keep: int = Field(1, ge=1)
    """Newest checkpoints kept; the best one is kept besides."""
    tb_log_interval: int = Field(100, ge=1)
    """Updates between TensorBoard scalars."""
    log_interval: int = Field(100, ge=1)
    """Updates between lines in train.log."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda:N``."""
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """Precision of matrix products; ``auto`` measures once and resuming keeps the choice; true = auto, false = off."""
    num_threads: int = Field(0, ge=0)
    """CPU threads of torch; 0 = torch's own choice."""
    num_workers: int = Field(0, ge=0)
    """Processes that prepare batches; 0 = in the training process."""

    @field_validator("amp", mode="before")
    @classmethod
    def _amp_may_be_bool(cls, value: object) -> object:
        return {"true": "auto", "false": "off"}.get(str(value).lower(), value)


class Task(abc.ABC):
    """What is learnt. ``__init__`` builds ``self.model`` from the configuration and reads only trained networks."""

    config_cls: ClassVar[type[TaskConfig]]
    config: TaskConfig
    model: nn.Module
    """Trained and saved; frozen networks live outside it, in :meth:`frozen`."""

    def __init__(self, config: TaskConfig) -> None:
        self.config = config
        self.state_vars: dict[str, float | int | bool] = {}

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Return the configuration with what the data decide filled in; called once, before it is saved."""
        return config

    @classmethod
    def variant(cls, config: TaskConfig) -> type[Task]:
        """Return the class that trains this configuration: this one, or another of its family that a key names."""
        return cls

    def frozen(self) -> dict[str, nn.Module]:
        """Return networks that are used but never trained; the trainer moves them and keeps them in eval mode."""
        return {}

    @abc.abstractmethod
    def optimizers(self) -> dict[str, OptimizerSpec]:
        """Return the optimizers by name; they take turns in this order within a step."""

    @abc.abstractmethod
    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        """Return the training batches of one process."""

    @abc.abstractmethod
    def val_dataset(self) -> BatchDataset:
        """Return the validation batches."""

    def before_step(self, step: int, progress: float) -> None:
        """Update what is a function of the step: an occupancy grid, a curriculum."""

    @abc.abstractmethod
    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        """Return the unweighted loss terms by name; an empty dict skips this optimizer in this step."""

    @abc.abstractmethod
    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        """Return the weight of each term; the names must equal those of :meth:`training_step`."""

    @abc.abstractmethod
    def validation_step(self, batch: Batch, *, step: int) -> dict[str, float]:
        """Return figures of one batch; the trainer averages them."""

    def validation_media(self, *, step: int) -> list[Media]:
        """Return what one wants to see or hear after a validation."""
        return []

    def validation_end(self, metrics: Mapping[str, float]) -> None:
        """React to the averaged figures, for instance by changing ``self.state_vars``."""

    def state(self) -> dict[str, float | int | bool]:
        """Return rare scalars that a checkpoint must hold."""
        return dict(self.state_vars)

    def load_state(self, state: Mapping[str, float | int | bool]) -> None:
        """Restore what :meth:`state` returned."""
        self.state_vars.update(state)


def load_task_class(path: str) -> type[Task]:
    """Return the task class of a dotted path such as ``tasks.syncnet.task.SyncNetTask``.

    Raises:
        ConfigError: The path is empty, not under ``tasks.``, or names no task class.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name.startswith("tasks."):
        raise ConfigError(
            f"task_cls must be a path under 'tasks.' such as tasks.syncnet.task.SyncNetTask, got {path!r}"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise
        raise ConfigError(f"task_cls {path!r}: there is no module {error.name}") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Task)):
        known = sorted(
            n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Task) and v is not Task
        )
        raise ConfigError(f"task_cls {path!r}: {module_name} has no task {name!r}; it has {', '.join(known) or 'none'}")
    return found
