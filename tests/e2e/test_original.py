"""The original's own quick start: a release unzipped under checkpoints, its dataset where it belongs, two scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.run import main
from tests.support.original_dataset import dataset, write_dataset
from tests.support.release import CONFIGS, states, write_experiment
from utils.data.paths import CODE_ROOT
from utils.media.audio import load_wav, save_wav
from utils.media.video import probe

FRAMES, SIZE = 3, 16
FEW_SAMPLES = {"n_samples_per_ray": 12, "n_samples_per_ray_fine": 12}


def write_hubert(folder: Path) -> None:
    """Write a HuBERT of one random layer whose features are as wide as those of the large one."""
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.HubertConfig(
            hidden_size=1024,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=32,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=16,
        )
        transformers.HubertModel(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root as a user of the original has it, with small pictures and few samples on a ray."""
    root = tmp_path_factory.mktemp("original")
    for name, (step, state) in states().items():
        if name.startswith("May/"):
            few = {} if name == "May/postnet" else FEW_SAMPLES
            write_experiment(root / "checkpoints" / name, step, state, CONFIGS[name] | few)
    write_dataset(root / "data/binary/videos/May/trainval_dataset.npy", dataset(size=SIZE))
    rng = np.random.default_rng(0)
    save_wav(root / "data/raw/val_wavs/zozo.wav", (0.1 * rng.standard_normal(FRAMES * 640)).astype(np.float32))
    write_hubert(root / "checkpoints/hubert")
    return root


def script(name: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GENEFACE_ROOT": str(root), "GENEFACE_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    command = ["bash", str(CODE_ROOT / "scripts" / name)]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=120)


def test_the_quick_start_of_the_original_works_by_its_defaults(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = script("infer_postnet.sh", root)
    assert done.returncode == 0, done.stderr
    assert "imported: May/postnet @ 6000" in done.stdout
    landmarks = np.load(root / "infer_out/May/pred_lm3d/zozo.npy", allow_pickle=False)
    assert (landmarks.shape, landmarks.dtype) == ((1, FRAMES, 204), np.float32)
    assert np.isfinite(landmarks).all()
    assert (root / "data/binary/videos/May/trainval_dataset.npy").exists()

    done = script("infer_lm3d_nerf.sh", root)
    assert done.returncode == 0, done.stderr
    assert "imported" not in done.stdout
    assert "no DeepSpeech features of this sound: the torso moves as in the frames of the clip" in done.stderr
    video = root / "infer_out/May/pred_video/zozo.mp4"
    info = probe(video)
    assert (info.num_frames, info.fps, info.width, info.height) == (FRAMES, 25, SIZE, SIZE)
    assert len(load_wav(video)) == pytest.approx(FRAMES * 640, abs=640)
    before = video.read_bytes()

    np.save(root / "data/raw/val_wavs/zozo_16k_deepspeech.npy", np.ones((FRAMES - 1, 16, 29)))
    monkeypatch.setenv("GENEFACE_ROOT", str(root))
    main(["--mode", "video", "--video_id", "May", "--wav_id", "zozo"])
    assert "no DeepSpeech" not in caplog.text
    assert video.read_bytes() != before
