"""The kernel in C++, compiled at first use for this CPU and kept in the user's cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modules.nerf.backends.base import BackendError
from utils.data.atomic import atomic_path

logger = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("kernel.cpp")
_FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-w")
_AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma")


@dataclass(frozen=True)
class CpuPath:
    """One way to compile the kernel."""

    name: str
    needs: tuple[str, ...]
    """Names of CPU features, as Linux and compilers spell them."""

    @property
    def flags(self) -> list[str]:
        return [f"-m{feature.replace('_', '')}" for feature in self.needs]


BF16_PATH = CpuPath("avx512_bf16", (*_AVX512, "avx512_bf16"))
_FLOAT_PATHS = (CpuPath("avx512", _AVX512), CpuPath("avx2", ("avx2", "fma")), CpuPath("generic", ()))


def cpu_features() -> frozenset[str]:
    """Return what this CPU can do, empty where that is not known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def choose_path(*, bf16: bool, features: frozenset[str]) -> CpuPath:
    """Return the fastest way for a CPU with ``features``; bf16 only where it is wanted and there."""
    paths = (BF16_PATH, *_FLOAT_PATHS) if bf16 else _FLOAT_PATHS
    return next(path for path in paths if features.issuperset(path.needs))


def find_compiler() -> str:
    """Return the system's C++ compiler: ``CXX``, c++, g++ or clang++.

    Raises:
        BackendError: There is none.
    """
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        if name and (found := shutil.which(name)):
            return found
    raise BackendError("no C++ compiler (c++, g++, clang++, or one named in CXX)")


def cache_folder() -> Path:
    """Return where compiled kernels are kept: ``GENEFACE_CACHE``, else below the user's cache folder."""
    if own := os.environ.get("GENEFACE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "geneface"


def load_kernel(path: CpuPath) -> ctypes.CDLL:
    """Return the library compiled in this way; compile it if the cache has none of this source.

    Raises:
        BackendError: No compiler, or it fails.
    """
    key = hashlib.sha256()
    for part in (_SOURCE.read_bytes(), " ".join((*_FLAGS, *path.flags)).encode(), platform.machine().encode()):
        key.update(part)
    library = cache_folder() / f"kernel-{path.name}-{key.hexdigest()[:16]}.so"
    if not library.exists():
        _compile(path, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise BackendError(f"cannot load {library}: {error}") from error


def _compile(path: CpuPath, library: Path) -> None:
    compiler = find_compiler()
    logger.info("compiling the %s renderer with %s (once)", path.name, compiler)
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(library) as temporary:
            command = [compiler, *_FLAGS, *path.flags, str(_SOURCE), "-o", str(temporary)]
            done = subprocess.run(command, capture_output=True, check=False, timeout=300)
            if done.returncode != 0:
                lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
                raise BackendError(
                    f"{compiler} cannot compile the renderer: {lines[0] if lines else 'no reason given'}"
                )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"{compiler} cannot compile the renderer: {error}") from error
