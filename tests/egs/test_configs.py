from __future__ import annotations

from pathlib import Path

import pytest

from tasks.base_task import load_task_class
from utils.commons.config_docs import PROGRAM_CONFIGS, entry_files, load_object
from utils.commons.hparams import PRESETS, build_config, load_config
from utils.commons.schema import Config
from utils.commons.yaml_source import parse_mapping
from utils.data.paths import CODE_ROOT

NOT_STARTED = {"base.yaml"}
"""Files that others build on and no program is started with."""


def name_of(path: Path) -> str:
    return str(path.relative_to(CODE_ROOT / "egs"))


def model_of(path: Path, task_cls: str) -> type[Config]:
    if task_cls:
        return load_task_class(task_cls).config_cls
    process, corpus, infer = (load_object(name) for name in PROGRAM_CONFIGS)
    if path.name == "infer.yaml":
        return infer
    return process if "videos" in path.parts else corpus


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("path", [p for p in entry_files() if p.name not in NOT_STARTED], ids=name_of)
def test_every_entry_file_loads(path: Path, preset: str) -> None:
    resolved = load_config(path, preset=preset)
    config = build_config(model_of(path, resolved.values.get("task_cls", "")), resolved)
    assert set(resolved.values) <= set(type(config).model_fields)


def test_every_base_is_used() -> None:
    used: set[str] = set()
    for path in entry_files():
        for preset in PRESETS:
            pending = [path]
            while pending:
                file = pending.pop()
                used.add(name_of(file))
                for entry in parse_mapping(file.read_text(encoding="utf-8"), str(file)):
                    if entry.key == "base_config":
                        names = entry.value if isinstance(entry.value, list) else [entry.value]
                        for name in (n.replace("{preset}", preset) for n in names):
                            base = file.parent / name if name.startswith(".") else CODE_ROOT / name
                            pending.append(base.resolve())
    assert {name_of(path) for path in (CODE_ROOT / "egs").rglob("*.yaml")} == used


@pytest.mark.parametrize("path", sorted((CODE_ROOT / "egs" / "datasets" / "videos").glob("*/*.yaml")), ids=name_of)
def test_files_of_a_person_hold_only_what_is_personal(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 6
