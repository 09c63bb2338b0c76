"""Several processes on one machine that train one model: ``python tasks/run.py --processes 2 ...``.

This process becomes rank 0 and starts the others; ``torchrun`` does the same for GPUs and several machines, but buries
an error under its own report. Two processes of one thread do half as much again on two cores as one of two threads.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import torch

from utils.commons.cli import USER_ERROR
from utils.commons.machine import usable_cores
from utils.commons.schema import ConfigError

_SHOWN_BYTES = 2000
_GRACE_SECONDS = 5.0
"""What stops all processes (a signal, a loss that is no number) stops some of them a little earlier."""


def process_count(text: str) -> int:
    """Return the number that a command line's ``--processes`` names."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got {text!r}")
    return int(text)


def is_launched() -> bool:
    """Return whether somebody (torchrun or :func:`companions`) has made this process one of several."""
    return "RANK" in os.environ


@contextlib.contextmanager
def companions(processes: int, arguments: Sequence[str]) -> Iterator[None]:
    """Be rank 0 of so many processes inside the block; the others run this program with the same arguments.

    If one of the others fails, its error is shown and this process ends: it would wait for ever.

    Args:
        processes: All of them; with 1 nothing happens.
        arguments: Of the command line.

    Raises:
        ConfigError: This process is already one of several.
    """
    if processes == 1:
        yield
        return
    if is_launched():
        raise ConfigError("--processes does not go together with torchrun, which has its own --nproc_per_node")
    threads = max(1, usable_cores() // processes)
    shared = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "OMP_NUM_THREADS": str(threads),
    }
    os.environ.update(_over_loopback() | shared | {"RANK": "0", "LOCAL_RANK": "0"})
    torch.set_num_threads(threads)
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(1, processes)]
        others = [
            subprocess.Popen(
                [sys.executable, sys.argv[0], *arguments, "--processes", "1"],
                env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=output,
                stderr=output,
            )
            for rank, output in enumerate(outputs, start=1)
        ]
        leaving = threading.Event()
        for other, output in zip(others, outputs, strict=True):
            threading.Thread(target=_watch, args=(other, output, leaving), daemon=True).start()
        try:
            yield
        finally:
            leaving.set()
            for other in others:
                other.terminate()  # those that have left in order are gone already
                other.wait()


def _watch(other: subprocess.Popen[bytes], output: IO[bytes], leaving: threading.Event) -> None:
    """End this process if another one ends in failure while it is still needed."""
    code = other.wait()
    if code == 0 or leaving.wait(_GRACE_SECONDS):
        return
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _SHOWN_BYTES))
    text = output.read().decode(errors="replace").strip()
    sys.stderr.write(f"error: one of the training's processes ended with code {code}:\n{text}\n")
    sys.stderr.flush()
    os._exit(USER_ERROR)


def _over_loopback() -> dict[str, str]:
    """Return what keeps gloo on this machine: by itself it asks what the machine's name stands for, often unknown."""
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {"GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", names[0])} if names else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
