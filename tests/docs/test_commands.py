"""Commands shown in README and docs name files, scripts and flags that exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

from utils.data.paths import CODE_ROOT

PAGES = [CODE_ROOT / "README.md", *sorted((CODE_ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(r"^(?:data_gen|tasks|inference|scripts)/[\w/]+\.(?:py|sh)$")


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Return (page, words) of every shell command in fenced blocks and in code spans."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.S)
        spans = re.findall(r"`((?:bash|python) [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + spans
        for line in lines:
            for part in re.split(r"&&|;|\|", line.split(" #")[0]):
                words = tuple(re.findall(r"\"[^\"]*\"|\S+", part))
                if any(PROGRAM.match(word) for word in words):
                    found.append((page.name, words))
    return sorted(set(found))


@cache
def help_of(program: str) -> str:
    command = [sys.executable] if program.endswith(".py") else ["bash"]
    environment = {**os.environ, "GENEFACE_PYTHON": sys.executable}
    done = subprocess.run(
        [*command, program, "--help"], cwd=CODE_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{program} --help: {done.stderr}"
    return done.stdout + done.stderr


def test_pages_show_commands() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else shlex.join(value)
)
def test_a_command_shown_can_be_typed(page: str, words: tuple[str, ...]) -> None:
    program = next(word for word in words if PROGRAM.match(word))
    assert (CODE_ROOT / program).is_file(), f"{page}: there is no {program}"
    for word in words:
        if word.startswith("egs/") and not re.search(r"[.<>*{\[]{2,}|<|\*|\{", word):
            assert (CODE_ROOT / word).exists(), f"{page}: there is no {word}"
    flags = [word.split("=")[0] for word in words[words.index(program) :] if word.startswith("--")]
    for flag in flags:
        assert re.search(rf"{flag}\b", help_of(program)), f"{page}: {program} has no {flag}"


@pytest.mark.parametrize(
    "script", sorted(path.name for path in (CODE_ROOT / "scripts").glob("*.sh") if path.name != "lib.sh")
)
def test_every_script_explains_itself(script: str) -> None:
    text = help_of(f"scripts/{script}")
    assert script in text or "usage" in text.lower()
