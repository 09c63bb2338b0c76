from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from utils.data.paths import CODE_ROOT

SCRIPTS = sorted([*(CODE_ROOT / "scripts").glob("*.sh"), CODE_ROOT / ".ci" / "run"])


def bash(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GENEFACE_")}
    command = ["bash", "-c", f"set -euo pipefail; source scripts/lib.sh; {code}"]
    return subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the shared functions and requirements, and no environment."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(CODE_ROOT / "scripts" / "lib.sh", tmp_path / "scripts")
    (tmp_path / "requirements.txt").write_text("a\n")
    (tmp_path / "requirements-dev.txt").write_text("b\n")
    return tmp_path


def fake_environment(checkout: Path, *files: str) -> Path:
    """Make a .venv that says these files are installed."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho pip was called >&2\nexit 1\n")
    python.chmod(0o755)
    digest = subprocess.run(["sha256sum"], input="".join(files), capture_output=True, text=True, check=True).stdout[:16]
    (checkout / ".venv" / f".installed-{digest}").touch()
    return python


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_valid_bash(script: Path) -> None:
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_named_interpreter_is_used(checkout: Path) -> None:
    done = bash("ensure_environment; python_bin", checkout, GENEFACE_PYTHON=sys.executable)
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable)


def test_a_named_interpreter_without_the_packages_is_refused(checkout: Path) -> None:
    done = bash("ensure_environment; echo went on", checkout, GENEFACE_PYTHON="/bin/false")
    assert done.returncode == 2
    assert done.stderr.startswith("error: GENEFACE_PYTHON=/bin/false cannot import torch and mediapipe")
    assert not done.stdout


def test_nothing_is_installed_twice(checkout: Path) -> None:
    python = fake_environment(checkout, "a\n", "b\n")
    done = bash("ensure_environment requirements-dev.txt; python_bin", checkout)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(python), "")


def test_changed_requirements_are_installed(checkout: Path) -> None:
    fake_environment(checkout, "a\n")
    (checkout / "requirements.txt").write_text("changed\n")
    done = bash("ensure_environment; echo went on", checkout, GENEFACE_TORCH_INDEX="file:///nowhere")
    assert done.returncode == 2
    assert "pip was called" in done.stderr
    assert "error: pip could not install requirements.txt" in done.stderr
    assert "went on" not in done.stdout


def test_an_unfit_python_is_named(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "sha256sum", "cut", "id"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "python3").write_text("#!/bin/bash\n[[ $1 == --version ]] && echo Python 3.9.2 || exit 1\n")
    (tools / "python3").chmod(0o755)
    done = bash("ensure_environment", checkout, PATH=str(tools))
    assert done.returncode == 2
    assert done.stderr.startswith("error: Python 3.11 or 3.12 is needed, found Python 3.9.2")


@pytest.mark.parametrize("script", ["train_nerf.sh", "bench.sh"])
@pytest.mark.parametrize("processes", ["0", "two", "-1"])
def test_a_wrong_number_of_processes_is_named(script: str, processes: str) -> None:
    done = subprocess.run(
        ["bash", f"scripts/{script}", "anna"],
        cwd=CODE_ROOT,
        env={**os.environ, "PROCESSES": processes},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: PROCESSES is a number of 1 or more, found '{processes}'\n"


@pytest.mark.skipif(
    bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="a GPU is there: one process whatever the cores"
)
@pytest.mark.parametrize(
    ("cores", "setting", "expected"),
    [
        (2, {}, "2"),
        (1, {}, "1"),
        (2, {"PRESET": "geneface"}, "1"),
        (2, {"PRESET": "full"}, "1"),
        (1, {"PRESET": "full", "PROCESSES": "3"}, "3"),
    ],
)
def test_two_processes_train_where_two_cores_are_and_no_published_schedule(
    checkout: Path, cores: int, setting: dict[str, str], expected: str
) -> None:
    done = bash(f"nproc() {{ echo {cores}; }}; training_processes", checkout, **setting)
    assert done.stdout == f"{expected}\n"
