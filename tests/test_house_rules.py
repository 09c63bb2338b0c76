"""Rules of this code base that no linter knows."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import pytest

from utils.data.paths import CODE_ROOT

FOLDERS = ("utils", "modules", "tasks", "data_gen", "inference", "scripts")
SOURCES = sorted(path for folder in FOLDERS for path in (CODE_ROOT / folder).rglob("*.py"))
BANNED = {
    r"\.cuda\(": (),
    r"\"cuda:\d\"": (),
    r"torch\.load\(": ("utils/commons/checkpoint.py", "utils/commons/foreign_checkpoint.py"),
    r"allow_pickle=True": (),
    r"\bimport pickle\b": (),
    r"shell=True": (),
    r"\bos\.system\(": (),
    r"(?<![\w.])(eval|exec)\(": (),
    r"\btorch\.(cuda\.)?manual_seed": ("utils/commons/runtime.py",),
    r"\bnp\.random\.(?!default_rng\(\S|Generator|SeedSequence|PCG64|Philox|RandomState\(\d)": (
        "utils/commons/runtime.py",
    ),
    r"except Exception": (),
    r"/work/|/opt/|/root/|/home/": (),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(CODE_ROOT))


@pytest.mark.parametrize("pattern", BANNED)
def test_banned_calls_stay_with_their_owner(pattern: str) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in SOURCES
        if name_of(path) not in BANNED[pattern]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)


def test_files_are_short() -> None:
    long = {name_of(path): n for path in SOURCES if (n := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long


def test_functions_are_short() -> None:
    lengths = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                lengths[f"{name_of(path)}:{node.lineno} {node.name}"] = (
                    (node.end_lineno or node.lineno) - node.lineno + 1
                )
    assert not {name: length for name, length in lengths.items() if length > 60}
    assert statistics.median(lengths.values()) <= 12


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (CODE_ROOT / "tests").rglob("*.py")}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_importing_the_base_of_a_task_needs_no_heavy_library() -> None:
    text = "".join(
        (CODE_ROOT / name).read_text(encoding="utf-8") for name in ("tasks/base_task.py", "modules/registry.py")
    )
    assert not re.search(r"import (mediapipe|transformers|onnxruntime|librosa|cv2)", text)
