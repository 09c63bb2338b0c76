"""A pipeline of stages, each a folder that appears whole: run in order, skip what is done, rerun from what changed.

A stage's ``stage.json`` holds a fingerprint of its version, its configuration keys, its source files and the runs of
the stages it reads. Where the fingerprint is unchanged and the outputs exist, the stage is skipped. A stage that works
in chunks (``data_gen/chunks.py``) goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from data_gen.chunks import discard_chunks, resumable_dir
from utils.commons.schema import Config, ConfigError, DataError
from utils.data.atomic import atomic_dir, save_json

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
STAGE_FILE = "stage.json"


class Progress(Protocol):
    """Wraps the items a stage works through and shows how far it is."""

    def __call__(self, items: Iterable[_T], total: int | None = None) -> Iterable[_T]: ...


RunStage = Callable[[Any, Path, Path, Progress], None]
"""``run(config, processed_dir, out_dir, progress)``: read ``processed_dir/<earlier stage>``, write into ``out_dir``."""


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline."""

    name: str
    outputs: tuple[str, ...]
    """Files the stage must leave in its folder."""
    run: RunStage
    inputs: tuple[str, ...] = ()
    """Stages whose folders are read."""
    keys: tuple[str, ...] = ()
    """Configuration keys the outputs depend on."""
    version: int = 1
    """Raised when the code makes other outputs from the same inputs."""
    sources: Callable[[Any], list[Path]] = field(default=lambda config: [])
    """Files outside the pipeline that are read."""
    in_chunks: bool = False
    """The stage works in chunks, which a stopped run leaves to the next."""
    folder: Callable[[Any], Path] | None = None
    """Where the outputs go; ``processed_dir/<name>`` when absent."""

    def target(self, config: Config, root: Path) -> Path:
        """Return the stage's folder."""
        return self.folder(config) if self.folder else root / self.name


def run_stages(
    stages: Sequence[Stage], config: Config, root: Path, *, only: str | None = None, force: bool = False
) -> list[str]:
    """Run the stages that are not done and return their names.

    Args:
        stages: The pipeline, in order.
        config: What the stages' ``run`` and ``keys`` refer to.
        root: The processed folder.
        only: Run this stage alone; those it reads must be done.
        force: Run even what is done.

    Raises:
        ConfigError: ``only`` names no stage.
        DataError: A stage ``only`` reads is missing, or a stage left an output out.
    """
    by_name = {stage.name: stage for stage in stages}
    if only is not None and only not in by_name:
        raise ConfigError(f"unknown stage {only!r}; choose one of {', '.join(by_name)}")
    done = []
    for stage in stages if only is None else [by_name[only]]:
        for name in stage.inputs:
            if not _record(by_name[name], config, root):
                raise DataError(f"stage {stage.name!r} needs {name!r}, which is not done; run without --stage first")
        fingerprint = _fingerprint(stage, by_name, config, root)
        if not force and _is_done(stage, config, root, fingerprint):
            logger.info("%s: skipped (done)", stage.name)
            discard_chunks(stage.target(config, root))
            continue
        _run(stage, config, root, fingerprint, fresh=force)
        done.append(stage.name)
    return done


def _record(stage: Stage, config: Config, root: Path) -> dict[str, Any]:
    """Return what ``stage.json`` says, or nothing if the stage is not done."""
    path = stage.target(config, root) / STAGE_FILE
    if not path.exists():
        return {}
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _fingerprint(stage: Stage, by_name: dict[str, Stage], config: Config, root: Path) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    recorded = _record(stage, config, root).get("fingerprint", {}).get("sources", {})
    return {
        "version": stage.version,
        "keys": {key: values[key] for key in stage.keys},
        "inputs": {name: _record(by_name[name], config, root)["run_id"] for name in stage.inputs},
        "sources": {
            path.name: _sha256(path) if path.exists() else recorded.get(path.name) for path in stage.sources(config)
        },
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_done(stage: Stage, config: Config, root: Path, fingerprint: dict[str, Any]) -> bool:
    target = stage.target(config, root)
    same = _record(stage, config, root).get("fingerprint") == fingerprint
    return same and all((target / name).exists() for name in stage.outputs)


def _run(stage: Stage, config: Config, root: Path, fingerprint: dict[str, Any], *, fresh: bool) -> None:
    target = stage.target(config, root)
    logger.info("%s: running", stage.name)
    began = time.monotonic()
    _reset_peak_memory()
    with resumable_dir(target, fingerprint, fresh=fresh) if stage.in_chunks else atomic_dir(target) as folder:
        stage.run(config, root, folder, _progress_bar(stage.name))
        missing = [name for name in stage.outputs if not (folder / name).exists()]
        if missing:
            raise DataError(f"stage {stage.name!r} did not write {', '.join(missing)}; report this as a bug")
        save_json(folder / STAGE_FILE, {"run_id": uuid.uuid4().hex, "fingerprint": fingerprint})
    seconds, megabytes = time.monotonic() - began, _peak_memory_mb()
    logger.info("%s: done in %.1f s, peak memory %.0f MB", stage.name, seconds, megabytes)
    _note_timing(root, stage.name, seconds, megabytes)


def _progress_bar(name: str) -> Progress:
    from tqdm import tqdm

    def progress(items: Iterable[_T], total: int | None = None) -> Iterator[_T]:
        pause = 0.2 if sys.stderr.isatty() else 10.0  # a log file needs no line ten times a second
        return iter(
            tqdm(items, total=total, desc=name, unit="frame", dynamic_ncols=True, leave=False, mininterval=pause)
        )

    return progress


def _note_timing(root: Path, name: str, seconds: float, megabytes: float) -> None:
    path = root / "timings.json"
    timings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    timings[name] = {"seconds": round(seconds, 2), "peak_memory_mb": round(megabytes)}
    save_json(path, timings)


def _reset_peak_memory() -> None:
    """Start the kernel's record of the peak anew, where the system allows it (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        logger.debug("peak memory cannot be reset here; figures are those since the program began")


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
