"""Our networks in the published sizes, by their published names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import Audio2MotionVAE
from modules.nerf.fields.vanilla import VanillaHead, VanillaHeadConfig, VanillaTorso, VanillaTorsoConfig
from modules.postnet.model import LandmarkCritic, LandmarkCriticConfig, PostNet, PostNetConfig
from modules.syncnet.model import SyncNet, SyncNetConfig

HERE = Path(__file__).parent
_SPEECH: dict[str, Any] = {"cond_type": "speech", "cond_in_dim": 29, "cond_win_size": 16, "smo_win_size": 8}


def anchors(kind: str) -> dict[str, Any]:
    """Return the published figures of ``motion`` or ``nerf``."""
    figures: dict[str, Any] = json.loads((HERE / f"{kind}_anchors.json").read_text(encoding="utf-8"))
    return figures


def build(name: str) -> nn.Module:
    """Return a network without the reference weights; heads smooth their codes."""
    with torch.random.fork_rng():
        return _BUILDERS[name]()


_BUILDERS = {
    "lm3d_vae": lambda: Audio2MotionVAE(Audio2MotionConfig(speech_dim=1024)),
    "lm3d_vae_pitch": lambda: Audio2MotionVAE(Audio2MotionConfig(speech_dim=1024, use_pitch=True)),
    "syncnet": lambda: SyncNet(SyncNetConfig(speech_dim=1024)),
    "postnet": lambda: PostNet(PostNetConfig()),
    "postnet_discriminator": lambda: LandmarkCritic(LandmarkCriticConfig()),
    "lm3d_nerf": lambda: VanillaHead(VanillaHeadConfig(with_att=True, no_smo_iterations=0)),
    "adnerf": lambda: VanillaHead(VanillaHeadConfig(**_SPEECH)),
    "lm3d_nerf_torso": lambda: VanillaTorso(VanillaTorsoConfig(torso_cond_in_dim=29)),
    "adnerf_torso": lambda: VanillaTorso(VanillaTorsoConfig(torso_cond_in_dim=29, use_color=False)),
}
