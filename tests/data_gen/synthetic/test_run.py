"""The command line of the demo subject."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_gen.synthetic.subject import SubjectSpec, generate_subject
from utils.media.video import probe

RUN = Path(__file__).resolve().parents[3] / "data_gen" / "synthetic" / "run.py"


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The program in a folder that is not the repository."""
    return subprocess.run([sys.executable, str(RUN), *args], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_video_is_written_with_its_truth(tmp_path: Path) -> None:
    done = run("--out", "videos/demo.mp4", "--seconds", "0.8", "--size", "96", "--seed", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    info = probe(tmp_path / "videos" / "demo.mp4")
    assert (info.width, info.height, info.fps, info.has_audio) == (96, 96, 25, True)
    folder = tmp_path / "videos" / "demo.truth"
    facts = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    result = generate_subject(SubjectSpec(seconds=0.8, size=96, seed=2))
    for name in ("c2w", "lm3d", "lm2d", "actions", "labels"):
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy", mmap_mode="r"), getattr(result, name))
    assert (facts["fps"], facts["size"], facts["focal"]) == (25, 96, result.focal)
    assert [p["phone"] for p in facts["phones"]] == [p.phone for p in result.phones]
    left = sorted(p.name for p in (tmp_path / "videos").iterdir())
    assert left == ["demo.mp4", "demo.truth"]


def test_a_corpus_has_one_folder_a_speaker(tmp_path: Path) -> None:
    args = ["--corpus", "c", "--speakers", "2", "--clips_per_speaker", "2", "--seconds_per_clip", "0.2", "--size", "64"]
    assert run(*args, cwd=tmp_path).returncode == 0
    clips = sorted(str(p.relative_to(tmp_path / "c")) for p in (tmp_path / "c").rglob("*") if p.is_file())
    assert clips == ["000_ada/00000.mp4", "000_ada/00001.mp4", "001_ben/00000.mp4", "001_ben/00001.mp4"]


def test_a_voice_alone_is_a_wav_that_can_be_made_again(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        done = run("--speech_only", name, "--voice", "de", "--text", "Guten Morgen, Papa.", "--seed", "3", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    samples, rate_hz = soundfile.read(tmp_path / "a.wav")
    assert rate_hz == 16000
    assert 0.5 < len(samples) / rate_hz < 4
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--out", "a.mp4", "--voice", "klingon"], "unknown voice 'klingon'; there are en-us"),
        (["--out", "a.mp4", "--size", "32"], "size must be even and in 64..1024, got 32"),
        (["--out", "a.mp4", "--size", "1026"], "size must be even and in 64..1024, got 1026"),
        (["--out", "a.mp4", "--seconds", "0"], "seconds must be greater than 0, got 0"),
        (["--out", "a.avi"], "out must end in .mp4"),
        (["--out", "a.mp4", "--identity", "-1"], "identity must be 0 or more"),
        (["--corpus", "c", "--speakers", "0"], "speakers must be 1 or more"),
        (["--speech_only", "a.wav", "--seconds", "-1"], "seconds must be greater than 0"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(
    args: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)
    from data_gen.synthetic.run import main

    assert main(args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
