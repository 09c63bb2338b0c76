"""From a raw mp4 and a foreign wav to a talking mp4 by the commands users type; upstream folders are deleted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modules.audio import frames_of
from utils.data.paths import CODE_ROOT
from utils.media.audio import load_wav
from utils.media.video import probe, read_frames

pytestmark = pytest.mark.slow  # about two minutes on two cores

FEW_STEPS = (
    "max_updates=4,val_check_interval=4,num_sanity_val_steps=0,eval_max_batches=1,max_minutes=0,tb_log_interval=2"
)


class Chain:
    """Runs commands in one temporary work root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "GENEFACE_ROOT": str(root), "GENEFACE_PYTHON": sys.executable}

    def python(self, *arguments: str) -> None:
        self._run([sys.executable, *arguments])

    def bash(self, *arguments: str) -> None:
        self._run(["bash", *arguments])

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=CODE_ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def delete(self, *folders: str) -> None:
        for folder in folders:
            shutil.rmtree(self.root / folder)


def test_raw_video_and_foreign_voice_become_a_talking_video(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    raw, speech = tmp_path / "data/raw", tmp_path / "elsewhere" / "a voice.wav"
    speech.parent.mkdir()
    synthetic = "data_gen/synthetic/run.py"
    options = ["--speakers", "2", "--clips_per_speaker", "3", "--seconds_per_clip", "2.4", "--size", "160"]
    chain.python(synthetic, "--corpus", str(raw / "corpora/toy"), *options)
    chain.python(synthetic, "--out", str(raw / "videos/demo.mp4"), "--seconds", "6.4", "--size", "160")
    chain.python(synthetic, "--speech_only", str(speech), "--voice", "de", "--text", "Guten Tag, ich bin eine Stimme.")

    chain.bash("scripts/process_corpus.sh", "toy", str(raw / "corpora/toy"))
    chain.delete("data/raw/corpora", "data/processed/corpora")
    chain.bash("scripts/train_syncnet.sh", "toy", "--hparams", f"corpus=toy,{FEW_STEPS}")
    overrides = f"corpus=toy,syncnet_work_dir=checkpoints/toy/syncnet,{FEW_STEPS}"
    chain.bash("scripts/train_audio2motion.sh", "toy", "--hparams", overrides)

    chain.bash("scripts/process_video.sh", "demo", "--hparams", "image_size=128")
    chain.delete("data/raw", "data/processed")
    overrides += ",audio2motion_work_dir=checkpoints/toy/lm3d_vae"
    chain.bash("scripts/train_postnet.sh", "demo", "toy", "--hparams", overrides)
    chain.delete("data/binary/toy", "checkpoints/toy/syncnet")
    chain.bash("scripts/train_nerf.sh", "demo", "--hparams", f"{FEW_STEPS},n_rays=512")

    chain.bash("scripts/talk.sh", "demo", str(speech))
    video = tmp_path / "infer_out/demo/pred_video/a_voice.mp4"
    wav = load_wav(speech)
    frames = np.stack(list(read_frames(video)))
    assert frames.shape == (frames_of(len(wav)), 128, 128, 3)
    assert frames.std(axis=(1, 2, 3)).min() > 10, "a frame without content"
    sound = load_wav(video)
    assert abs(len(sound) - len(wav)) <= 16 * 40, "the sound is as long as the speech, to a frame"
    assert probe(video).has_audio
    assert sorted(path.name for path in speech.parent.iterdir()) == ["a voice.wav"], (
        "nothing is written beside the input"
    )
