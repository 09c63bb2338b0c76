"""The experiments of a released GeneFace: a folder or a zip with ``<owner>/<name>/{config.yaml, *.ckpt}`` inside."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from utils.commons.foreign_checkpoint import MAX_BYTES
from utils.commons.schema import DataError

ORIGINAL_CONFIG = "config.geneface.yaml"
"""Name the original configuration gets when an experiment is imported where it lies."""
_CONFIGS = (ORIGINAL_CONFIG, "config.yaml")
_CHECKPOINT = re.compile(r"model_ckpt_steps_(\d+)\.ckpt")
_MAX_ENTRIES, _MAX_TOTAL, _MAX_CONFIG = 20_000, 32 << 30, 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Of zipfile on damaged files; NotImplementedError means a compression it does not know, RuntimeError a password.
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class ReleasedExperiment:
    """One experiment folder of the original program."""

    owner: str
    """Folder above: ``lrs3``, or the person."""
    name: str
    config: dict[str, Any]
    """Its flat configuration, as it stands."""
    checkpoint: Path
    step: int
    other_steps: tuple[int, ...]
    """Steps of its other checkpoints."""

    @property
    def title(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def source(self) -> str:
        return f"{self.title}/{self.checkpoint.name}"


def open_release(source: Path, scratch: Path, *, steps: dict[str, int]) -> list[ReleasedExperiment]:
    """Return the experiments of a release, sorted by owner and name.

    Args:
        source: A folder or a zip.
        scratch: Folder to unpack what is needed of a zip; must exist.
        steps: Checkpoint wanted of experiments, by ``<owner>/<name>``.

    Raises:
        FileNotFoundError: There is no such folder or file.
        DataError: No experiment in it, or something in it is unsafe or damaged.
    """
    if source.is_dir():
        folder, default_owner = source, source.resolve().parent.name
    elif source.is_file():
        folder, default_owner = scratch / source.stem, source.stem
        _unpack(source, folder)
    else:
        raise FileNotFoundError(f"no {source}; name the folder or zip of a GeneFace release")
    found = [_read(path, folder, default_owner, steps) for path in _experiment_folders(folder)]
    if not found:
        raise DataError(
            f"{source} holds no folder with a config.yaml and a model_ckpt_steps_<N>.ckpt; is it a release?"
        )
    return sorted(found, key=lambda experiment: experiment.title)


def _experiment_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders that hold checkpoints: this one, and those up to three levels below."""
    for pattern in ("*.ckpt", "*/*.ckpt", "*/*/*.ckpt", "*/*/*/*.ckpt"):
        yield from sorted({path.parent for path in folder.glob(pattern) if _CHECKPOINT.fullmatch(path.name)})


def _read(path: Path, root: Path, default_owner: str, steps: dict[str, int]) -> ReleasedExperiment:
    parts = path.relative_to(root).parts
    owner = parts[-2] if len(parts) >= 2 else root.resolve().name if parts else default_owner
    name = parts[-1] if parts else root.resolve().name
    for part in (owner, name):
        if not _NAME.fullmatch(part):
            raise DataError(f"the folder name {part!r} must be letters, digits, '_', '-' or '.'; rename it")
    title = f"{owner}/{name}"
    config = _read_config(path, title)
    known = sorted(int(match[1]) for file in path.iterdir() if (match := _CHECKPOINT.fullmatch(file.name)))
    step = _choose(known, steps.get(title), config.get("infer_ckpt_steps"), title)
    checkpoint = path / f"model_ckpt_steps_{step}.ckpt"
    return ReleasedExperiment(owner, name, config, checkpoint, step, tuple(s for s in known if s != step))


def _choose(known: list[int], wanted: int | None, advised: Any, title: str) -> int:
    """Return the step asked for; else the one the configuration advises for inference; else the newest."""
    if wanted is not None and wanted not in known:
        raise DataError(f"{title} has no checkpoint of step {wanted}; there are {', '.join(map(str, known))}")
    if wanted is not None:
        return wanted
    return advised if advised in known else known[-1]


def _read_config(path: Path, title: str) -> dict[str, Any]:
    file = next((path / name for name in _CONFIGS if (path / name).is_file()), None)
    if file is None:
        raise DataError(f"{title} has no config.yaml beside its checkpoint; copy it there from the release")
    if file.stat().st_size > _MAX_CONFIG:
        raise DataError(f"{title}/{file.name} is larger than a megabyte and no configuration")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{title}/{file.name} is not plain YAML ({' '.join(str(error).split())[:160]})") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{title}/{file.name} holds no configuration")
    return values


def _unpack(source: Path, folder: Path) -> None:
    """Unpack configurations and checkpoints of a zip; refuse the whole of it if any name in it is unsafe."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in _checked(members, source):
                target = folder.joinpath(*PurePosixPath(member.filename).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except DataError:
        raise  # it is a ValueError too
    except _ZIP_ERRORS as error:
        raise DataError(f"{source.name} is damaged or no zip ({error}); download it again") from error


def _checked(members: list[zipfile.ZipInfo], source: Path) -> list[zipfile.ZipInfo]:
    if len(members) > _MAX_ENTRIES or sum(member.file_size for member in members) > _MAX_TOTAL:
        raise DataError(f"{source.name} would unpack to more than any release holds; it is not unpacked")
    for member in members:
        path = PurePosixPath(member.filename)
        unsafe = path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename
        if unsafe or stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{source.name} holds {member.filename!r}, which leads out of it; it is not unpacked")
    needed = [m for m in members if PurePosixPath(m.filename).name in _CONFIGS or m.filename.endswith(".ckpt")]
    for member in needed:
        if member.file_size > MAX_BYTES:
            raise DataError(f"{source.name} holds {member.filename!r} of more than {MAX_BYTES >> 30} GB")
    return needed
