"""The command line of inference and its scripts: modes, defaults, and one clear line for every mistake."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inference.run import find_speech, infer_config, main
from utils.commons.schema import ConfigError, DataError
from utils.data.paths import CODE_ROOT
from utils.media.audio import save_wav
from utils.media.video import probe

SMALL = ["--hparams", "device=cpu,infer_max_frames=3"]


def test_landmarks_then_video_by_the_default_names(root: Path) -> None:
    main(["--mode", "landmarks", "--video_id", "tim", *SMALL])
    assert np.load(root / "infer_out/tim/pred_lm3d/demo.npy", allow_pickle=False).shape == (1, 3, 204)
    main(["--mode", "video", "--video_id", "tim", *SMALL])
    assert probe(root / "infer_out/tim/pred_video/demo.mp4").num_frames == 3


def test_talk_takes_any_file_and_writes_where_told(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "says.mp4"
    main(["--video_id", "tim", "--audio", str(root / "data/raw/val_wavs/demo.wav"), "--out", str(out), *SMALL])
    assert probe(out).num_frames == 3


def test_configuration_comes_from_file_overrides_and_the_persons_name(tmp_path: Path) -> None:
    config = infer_config(None, "tim", "infer_lm3d_clamp_std=2,infer_inject_eye_blink_mode=gt")
    assert (config.video_id, config.infer_lm3d_clamp_std) == ("tim", 2.0)
    assert config.infer_inject_eye_blink_mode == "gt"
    file = tmp_path / "infer.yaml"
    file.write_text("base_config: egs/egs_bases/infer.yaml\nvideo_id: ann\nseed: 3\n")
    assert infer_config(file, "", "").video_id == "ann"
    assert infer_config(file, "tim", "").video_id == "tim"
    assert infer_config(file, "tim", "").seed == 3


def test_a_misspelt_key_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "infer.yaml"
    file.write_text("video_id: ann\ninfer_lm3d_clmp_std: 3\n")
    with pytest.raises(ConfigError, match=r"infer.yaml:2: unknown key.*did you mean 'infer_lm3d_clamp_std'"):
        infer_config(file, "", "")
    with pytest.raises(ConfigError, match="infer_inject_eye_blink_mode"):
        infer_config(None, "tim", "infer_inject_eye_blink_mode=sometimes")


def test_outputs_are_named_after_the_file() -> None:
    here = Path(__file__)
    assert find_speech(here, "").name == "test_run"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (
            ["--video_id", "bob"],
            r"no dataset of 'bob' \(there are: tim\); make it first: bash scripts/process_video.sh bob",
        ),
        (["--video_id", "tim", "--wav_id", "zz"], r"no data/raw/val_wavs/zz.wav \(wav ids there: demo\)"),
        (["--video_id", "tim", "--audio", "none.mp3"], "no file none.mp3"),
        (["--mode", "video", "--video_id", "tim", "--landmarks", "x.npy"], "no landmarks in x.npy; make them first"),
        (["--video_id", "tim", "--hparams", "postnet_work_dir=checkpoints/ann/postnet"], "train_postnet.sh ann"),
        (["--video_id", "tim", "--hparams", "head_work_dir=checkpoints/ann/lm3d_nerf"], "train_nerf.sh ann"),
    ],
    ids=["id", "wav_id", "audio", "landmarks", "postnet", "head"],
)
def test_what_is_missing_is_named_with_its_remedy(root: Path, argv: Sequence[str], text: str) -> None:
    with pytest.raises(FileNotFoundError, match=text):
        main(argv)


@pytest.mark.parametrize("argv", [["--mode", "sing"], ["--nonsense"], ["--video_id", "../x"]])
def test_wrong_arguments_are_one_line(argv: Sequence[str]) -> None:
    with pytest.raises(ConfigError):
        main(argv)


def test_a_file_of_no_length_or_no_sound_is_refused(root: Path, tmp_path: Path) -> None:
    save_wav(tmp_path / "empty.wav", np.zeros(0, np.float32))
    (tmp_path / "text.wav").write_text("hello")
    for name in ("empty.wav", "text.wav"):
        with pytest.raises(DataError, match=name):
            main(["--video_id", "tim", "--audio", str(tmp_path / name)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.wav", "text.wav"]


def run_script(name: str, *arguments: str, root: Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "GENEFACE_ROOT": str(root),
        "GENEFACE_PYTHON": sys.executable,  # never let a test install anything
        "OMP_NUM_THREADS": "1",
    }
    command = ["bash", str(CODE_ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_talk_script_resolves_paths_where_it_is_called(root: Path, tmp_path: Path) -> None:
    save_wav(tmp_path / "hello there.wav", np.random.default_rng(0).standard_normal(1920).astype(np.float32) * 0.1)
    done = run_script("talk.sh", "tim", "hello there.wav", "out.mp4", root=root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert probe(tmp_path / "out.mp4").num_frames == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello there.wav", "out.mp4"]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("talk.sh", [], "usage: bash scripts/talk.sh <video_id>"),
        ("talk.sh", ["tim", "none.wav"], "error: no file"),
        ("infer_postnet.sh", ["bob", "demo"], "error: no dataset of 'bob'"),
        ("infer_lm3d_nerf.sh", [], "error: no data/raw/val_wavs/zozo.wav"),
    ],
)
def test_scripts_end_with_one_line_and_code_two(
    root: Path, tmp_path: Path, name: str, arguments: list[str], text: str
) -> None:
    done = run_script(name, *arguments, root=root, cwd=tmp_path)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
