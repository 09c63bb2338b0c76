"""YAML files to typed configuration: inheritance by ``base_config``, overrides, and errors that name file and line.

Order of strength: the model's default < ``base_config`` (left to right, depth first) < the file < ``--hparams``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from utils.commons.experiment import load_experiment_config, short
from utils.commons.schema import Config, ConfigError
from utils.commons.yaml_source import Entry, parse_mapping, split_overrides, typed
from utils.data.paths import CODE_ROOT

__all__ = ["PRESETS", "ResolvedConfig", "build_config", "describe", "load_config", "load_experiment_config"]

PRESETS = ("quick", "full", "geneface")
_BASE = "base_config"
_C = TypeVar("_C", bound=Config)


@dataclass(frozen=True)
class ResolvedConfig:
    """Raw values of all keys, and where each one comes from (``file:line`` or ``--hparams``)."""

    values: dict[str, Any]
    origins: dict[str, str]
    source: str
    """The file the resolution started from, for errors that belong to no key."""


def load_config(path: str | Path, overrides: str | Sequence[str] = "", preset: str = "quick") -> ResolvedConfig:
    """Resolve a YAML file, all its bases and the overrides into raw flat values.

    Args:
        path: The file; relative to the working directory, else to the repository root.
        overrides: ``a=1,b=[1,2]``, or several such texts; later ones win.
        preset: ``quick``, ``full`` or ``geneface``; replaces ``{preset}`` in base paths.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    file = _find(Path(path))
    if file is None:
        raise FileNotFoundError(f"no configuration file {path}; choose one under egs/")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    _read(file, preset, (), values, origins)
    for key, raw in split_overrides(overrides if isinstance(overrides, str) else ",".join(filter(None, overrides))):
        if key == _BASE:
            raise ConfigError(f"--hparams: {_BASE} can only be given in a file")
        values[key], origins[key] = raw, "--hparams"
    return ResolvedConfig(values, origins, short(file))


def _find(path: Path) -> Path | None:
    candidates = (path, CODE_ROOT / path)
    return next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)


def _read(file: Path, preset: str, trail: tuple[Path, ...], values: dict[str, Any], origins: dict[str, str]) -> None:
    where = short(file)
    try:
        entries = parse_mapping(file.read_text(encoding="utf-8"), where)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not a UTF-8 text file; save it as UTF-8") from error
    for entry in entries:
        if entry.key == _BASE:
            for base in _bases(entry, file, preset):
                _refuse_loop(base, (*trail, file), f"{where}:{entry.line}")
                _read(base, preset, (*trail, file), values, origins)
    for entry in entries:
        if entry.key != _BASE:
            values[entry.key], origins[entry.key] = entry.value, f"{where}:{entry.line}"


def _bases(entry: Entry, file: Path, preset: str) -> list[Path]:
    names = entry.value if isinstance(entry.value, list) else [entry.value]
    return [_base(str(name).replace("{preset}", preset), entry, file) for name in names if name]


def _base(name: str, entry: Entry, file: Path) -> Path:
    path = file.parent / name if name.startswith(".") else CODE_ROOT / name
    if not path.is_file():
        raise ConfigError(
            f"{short(file)}:{entry.line}: {_BASE} {name!r} does not exist (looked for {short(path.resolve())})"
        )
    return path.resolve()


def _refuse_loop(base: Path, trail: tuple[Path, ...], where: str) -> None:
    if base in trail:
        loop = " -> ".join(short(file) for file in (*trail[trail.index(base) :], base))
        raise ConfigError(f"{where}: {_BASE} runs in a circle: {loop}")


def build_config(cls: type[_C], resolved: ResolvedConfig) -> _C:
    """Return the typed, checked configuration.

    Raises:
        ConfigError: An unknown key, a value of the wrong type, a missing key or an impossible pair; with file and line.
    """
    typed_values = {}
    for key, raw in resolved.values.items():
        if key not in cls.model_fields:
            raise ConfigError(f"{resolved.origins[key]}: {_unknown(key, list(cls.model_fields))}")
        try:
            typed_values[key] = typed(raw, cls.model_fields[key].annotation)
        except ValueError as error:
            raise ConfigError(f"{resolved.origins[key]}: {key}: {error}") from error
    try:
        return cls(**typed_values)
    except ValidationError as error:
        raise ConfigError(_explain(error.errors()[0], cls, resolved)) from error


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "see docs/configuration.md for the known keys"
    return f"unknown key {key!r}; {hint}"


def _explain(error: ErrorDetails, cls: type[Config], resolved: ResolvedConfig) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return f"{resolved.source}: {message}"
    key = str(error["loc"][0])
    if error["type"] == "missing":
        meaning = " ".join((cls.model_fields[key].description or "").split())
        return f"{resolved.source}: key {key!r} is missing ({meaning}); give it in the file or by --hparams"
    where = resolved.origins.get(key, resolved.source)
    return f"{where}: {key}: {message[0].lower() + message[1:]}, got {error['input']!r}"


def describe(config: Config, resolved: ResolvedConfig) -> str:
    """Return one line ``key: value  # origin`` for every key of the model."""
    lines = []
    for key, value in config.model_dump(mode="json").items():
        lines.append(f"{key}: {value!r}".ljust(48) + f"  # {resolved.origins.get(key, 'default')}")
    return "\n".join(lines)
