"""``docs/configuration.md`` from the typed models: every key once, with type, default and meaning."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from utils.commons.hparams import PRESETS, load_config
from utils.commons.schema import Config
from utils.data.paths import CODE_ROOT

PROGRAM_CONFIGS = {
    "data_gen.videos.config:ProcessConfig": "`data_gen/run.py` on a video",
    "data_gen.corpus.config:CorpusConfig": "`data_gen/run.py` on a corpus",
    "inference.config:InferConfig": "`inference/run.py`",
}
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "multiple_of": "multiple of"}
_HEAD = """# Configuration

Made by `python scripts/make_config_docs.py` from the typed models; do not edit.

Keys are flat. Order of strength: default here < `base_config` (left to right, depth first) < the file < `--hparams`.
`--print_config` shows every key of a run with the file and line it comes from. Keys marked \\* are run keys: they may
change when a training is resumed; any other change is refused with its difference (`--reset` starts anew).
"""


def entry_files(root: Path = CODE_ROOT) -> list[Path]:
    """Return the YAML files that programs are started with."""
    return sorted((root / "egs" / "datasets").rglob("*.yaml"))


def load_object(path: str) -> Any:
    """Return the attribute of ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def known_configs() -> dict[type[Config], str]:
    """Return every model a program can be configured with, and which program that is."""
    found = {load_object(path): program for path, program in PROGRAM_CONFIGS.items()}
    for path in entry_files():
        for preset in PRESETS:
            dotted = load_config(path, preset=preset).values.get("task_cls")
            if dotted:
                module, _, name = str(dotted).rpartition(".")
                found[load_object(f"{module}:{name}").config_cls] = f"`{dotted}`"
    return found


def render_docs() -> str:
    """Return the text of ``docs/configuration.md``."""
    users = known_configs()
    sections: dict[type[Config], list[str]] = {}
    for model, program in users.items():
        for owner in reversed(model.__mro__):
            if issubclass(owner, Config) and _own_fields(owner):
                sections.setdefault(owner, []).append(program)
    ordered = sorted(sections, key=lambda owner: (owner.__module__, owner.__qualname__))
    return _HEAD + "".join(_section(owner, sections[owner]) for owner in ordered)


def _own_fields(owner: type[Config]) -> list[str]:
    annotations = inspect.get_annotations(owner)
    return [name for name in owner.model_fields if name in annotations]


def _section(owner: type[Config], programs: Iterable[str]) -> str:
    first_line = (inspect.getdoc(owner) or "").splitlines()[:1]
    lines = [
        f"\n## {owner.__name__}\n",
        *first_line,
        f"\nIn `{owner.__module__}`; read by {', '.join(sorted(set(programs)))}.\n",
    ]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    run_keys = owner.all_run_keys()
    for name in _own_fields(owner):
        field = owner.model_fields[name]
        meaning = " ".join((field.description or "").split()).replace("<", "&lt;")
        mark = " \\*" if name in run_keys else ""
        cells = [f"`{name}`{mark}", _type_text(field), _default_text(field), meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _type_text(field: FieldInfo) -> str:
    bounds = []
    for rule in field.metadata:
        bounds += [f"{sign} {getattr(rule, key):g}" for key, sign in _BOUNDS.items() if hasattr(rule, key)]
    return " ".join([_annotation_text(field.annotation), ", ".join(bounds)]).strip()


def _annotation_text(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is typing.Annotated:
        return _annotation_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if kind is type(None) else _annotation_text(kind) for kind in arguments)
    if origin is not None:
        inner = ", ".join("..." if kind is Ellipsis else _annotation_text(kind) for kind in arguments)
        return f"{origin.__name__}[{inner}]"
    return getattr(annotation, "__name__", str(annotation))


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    default = field.get_default(call_default_factory=True)
    spelled = {True: "true", False: "false", None: "null"}.get(default) if isinstance(default, bool | None) else None
    if isinstance(default, tuple):
        default = list(default)
    return f"`{spelled or default}`" if default != "" else '`""`'
