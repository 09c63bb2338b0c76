"""A whole small person with real, untrained models: data, checkpoints and a voice under a temporary root."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import Audio2MotionVAE
from modules.postnet.model import PostNet, PostNetConfig
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig
from tasks.nerf.task import NerfHeadTask, NerfTorsoTask
from tests.support.tiny_corpus import write_tiny_speaker
from utils.commons.checkpoint import save_checkpoint
from utils.data.paths import binary_video, experiment
from utils.data.person_store import write_manifest
from utils.media.audio import save_wav

ENCODER, SPEECH_DIM, FRAMES, DEMO_FRAMES = "mel", 80, 132, 9


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with the person ``tim``, all experiments and ``data/raw/val_wavs/demo.wav``; read only."""
    root = tmp_path_factory.mktemp("inference_root")
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setenv("GENEFACE_ROOT", str(root))
        torch.manual_seed(0)
        _write_person()
        _write_motion_models()
        _write_renderer()
    save_wav(root / "data" / "raw" / "val_wavs" / "demo.wav", _voice(DEMO_FRAMES, seed=1))
    return root


class FlatRenderer:
    """Stands for a renderer where its pictures do not matter: gray as bright as the number of the frame."""

    size = (48, 64)
    speech_kinds: frozenset[str] = frozenset()

    def conditions(self, lm3d: np.ndarray) -> np.ndarray:
        return lm3d

    def render(self, conditions: np.ndarray, t: int, c2w: np.ndarray) -> np.ndarray:
        return np.full((*self.size, 3), min(t, 255), np.uint8)


@pytest.fixture
def root(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the tiny person's root the working root."""
    monkeypatch.setenv("GENEFACE_ROOT", str(tiny_root))
    return tiny_root


def _voice(frames: int, seed: int) -> np.ndarray:
    """Return noise that swells and pauses, [N] at 16 kHz."""
    rng = np.random.default_rng(seed)
    loudness = np.abs(np.sin(np.arange(frames * 640) / 16000 * 7)) * (np.arange(frames * 640) % 20000 < 14000)
    return (0.2 * loudness * rng.standard_normal(frames * 640)).astype(np.float32)


def _write_person() -> None:
    folder = binary_video("tim")
    store = write_tiny_speaker(folder, num_frames=FRAMES, speech_dim=SPEECH_DIM)
    write_manifest(folder, store.manifest.model_copy(update={"speech_encoder": ENCODER}))
    save_wav(store.audio_path, _voice(FRAMES, seed=0))


def _write_motion_models() -> None:
    vae_config = Audio2MotionConfig(
        speech_dim=SPEECH_DIM, vae_hidden=16, vae_enc_layers=2, vae_dec_layers=2, flow_hidden=8
    )
    postnet_config = PostNetConfig(postnet_channels=(8, 8))
    vae, postnet = Audio2MotionVAE(vae_config), PostNet(postnet_config)
    speech = {"speech_encoder": ENCODER, "speech_dim": SPEECH_DIM}
    _save("lrs3/lm3d_vae", vae, vae_config.model_dump(mode="json") | speech)
    values = postnet_config.model_dump(mode="json") | {"audio2motion_work_dir": "checkpoints/lrs3/lm3d_vae"}
    _save("tim/postnet", nn.ModuleDict({"generator": postnet}), values | {"infer_temperature": 1.0})


def _write_renderer() -> None:
    small = {"plane_sizes": (8, 16), "hidden_size": 16, "blend_planes": 2, "blend_eye_planes": 1, "blend_size": 8}
    keys = {"task_cls": "", "video_id": "tim", "max_updates": 1}
    head = NerfHeadConfig(**keys, **small)
    _save("tim/lm3d_nerf", NerfHeadTask(head).model, head.model_dump(mode="json"))
    torso = NerfTorsoConfig(**keys)
    _save("tim/lm3d_nerf_torso", NerfTorsoTask(torso).model, torso.model_dump(mode="json"))


def _save(exp_name: str, model: nn.Module, values: dict[str, object]) -> None:
    folder = experiment(exp_name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    save_checkpoint(folder, 1, model.state_dict(), {}, keep=1)
