"""A stage that is killed goes on with the chunk it was in, and its results are those of a run that was not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest

from data_gen.chunks import CHUNK_FOLDER, resumable_dir, run_chunks
from tests.support.drawn_stages import CHUNK, NUM_FRAMES, STAGES, DrawnClip
from utils.commons.schema import DataError
from utils.data.paths import CODE_ROOT

T = TypeVar("T")


def _silent(items: Iterable[T], total: int | None = None) -> Iterable[T]:
    return items


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[DrawnClip, DrawnClip]:
    """Two copies of a clip: one whose stages run through, one whose stages were killed and then went on."""
    through = DrawnClip(tmp_path_factory.mktemp("chunks") / "through")
    killed = DrawnClip(through.folder.with_name("killed"))
    through.draw()
    shutil.copytree(through.folder, killed.folder)
    program = [sys.executable, "-m", "tests.support.drawn_stages", str(killed.folder), *STAGES]
    subprocess.run(program, check=True, cwd=CODE_ROOT, timeout=120)
    with pytest.MonkeyPatch.context() as patch:
        for replacement in through.replacements():
            patch.setattr(*replacement)
        for stage in STAGES:
            through.run(stage, num_workers=2)
    return through, killed


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_with_the_same_bytes(clips: tuple[DrawnClip, DrawnClip], stage: str) -> None:
    through, killed = (clip.folder / stage for clip in clips)
    names = sorted(path.name for path in through.iterdir())
    assert names == sorted(path.name for path in killed.iterdir())
    for name in set(names) - {"stage.json"}:
        assert (through / name).read_bytes() == (killed / name).read_bytes(), name
    assert not (killed.parent / f".{stage}.part").exists()


@pytest.mark.parametrize(
    ("stage", "warm_up"), [("landmarks", 10), ("head_pose", 0), ("segmentation", 0), ("layers", 0)]
)
def test_chunks_that_were_done_are_not_done_again(clips: tuple[DrawnClip, DrawnClip], stage: str, warm_up: int) -> None:
    read = json.loads((clips[1].folder / f"{stage}.read.json").read_text())
    assert read == NUM_FRAMES - CHUNK + warm_up  # the first of two chunks was there


def _numbered(start: int, stop: int, path: Path) -> None:
    path.write_text(f"{start} {stop}")


def _stopped(start: int, stop: int, path: Path) -> None:
    path.write_text("half")
    if start >= 20:
        raise DataError("stop")


def _run(target: Path, fingerprint: dict[str, int], *, fresh: bool = False) -> list[str]:
    """Return the chunks that were made and not found."""
    made: list[str] = []

    def write(start: int, stop: int, path: Path) -> None:
        made.append(f"{start} {stop}")
        _numbered(start, stop, path)

    with resumable_dir(target, fingerprint, fresh=fresh) as folder:
        paths = run_chunks(folder, 35, write, threads=1, progress=_silent, size=10)
        (folder / "all.txt").write_text(",".join(path.read_text() for path in paths))
    return made


def _fail(target: Path, fingerprint: dict[str, int]) -> None:
    with resumable_dir(target, fingerprint) as folder:
        (folder / "other.txt").write_text("half")
        run_chunks(folder, 35, _stopped, threads=2, progress=_silent, size=10)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A stage that failed in its third chunk of four."""
    target = tmp_path / "stage"
    with pytest.raises(DataError, match="stop"):
        _fail(target, {"version": 1})
    part = tmp_path / ".stage.part"
    assert [path.name for path in part.iterdir()] == [CHUNK_FOLDER]
    (part / CHUNK_FOLDER / ".0000020-0000030.part7").write_text("left by a kill")
    return target


def test_a_run_goes_on_where_the_last_one_failed(stopped: Path) -> None:
    assert _run(stopped, {"version": 1}) == ["20 30", "30 35"]
    assert (stopped / "all.txt").read_text() == "half,half,20 30,30 35"
    assert [path.name for path in stopped.iterdir()] == ["all.txt"]
    assert [path.name for path in stopped.parent.iterdir()] == ["stage"]


@pytest.mark.parametrize(("version", "fresh"), [(2, False), (1, True)])
def test_chunks_of_other_inputs_or_unwanted_ones_are_not_taken(stopped: Path, version: int, fresh: bool) -> None:
    assert _run(stopped, {"version": version}, fresh=fresh) == ["0 10", "10 20", "20 30", "30 35"]
    assert (stopped / "all.txt").read_text() == "0 10,10 20,20 30,30 35"


def test_an_old_result_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    _run(tmp_path / "stage", {"version": 1})
    with pytest.raises(DataError, match="stop"):
        _fail(tmp_path / "stage", {"version": 2})
    assert (tmp_path / "stage" / "all.txt").read_text() == "0 10,10 20,20 30,30 35"
