"""The one owner of device, seeds, autocast precision and rank; everything else asks here."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from utils.commons import distributed
from utils.commons.schema import ConfigError

logger = logging.getLogger(__name__)

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BF16_GAIN = 1.3
"""bf16 is used on a CPU only if it is faster than fp32 by this factor."""


def mix_seed(seed: int, *salt: int) -> int:
    """Return 63 bits that depend on the seed and on every salt."""
    digest = hashlib.blake2b(",".join(str(int(number)) for number in (seed, *salt)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seeded_generator(seed: int, *salt: int) -> torch.Generator:
    """Return a CPU generator that is a pure function of the seed and the salts."""
    generator = torch.Generator()
    generator.manual_seed(mix_seed(seed, *salt))
    return generator


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; under torchrun each local rank has its own GPU.

    Raises:
        ConfigError: Unknown name, or a GPU that is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdigit() or name == "cuda"):
        raise ConfigError(f"unknown device {name!r}; choose auto, cpu or cuda:N")
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    if index >= count:
        raise ConfigError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees {count} GPU(s); use device=cpu"
        )
    return torch.device("cuda", index)


def choose_amp(amp: str, device: torch.device) -> str:
    """Return ``off``, ``bf16`` or ``fp16`` for the wish ``amp``; ``auto`` measures on a CPU and logs the choice."""
    if amp not in ("auto", "off", *_DTYPES):
        raise ConfigError(f"unknown amp {amp!r}; choose auto, off, bf16 or fp16")
    if amp == "fp16" and device.type == "cpu":
        raise ConfigError("amp=fp16 needs a GPU; use amp=auto, bf16 or off on a CPU")
    if amp != "auto":
        return amp
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    gain = _time_linear(None) / _time_linear(torch.bfloat16)
    choice = "bf16" if distributed.broadcast_numbers([gain], device)[0] >= _BF16_GAIN else "off"
    logger.info("bf16 runs %.1f times as fast as fp32 here: amp=%s", gain, choice)
    return choice


def _time_linear(dtype: torch.dtype | None) -> float:
    """Return the median seconds of one training pass through a small MLP."""
    layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    rows = torch.ones(16384, 64)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            layers(rows).float().mean().backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


@contextlib.contextmanager
def _kept_rng(device: torch.device) -> Iterator[None]:
    """Restore Python's, NumPy's and torch's generators after the block."""
    python, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)


@dataclass(frozen=True)
class Runtime:
    """Where and how numbers are computed in this process."""

    VALIDATION: ClassVar[int] = -2
    """The pseudo step whose seed validation uses."""
    INITIAL: ClassVar[int] = -1
    """The pseudo step whose seed initial weights use."""

    device: torch.device
    seed: int = 9999
    rank: int = 0
    world_size: int = 1
    amp: str = "off"
    """``off``, ``bf16`` or ``fp16``, resolved."""

    @classmethod
    def create(cls, device: str = "auto", *, seed: int = 9999, amp: str = "auto", num_threads: int = 0) -> Self:
        """Pick the device, join torchrun's process group if there is one, and choose the precision.

        Args:
            device: ``auto``, ``cpu`` or ``cuda:N``.
            seed: Of every random number in the run.
            amp: ``auto``, ``off``, ``bf16`` or ``fp16``.
            num_threads: CPU threads of torch; 0 leaves torch's own choice.
        """
        # Vanishing gradients and Adam's averages of them are ten times slower otherwise. MediaPipe's segmentation
        # refuses to start in such a thread: processing of videos stays out of the runtime.
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # numpy reads the smallest numbers once, and warns where they are flushed
        torch.set_flush_denormal(True)
        if num_threads > 0:
            torch.set_num_threads(num_threads)
        picked = pick_device(device)
        rank, world_size = distributed.init_process_group(picked)
        with _kept_rng(picked):
            return cls(picked, seed, rank, world_size, choose_amp(amp, picked))

    @property
    def amp_dtype(self) -> torch.dtype | None:
        return _DTYPES.get(self.amp)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return a fresh autocast context of the chosen precision."""
        if self.amp_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.amp_dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Return the loss scaler; it does something with fp16 only."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp == "fp16")

    def generator(self, step: int, *salt: int) -> torch.Generator:
        """Return a CPU generator that is a pure function of (seed, step, rank, salts)."""
        return seeded_generator(self.seed, step, self.rank, *salt)

    def seed_step(self, step: int) -> None:
        """Seed Python, NumPy and torch from (seed, step, rank): what follows needs no saved generator state."""
        mixed = mix_seed(self.seed, step, self.rank)
        random.seed(mixed)
        np.random.seed(mixed % 2**32)
        torch.default_generator.manual_seed(mixed)  # torch.manual_seed formats a stack trace for every absent back-end
        if self.device.type == "cuda":
            torch.cuda.manual_seed(mixed)

    @contextlib.contextmanager
    def forked_rng(self, step: int) -> Iterator[None]:
        """Seed as :meth:`seed_step` inside the block and restore all generators after it."""
        with _kept_rng(self.device):
            self.seed_step(step)
            yield
