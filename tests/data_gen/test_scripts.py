from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from utils.commons.yaml_source import parse_mapping
from utils.data.paths import CODE_ROOT


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A folder with the scripts and the template alone, so that nothing is made in the real one."""
    root = tmp_path / "repo"
    (root / "egs/datasets/videos").mkdir(parents=True)
    shutil.copytree(CODE_ROOT / "scripts", root / "scripts")
    shutil.copytree(CODE_ROOT / "egs/datasets/videos/_template", root / "egs/datasets/videos/_template")
    (tmp_path / "my film.mp4").write_bytes(b"film")
    return root


def _run(repo: Path, script: str, *arguments: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin"} | ({"GENEFACE_ROOT": str(data)} if data else {})
    command = ["bash", str(repo / "scripts" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=repo.parent, env=environment, check=False)


def test_a_new_video_is_copied_in_and_gets_its_settings(repo: Path) -> None:
    (repo.parent / "my film.cuts.json").write_text("{}")
    done = _run(repo, "new_video.sh", "my film.mp4", "May")
    assert done.returncode == 0, done.stderr
    assert (repo / "data/raw/videos/May.mp4").read_bytes() == b"film"
    assert (repo / "data/raw/videos/May.cuts.json").exists()
    made = repo / "egs/datasets/videos/May"
    names = {path.name for path in made.iterdir()}
    assert names == {
        "base.yaml",
        "process.yaml",
        "postnet.yaml",
        "lm3d_nerf.yaml",
        "lm3d_nerf_sr.yaml",
        "lm3d_nerf_torso.yaml",
        "speech_nerf.yaml",
        "infer.yaml",
    }
    texts = {path.name: path.read_text() for path in made.iterdir()}
    assert {entry.key: entry.value for entry in parse_mapping(texts["base.yaml"], "x")} == {"video_id": "May"}
    assert all("VIDEO_ID" not in text for text in texts.values())
    assert "checkpoints/May/lm3d_nerf" in texts["lm3d_nerf_torso.yaml"]
    assert "process_video.sh May" in done.stdout


def test_data_may_lie_elsewhere(repo: Path) -> None:
    assert _run(repo, "new_video.sh", "my film.mp4", "May", data=repo.parent / "else").returncode == 0
    assert (repo.parent / "else/data/raw/videos/May.mp4").exists()
    assert not (repo / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "usage: bash scripts/new_video.sh <file.mp4> <video_id>"),
        (("--force",), "usage: bash scripts/new_video.sh"),
        (("nowhere.mp4", "May"), "error: no video at nowhere.mp4; check the name"),
        (("my film.mp4", "../May"), "error: video_id '../May' must be letters"),
        (("my film.mp4", "_template"), "error: video_id '_template' must be letters"),
        (("my film.mp4", "Taken"), "exists already; choose another video_id"),
    ],
)
def test_bad_calls_change_nothing(repo: Path, arguments: tuple[str, ...], message: str) -> None:
    (repo / "egs/datasets/videos/Taken").mkdir()
    done = _run(repo, "new_video.sh", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list((repo / "data").rglob("*.mp4")) if (repo / "data").exists() else True
    assert {path.name for path in (repo / "egs/datasets/videos").iterdir()} == {"_template", "Taken"}


def test_a_raw_video_is_never_overwritten(repo: Path) -> None:
    raw = repo / "data/raw/videos/May.mp4"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"precious")
    done = _run(repo, "new_video.sh", "my film.mp4", "May")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert raw.read_bytes() == b"precious"


@pytest.mark.parametrize("script", ["process_video.sh", "process_corpus.sh"])
def test_wrong_usage_is_explained(repo: Path, script: str) -> None:
    done = _run(repo, script)
    assert done.returncode == 2
    assert f"usage: bash scripts/{script}" in done.stderr


def test_a_video_that_was_not_taken_in_is_named(repo: Path) -> None:
    done = _run(repo, "process_video.sh", "May")
    assert done.returncode == 2
    assert "make it first: bash scripts/new_video.sh <file.mp4> May" in done.stderr
