from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_gen.stages import Progress, Stage, run_stages
from utils.commons.schema import Config, ConfigError, DataError


class ToyConfig(Config):
    """Keys of the toy pipeline."""

    size: int = 1
    color: str = "red"


def _stage(name: str, ran: list[str], **options: object) -> Stage:
    def run(config: ToyConfig, processed: Path, out: Path, progress: Progress) -> None:
        ran.append(name)
        for _ in progress(range(3), total=3):
            pass
        (out / "result.txt").write_text(f"{name} {config.size} {config.color}")

    return Stage(name, ("result.txt",), run, **options)  # type: ignore[arg-type]


@pytest.fixture
def pipeline(tmp_path: Path) -> tuple[list[Stage], list[str], Path]:
    """a -> b -> c, and d by itself; b depends on ``size``, d on ``color``."""
    ran: list[str] = []
    stages = [
        _stage("a", ran),
        _stage("b", ran, inputs=("a",), keys=("size",)),
        _stage("c", ran, inputs=("b",)),
        _stage("d", ran, inputs=("a",), keys=("color",)),
    ]
    return stages, ran, tmp_path / "processed"


Pipeline = tuple[list[Stage], list[str], Path]


def test_what_is_done_is_not_done_again(pipeline: Pipeline) -> None:
    stages, ran, root = pipeline
    assert run_stages(stages, ToyConfig(), root) == ["a", "b", "c", "d"]
    assert run_stages(stages, ToyConfig(), root) == []
    assert ran == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"size": 2}, ["b", "c"]), ({"color": "blue"}, ["d"]), ({"size": 3, "color": "x"}, ["b", "c", "d"])],
)
def test_a_changed_key_reruns_its_stage_and_those_that_read_it(
    pipeline: Pipeline, change: dict[str, object], expected: list[str]
) -> None:
    stages, _, root = pipeline
    run_stages(stages, ToyConfig(), root)
    assert run_stages(stages, ToyConfig(**change), root) == expected
    assert (
        root / "c" / "result.txt"
    ).read_text() == f"c {change.get('size', 1)} {change.get('color', 'red')}" or expected == ["d"]


def test_a_lost_output_is_made_again_with_all_that_reads_it(pipeline: Pipeline) -> None:
    stages, _, root = pipeline
    run_stages(stages, ToyConfig(), root)
    (root / "b" / "result.txt").unlink()
    assert run_stages(stages, ToyConfig(), root) == ["b", "c"]


def test_force_reruns_one_stage_and_then_its_readers(pipeline: Pipeline) -> None:
    stages, _, root = pipeline
    run_stages(stages, ToyConfig(), root)
    assert run_stages(stages, ToyConfig(), root, only="b", force=True) == ["b"]
    assert run_stages(stages, ToyConfig(), root) == ["c"]


def test_a_stage_alone_needs_what_it_reads(pipeline: Pipeline) -> None:
    stages, _, root = pipeline
    with pytest.raises(DataError, match="stage 'b' needs 'a', which is not done"):
        run_stages(stages, ToyConfig(), root, only="b")
    with pytest.raises(ConfigError, match="unknown stage 'e'; choose one of a, b, c, d"):
        run_stages(stages, ToyConfig(), root, only="e")


def _failing(after: Callable[[Path], None]) -> Stage:
    def run(config: ToyConfig, processed: Path, out: Path, progress: Progress) -> None:
        after(out)

    return Stage("a", ("result.txt",), run)


def test_a_failed_stage_leaves_the_old_outputs_alone(pipeline: Pipeline) -> None:
    stages, _, root = pipeline
    run_stages(stages, ToyConfig(), root, only="a")

    def fail(out: Path) -> None:
        (out / "result.txt").write_text("half")
        raise DataError("no")

    with pytest.raises(DataError, match=r"^no$"):
        run_stages([_failing(fail)], ToyConfig(), root, force=True)
    assert (root / "a" / "result.txt").read_text() == "a 1 red"
    assert sorted(path.name for path in root.iterdir()) == ["a", "timings.json"]


def test_a_stage_that_forgets_an_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"did not write result\.txt"):
        run_stages([_failing(lambda out: None)], ToyConfig(), tmp_path / "p")
    assert not (tmp_path / "p" / "a").exists()


def test_a_changed_source_file_reruns_and_a_deleted_one_does_not(tmp_path: Path) -> None:
    ran: list[str] = []
    source = tmp_path / "raw.mp4"
    source.write_text("one")
    stages = [_stage("a", ran, sources=lambda config: [source])]
    run_stages(stages, ToyConfig(), tmp_path / "p")
    source.write_text("two")
    assert run_stages(stages, ToyConfig(), tmp_path / "p") == ["a"]
    source.unlink()
    assert run_stages(stages, ToyConfig(), tmp_path / "p") == []


def test_a_stage_can_write_elsewhere_and_timings_are_kept(tmp_path: Path) -> None:
    ran: list[str] = []
    stages = [_stage("a", ran, folder=lambda config: tmp_path / "binary" / "x")]
    run_stages(stages, ToyConfig(), tmp_path / "p")
    assert (tmp_path / "binary" / "x" / "result.txt").exists()
    timings = json.loads((tmp_path / "p" / "timings.json").read_text())
    assert timings["a"]["seconds"] >= 0
    assert timings["a"]["peak_memory_mb"] > 10
