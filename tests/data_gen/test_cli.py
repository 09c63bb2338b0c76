"""Bad input at the command line: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_gen.run import main
from tests.support.clips import ffmpeg, tone, write_clip
from tests.support.real_data import real_clip
from utils.commons.cli import run_main
from utils.data.paths import processed_video, raw_video

TEMPLATE = "egs/datasets/videos/_template/process.yaml"


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    path = raw_video("x")
    path.parent.mkdir(parents=True)
    return path


def _error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_main(main)
    assert stop.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def _no_sound(path: Path) -> None:
    write_clip(path, frames=200, size=(160, 120))


def _no_face(path: Path) -> None:
    write_clip(path, frames=200, size=(160, 120), audio=tone(8.0))


def _short(path: Path) -> None:
    write_clip(path, frames=50, size=(160, 120), audio=tone(2.0))


def _silent(path: Path) -> None:
    write_clip(path, frames=200, size=(160, 120), audio=np.zeros(128000, np.float32))


def _text(path: Path) -> None:
    path.write_text("I am not a video.\n" * 30)


def _sound_only(path: Path) -> None:
    soundfile.write(path.with_suffix(".wav"), tone(1.0), 16000)
    path.with_suffix(".wav").rename(path)


def _missing(path: Path) -> None:
    assert not path.exists()


def _zero_second_sound(path: Path) -> None:
    write_clip(path.with_name("v.mp4"), frames=200, size=(160, 120))
    soundfile.write(path.with_name("a.wav"), np.zeros(0, np.float32), 16000)
    sources = ("-i", path.with_name("v.mp4"), "-i", path.with_name("a.wav"))
    ffmpeg(*sources, "-c:v", "copy", "-c:a", "pcm_s16le", "-f", "matroska", path)


def _cockatoo(path: Path) -> None:
    path.write_bytes(real_clip("video/noface_cockatoo.mp4").read_bytes())


def _two_faces(path: Path) -> None:
    clip = real_clip("video/obama_oval_20s_sync.mp4")
    ffmpeg("-t", "7", "-i", clip, "-filter_complex", "[0:v]split[a][b];[a][b]hstack", "-preset", "ultrafast", path)


CASES: list[tuple[Callable[[Path], None], str]] = [
    (_missing, "no video at {raw}; copy one there: bash scripts/new_video.sh <file.mp4> x"),
    (_text, "{raw} is not a video but a text file; give an mp4"),
    (_sound_only, "{raw} has no picture track: it is sound only (wav); give a video"),
    (_no_sound, "x.mp4 cannot be used: it has no audio track; give"),
    (_zero_second_sound, "{raw} holds 0 s of sound; give"),
    (_silent, "x.mp4 cannot be used: its sound track is silent; give"),
    (_short, "x.mp4 cannot be used: it lasts 2.0 s; give at least 6 s"),
    (_no_face, "x.mp4 cannot be used: a face is seen in 0 of"),
    (_cockatoo, "its sound track is silent; give a video with the person's own speech; a face is seen in 0 of"),
    (_two_faces, "x.mp4 cannot be used: several faces are seen in"),
]


@pytest.mark.parametrize(("make", "message"), CASES, ids=[make.__name__.strip("_") for make, _ in CASES])
def test_bad_videos_are_refused_in_one_line(
    raw: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    message: str,
) -> None:
    make(raw)
    error = _error(monkeypatch, capsys, "--config", TEMPLATE, "--hparams", "video_id=x")
    assert message.format(raw=raw) in error
    written = [path.name for path in processed_video("x").rglob("*")] if processed_video("x").exists() else []
    assert set(written) <= {"report.html"}  # nothing half-made; the report says what is wrong, too
    if written:
        assert "This video cannot be used" in (processed_video("x") / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config", TEMPLATE, "--hparams", "video_id=../x"), "video_id '../x' must be letters"),
        (("--config", TEMPLATE, "--hparams", "video_id=x,image_siz=64"), "did you mean 'image_size'"),
        (("--config", TEMPLATE, "--hparams", "video_id=x,image_size=63"), "image_size"),
        (("--config", TEMPLATE, "--hparams", "video_id=x", "--stage", "layer"), "unknown stage 'layer'; choose one of"),
        (("--config", TEMPLATE, "--hparams", "video_id=x", "--stage", "layers"), "needs 'ingest', which is not done"),
        (("--config", "egs/nowhere.yaml"), "no configuration file egs/nowhere.yaml"),
        (("--corpus", "c", "--config", "egs/datasets/lrs3/process.yaml"), "--corpus needs --folder"),
        (
            ("--corpus", "c", "--folder", "/nowhere", "--config", "egs/datasets/lrs3/process.yaml"),
            "no folder /nowhere; name a folder that holds <speaker>/<clip>.mp4",
        ),
        (
            ("--corpus", "a b", "--folder", "/tmp", "--config", "egs/datasets/lrs3/process.yaml"),
            "corpus 'a b' must be letters",
        ),
        (
            ("--corpus", "c", "--folder", "/tmp", "--stage", "layers", "--config", "egs/datasets/lrs3/process.yaml"),
            "--stage is for videos",
        ),
    ],
)
def test_bad_command_lines_are_refused_in_one_line(
    raw: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert message in _error(monkeypatch, capsys, *arguments)


def test_fix_sync_can_be_asked_for_by_a_flag(
    raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--config", TEMPLATE, "--hparams", "video_id=x", "--fix_sync", "--print_config"])
    assert "fix_sync: true" in capsys.readouterr().out.lower()


def test_the_resolved_configuration_is_shown_with_its_origins(
    raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--config", TEMPLATE, "--hparams", "image_size=128,video_id=x", "--print_config"])
    text = capsys.readouterr().out
    assert "image_size: 128" in text
    assert "--hparams" in text
    assert "egs/egs_bases/process.yaml" in text
    assert not processed_video("x").exists()
