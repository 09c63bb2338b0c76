"""A published model is small and gives what the experiment gave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet, SyncNetConfig
from utils.commons.checkpoint import Best, save_checkpoint
from utils.commons.experiment import save_config
from utils.data.paths import CODE_ROOT


def test_the_best_network_is_published_in_half_precision_without_paths(tmp_path: Path) -> None:
    channels = {"syncnet_audio_channels": (8, 8, 8), "syncnet_mouth_channels": (8, 8, 8, 8), "syncnet_res_blocks": 0}
    config = SyncNetConfig(speech_dim=4, sync_win_frames=9, **channels)
    model = SyncNet(config).eval()
    source, target = tmp_path / "trained", tmp_path / "published"
    save_config(source, config)
    save_checkpoint(source, 3, model.state_dict(), {}, 2, best=Best(3, 0.9, "sync_acc"))
    worse = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    save_checkpoint(source, 5, worse, {}, 2)
    script = str(CODE_ROOT / "scripts" / "publish_model.py")
    subprocess.run([sys.executable, script, str(source), str(target)], check=True)
    assert sorted(path.name for path in target.iterdir()) == ["config.yaml", "model_ckpt_steps_3.safetensors"]
    published, _, step = load_pretrained(SyncNet, target)
    assert step == 3
    assert isinstance(published, SyncNet)
    speech, mouth = torch.randn(5, 18, 4), torch.randn(5, 9, 60)
    torch.testing.assert_close(published(speech, mouth), model(speech, mouth), atol=5e-3, rtol=1e-2)  # half precision
