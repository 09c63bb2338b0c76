"""The training loop, the same for every task: a function of (configuration, data, seed, step).

Every step seeds all generators anew, batches are a function of the step, and a checkpoint holds what else matters, so a
resumed run equals an uninterrupted one bit for bit on a CPU (unless ``max_minutes`` ties schedules to the clock).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader

from tasks.base_task import Batch, BatchDataset, Media, Task, TaskConfig
from tasks.monitor import Monitor, WriteVideo, in_words, write_video
from tasks.updates import NotFiniteError, Updater
from utils.commons import checkpoint, distributed
from utils.commons.checkpoint import Best
from utils.commons.experiment import locked, short
from utils.commons.logs import log_to_file
from utils.commons.runtime import Runtime, pick_device
from utils.commons.schema import ConfigError, TrainingError
from utils.commons.signals import StopSignal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    step: int
    """Updates made in all."""
    seconds: float
    """Time of all runs of this experiment."""
    reason: Literal["complete", "time", "signal"]
    signal_number: int = 0


def train(
    task_cls: type[Task],
    config: TaskConfig,
    work_dir: Path,
    *,
    runtime: Runtime | None = None,
    video: WriteVideo = write_video,
    after_step: Callable[[int], None] | None = None,
) -> TrainResult:
    """Train a task to its end in ``work_dir``, from its newest checkpoint if there is one.

    Args:
        task_cls: Built after seeding, so initial weights are a function of the seed.
        config: Of that class.
        work_dir: The experiment folder.
        runtime: Device, seed and precision; made from the configuration if absent.
        video: Writes validation videos.
        after_step: Called with the number of updates done; for tests and benchmarks.

    Raises:
        TrainingError: A loss or gradient is not finite.
        DataError: The newest checkpoint is damaged or belongs to another model.
    """
    with contextlib.ExitStack() as stack:
        if int(os.environ.get("RANK", "0")) == 0:
            stack.enter_context(locked(work_dir))
            stack.enter_context(log_to_file(work_dir / "train.log"))
            checkpoint.clean_leftovers(work_dir)
        distributed.init_process_group(pick_device(config.device))
        distributed.barrier()  # rank 0 has put the folder in order
        step = checkpoint.latest_step(work_dir, resumable=True)
        saved = checkpoint.load_trainer_state(work_dir, step) if step is not None else None
        runtime = runtime or make_runtime(config, saved)
        runtime.seed_step(Runtime.INITIAL)
        trainer = Trainer(task_cls(config), work_dir, runtime, video)
        trainer.restore(saved)
        return trainer.fit(after_step or (lambda step: None))


def make_runtime(config: TaskConfig, saved: Mapping[str, Any] | None = None) -> Runtime:
    """Return the configured runtime; ``amp=auto`` keeps the choice of the first run on this kind of device."""
    amp: str = config.amp
    if amp == "auto" and saved and saved["device"] == pick_device(config.device).type:
        amp = saved["amp"]
    return Runtime.create(config.device, seed=config.seed, amp=amp, num_threads=config.num_threads)


def _prepare_worker(number: int) -> None:
    """Leave Ctrl-C to the training process: it still needs its batch to end in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Trainer:
    """Runs one task; built by :func:`train`."""

    def __init__(self, task: Task, work_dir: Path, runtime: Runtime, video: WriteVideo) -> None:
        self.task, self.config, self.work_dir, self.runtime = task, task.config, work_dir, runtime
        task.model.to(runtime.device).train()
        for module in task.frozen().values():
            module.to(runtime.device).eval().requires_grad_(False)
        self.updater = Updater(task, runtime)
        self.monitor = Monitor(work_dir, task.config, active=runtime.is_main, video=video)
        self.stop = StopSignal()
        self.step, self.best = 0, checkpoint.load_best(work_dir)
        self.seconds_before, self.start_time = 0.0, time.monotonic()

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Take up the state of a checkpoint, and the networks saved with it."""
        if saved is not None:
            self.step = int(saved["step"])
            tensors, _ = checkpoint.load_model(self.work_dir, self.step)
            what = short(checkpoint.model_path(self.work_dir, self.step))
            checkpoint.load_strict(self.task.model, tensors, what)
            self.updater.load_state_dict(saved["updater"])
            self.task.load_state(saved["task"])
            self.seconds_before = float(saved["elapsed_seconds"])
            logger.info("resume at step %d from %s", self.step, what)
        elif checkpoint.latest_step(self.work_dir) is not None:
            logger.warning(
                "%s holds a model without trainer state; training begins anew at step 0", short(self.work_dir)
            )
        distributed.broadcast([*self.task.model.parameters(), *self.task.model.buffers()])

    @property
    def elapsed(self) -> float:
        """Seconds of all runs."""
        return self.seconds_before + time.monotonic() - self.start_time

    def fit(self, after_step: Callable[[int], None]) -> TrainResult:
        """Train until an end is reached; a checkpoint is saved whatever the end."""
        self.start_time = time.monotonic()
        reason = self._finished(self._agreed_elapsed())
        if reason:
            logger.info("%s is already trained: step %d, %s", short(self.work_dir), self.step, in_words(self.elapsed))
            return TrainResult(self.step, self.elapsed, reason)
        self._sanity()
        self.monitor.open(self.step, self.work_dir.name)
        try:
            with self.stop.listening():
                return self._loop(after_step)
        except NotFiniteError as error:
            raise TrainingError(f"{error}; last checkpoint: {self._last_checkpoint()}") from error
        finally:
            self.monitor.close()

    def _loop(self, after_step: Callable[[int], None]) -> TrainResult:
        batches, elapsed = self._batches(), self._agreed_elapsed()
        while True:
            step = self.step
            progress = self._progress(elapsed)
            self.runtime.seed_step(step)
            group = [self._to_device(next(batches)) for _ in range(self.config.accumulate_grad_batches)]
            with self.runtime.autocast():
                self.task.before_step(step, progress)
            scalars = self.updater.update(group, step=step, progress=progress)
            self.step += 1
            self.monitor.update(self.step, scalars, self.elapsed)
            after_step(self.step)
            elapsed = self._agreed_elapsed()
            reason = self._finished(elapsed)
            if reason or self.step % self.config.val_check_interval == 0:
                self._checkpoint(self._validate() if reason != "signal" else None)
            if reason:
                logger.info("%s: step %d after %s", _ENDS[reason], self.step, in_words(self.elapsed))
                return TrainResult(self.step, self.elapsed, reason, self.stop.number)

    def _batches(self) -> Iterator[Batch]:
        dataset = self.task.train_dataset(rank=self.runtime.rank, world_size=self.runtime.world_size)
        share = self.config.accumulate_grad_batches
        numbers = range(self.step * share, self.config.max_updates * share)
        return iter(self._loader(dataset, numbers, self.config.num_workers))

    def _loader(self, dataset: BatchDataset, numbers: range, num_workers: int) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=numbers,
            num_workers=num_workers,
            pin_memory=self.runtime.device.type == "cuda",
            generator=self.runtime.generator(self.step),
            worker_init_fn=_prepare_worker,
        )

    def _to_device(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.runtime.device, non_blocking=True) for name, tensor in batch.items()}

    def _agreed_elapsed(self) -> float:
        return distributed.broadcast_numbers([self.elapsed], self.runtime.device)[0]

    def _progress(self, elapsed: float) -> float:
        by_steps = self.step / self.config.max_updates
        by_clock = elapsed / (60 * self.config.max_minutes) if self.config.max_minutes else 0.0
        return min(max(by_steps, by_clock), 1.0)

    def _finished(self, elapsed: float) -> Literal["complete", "time", "signal", ""]:
        if self.step >= self.config.max_updates:
            return "complete"
        if self.config.max_minutes and elapsed >= 60 * self.config.max_minutes:
            return "time"
        return "signal" if distributed.any_rank(bool(self.stop.number), self.runtime.device) else ""

    def _sanity(self) -> None:
        if self.config.num_sanity_val_steps and self.runtime.is_main:
            metrics, _ = self._evaluate(self.config.num_sanity_val_steps, with_media=False)
            self._monitored(metrics)
        distributed.barrier()

    def _validate(self) -> Best | None:
        """Validate in rank 0 and return the new best, if this is one."""
        new_best = None
        if self.runtime.is_main:
            metrics, media = self._evaluate(self.config.eval_max_batches, with_media=True)
            self.task.validation_end(metrics)
            self.monitor.scalars({name if "/" in name else f"val/{name}": v for name, v in metrics.items()}, self.step)
            self.monitor.media(media, self.step)
            logger.info("step %d: %s", self.step, ", ".join(f"{name} {value:.5g}" for name, value in metrics.items()))
            self.monitor.curve(metrics, self.step)
            new_best = self._new_best(metrics)
        self._share_task_state()
        return new_best

    def _evaluate(self, max_batches: int, *, with_media: bool) -> tuple[dict[str, float], list[Media]]:
        dataset = self.task.val_dataset()
        number = len(dataset) if max_batches < 0 else min(len(dataset), max_batches)  # type: ignore[arg-type]
        sums: dict[str, float] = {}
        self.task.model.eval()
        runtime = self.runtime
        with runtime.forked_rng(Runtime.VALIDATION), torch.inference_mode(), runtime.autocast():
            for batch in self._loader(dataset, range(number), 0):
                for name, value in self.task.validation_step(self._to_device(batch), step=self.step).items():
                    sums[name] = sums.get(name, 0.0) + float(value)
            media = self.task.validation_media(step=self.step) if with_media else []
        self.task.model.train()
        return {name: total / number for name, total in sums.items()}, media

    def _monitored(self, metrics: Mapping[str, float]) -> float | None:
        key = self.config.valid_monitor_key
        if not key or not metrics:
            return None
        if key not in metrics:
            raise ConfigError(
                f"valid_monitor_key {key!r} is no validation figure; there are {', '.join(sorted(metrics))}"
            )
        return metrics[key]

    def _new_best(self, metrics: Mapping[str, float]) -> Best | None:
        value = self._monitored(metrics)
        if value is None or not math.isfinite(value):
            return None
        sign = 1 if self.config.valid_monitor_mode == "min" else -1
        if self.best is None or sign * value < sign * self.best.value:
            self.best = Best(self.step, value, self.config.valid_monitor_key)
            return self.best
        return None

    def _share_task_state(self) -> None:
        """Give every rank the task state of rank 0."""
        state = self.task.state()
        names = sorted(state)
        values = distributed.broadcast_numbers([float(state[name]) for name in names], self.runtime.device)
        if self.runtime.world_size > 1:
            self.task.load_state({n: type(state[n])(value) for n, value in zip(names, values, strict=True)})

    def _checkpoint(self, new_best: Best | None) -> None:
        distributed.broadcast(self.task.model.buffers())
        if self.runtime.is_main:
            state = {
                "step": self.step,
                "elapsed_seconds": self.elapsed,
                "amp": self.runtime.amp,
                "device": self.runtime.device.type,
                "updater": self.updater.state_dict(),
                "task": self.task.state(),
            }
            tensors, keep = self.task.model.state_dict(), self.config.num_ckpt_keep
            checkpoint.save_checkpoint(self.work_dir, self.step, tensors, state, keep, best=new_best)
            logger.info("saved %s", short(checkpoint.model_path(self.work_dir, self.step)))
        distributed.barrier()

    def _last_checkpoint(self) -> str:
        step = checkpoint.latest_step(self.work_dir)
        return "none" if step is None else f"{short(self.work_dir)} @ {step}"


_ENDS = {"complete": "training is complete", "time": "training time is over", "signal": "stopped by a signal and saved"}
