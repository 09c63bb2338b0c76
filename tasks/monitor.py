"""What one sees of a training: the progress bar, TensorBoard, and pictures, sounds and films of a validation."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from tasks.base_task import Media, TaskConfig
from utils.commons.logs import PROGRESS_LOGGER
from utils.data.atomic import atomic_path
from utils.media.video import VideoWriter

_progress_log = logging.getLogger(PROGRESS_LOGGER)
_STRIP_FRAMES = 8

WriteVideo = Callable[[Path, Media], None]


def write_video(path: Path, media: Media) -> None:
    """Write a video with its sound as mp4."""
    frames = to_uint8(media.data)
    size = (frames.shape[2], frames.shape[1])
    with VideoWriter(path, size=size, fps=media.fps, audio=media.audio, sample_rate_hz=media.sample_rate) as writer:
        for frame in frames:
            writer.write(frame)


def to_uint8(data: Tensor | np.ndarray) -> np.ndarray:
    """Return pictures as uint8; floats are taken to be in [0, 1]."""
    array = data.detach().float().cpu().numpy() if isinstance(data, Tensor) and data.is_floating_point() else data
    array = array.cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    return array if array.dtype == np.uint8 else np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def film_strip(frames: np.ndarray) -> np.ndarray:
    """Return up to eight frames spread over a video, side by side."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _STRIP_FRAMES)).round().astype(int)
    return np.concatenate([frames[index] for index in chosen], axis=1)


def in_words(seconds: float) -> str:
    """Return a duration such as ``3m20s``."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def seconds_left(config: TaskConfig, *, done: int, step: int, run_seconds: float, elapsed: float) -> float:
    """Return the time until the last update or the clock ends training, whichever is first.

    Args:
        config: Holds ``max_updates`` and ``max_minutes``.
        done: Updates made in this run.
        step: Updates made in all.
        run_seconds: Time of this run.
        elapsed: Time of all runs.
    """
    by_steps = run_seconds / max(done, 1) * (config.max_updates - step)
    return min(by_steps, config.max_minutes * 60 - elapsed) if config.max_minutes else by_steps


class Monitor:
    """Writes in rank 0 only; every method does nothing elsewhere."""

    def __init__(self, work_dir: Path, config: TaskConfig, *, active: bool, video: WriteVideo = write_video) -> None:
        self.work_dir, self.config, self.active, self.video = work_dir, config, active, video
        self.writer: Any = None
        self.bar: Any = None

    def open(self, step: int, name: str) -> None:
        """Begin at ``step``; TensorBoard forgets what an interrupted run wrote beyond it."""
        self.start, self.start_time = step, time.monotonic()
        if self.active:
            self.writer = SummaryWriter(str(self.work_dir / "tb_logs"), purge_step=step or None)
            layout = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
            hidden = not sys.stderr.isatty()
            total = self.config.max_updates
            self.bar = tqdm(total=total, initial=step, desc=name, bar_format=layout, disable=hidden, leave=True)

    def close(self) -> None:
        if self.active and self.writer is not None:
            self.bar.close()
            self.writer.close()

    def update(self, step: int, scalars: Mapping[str, float], elapsed: float) -> None:
        """Show that ``step`` updates are done."""
        if not self.active:
            return
        left = seconds_left(
            self.config,
            done=step - self.start,
            step=step,
            run_seconds=time.monotonic() - self.start_time,
            elapsed=elapsed,
        )
        losses = ", ".join(f"{k.removeprefix('tr/')} {v:.4g}" for k, v in scalars.items() if k.startswith("tr/loss_"))
        self.bar.set_postfix_str(f"{losses}, {in_words(left)} left", refresh=False)
        self.bar.update(1)
        if step % self.config.log_interval == 0:
            _progress_log.info("step %d/%d: %s, %s left", step, self.config.max_updates, losses, in_words(left))
        if step % self.config.tb_log_interval == 0:
            self.scalars(scalars, step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers under their tags."""
        if self.active:
            for tag, value in values.items():
                self.writer.add_scalar(tag, value, step)
            self.writer.flush()

    def curve(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a validation to ``validation_curve.jsonl``, which shows why a checkpoint was chosen."""
        if not self.active:
            return
        path = self.work_dir / "validation_curve.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] < step]  # an interrupted run may have been further
        with atomic_path(path) as temporary:
            temporary.write_text("\n".join([*kept, json.dumps({"step": step, **metrics})]) + "\n", encoding="utf-8")

    def media(self, items: list[Media], step: int) -> None:
        """Write images, sounds and films; films also as mp4 under ``validation/``."""
        if not self.active:
            return
        for item in items:
            if item.kind == "image":
                self.writer.add_image(item.tag, to_uint8(item.data), step, dataformats="HWC")
            elif item.kind == "audio":
                self.writer.add_audio(
                    item.tag, torch.as_tensor(item.data).float().reshape(1, -1), step, item.sample_rate
                )
            else:
                self.writer.add_image(item.tag, film_strip(to_uint8(item.data)), step, dataformats="HWC")
                self.video(self.work_dir / "validation" / f"{item.tag.replace('/', '_')}_{step}.mp4", item)
