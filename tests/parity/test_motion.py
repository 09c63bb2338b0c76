"""Names, shapes and outputs of the motion networks agree with the published ones at the published widths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import Audio2MotionVAE
from modules.losses.motion import kl_to_normal, sync_loss
from modules.postnet.model import LandmarkCritic, LandmarkCriticConfig, PostNet, PostNetConfig
from modules.syncnet.model import SyncNet, SyncNetConfig
from tests.parity.rule import assert_anchor, reference_input, reference_weights

HERE = Path(__file__).parent
ANCHORS: dict[str, Any] = json.loads((HERE / "motion_anchors.json").read_text(encoding="utf-8"))
SHAPES: dict[str, dict[str, list[int]]] = json.loads((HERE / "motion_state_dicts.json").read_text(encoding="utf-8"))


def _build(name: str) -> nn.Module:
    return {
        "lm3d_vae": lambda: Audio2MotionVAE(Audio2MotionConfig(speech_dim=1024)),
        "lm3d_vae_pitch": lambda: Audio2MotionVAE(Audio2MotionConfig(speech_dim=1024, use_pitch=True)),
        "syncnet": lambda: SyncNet(SyncNetConfig(speech_dim=1024)),
        "postnet": lambda: PostNet(PostNetConfig()),
        "postnet_discriminator": lambda: LandmarkCritic(LandmarkCriticConfig()),
    }[name]()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    assert {key: list(value.shape) for key, value in _build(name).state_dict().items()} == SHAPES[name]


@pytest.fixture(scope="module")
def vae() -> Audio2MotionVAE:
    model = reference_weights(_build("lm3d_vae"))
    assert isinstance(model, Audio2MotionVAE)
    return model


def test_vae_inference_gives_the_anchor(vae: Audio2MotionVAE) -> None:
    with torch.no_grad():
        g = vae.encode_speech(reference_input((1, 32, 1024), 13000))
        pred = vae.decode_prior(g, reference_input((1, 16, 4), 900005), torch.ones(1, 16))
    assert_anchor(pred, ANCHORS["vae.infer.pred"])


@pytest.mark.parametrize(
    ("recon", "kl", "real_frames"), [("recon(eps=0)", "kl(eps=0)", 16), ("recon(mask12)", "kl(eps=0,mask12)", 12)]
)
def test_vae_training_pass_gives_the_anchors(vae: Audio2MotionVAE, recon: str, kl: str, real_frames: int) -> None:
    mask = (torch.arange(16) < real_frames).float()[None]
    with torch.no_grad():
        out = vae(
            reference_input((1, 32, 1024), 13000),
            reference_input((1, 16, 204), 110003),
            mask,
            noise=torch.zeros(1, 16, 4),
        )
    assert_anchor(out.recon, ANCHORS[f"vae.train.{recon}"])
    assert_anchor(kl_to_normal(out.z, out.m_q, out.logs_q, out.z_p, out.mask4), ANCHORS[f"vae.train.{kl}"])
    if real_frames == 16:
        for name, value in (("m_q", out.m_q), ("logs_q", out.logs_q), ("z_p", out.z_p)):
            assert_anchor(value.transpose(1, 2), ANCHORS[f"vae.train.{name}"])


def test_syncnet_gives_the_anchors() -> None:
    model = reference_weights(_build("syncnet"))
    assert isinstance(model, SyncNet)
    speech, mouth = reference_input((2, 10, 1024), 17000), reference_input((2, 5, 60), 230000)
    with torch.no_grad():
        assert_anchor(model.embed_speech(speech), ANCHORS["syncnet.audio_emb"])
        assert_anchor(model.embed_mouth(mouth), ANCHORS["syncnet.mouth_emb"])
        cosine = model(speech, mouth)
    assert_anchor(cosine, ANCHORS["syncnet.cos"])
    assert_anchor(sync_loss(cosine, torch.tensor([1.0, 0.0])), ANCHORS["syncnet.loss(labels=1,0)"])


def test_postnet_and_its_critic_give_the_anchors() -> None:
    generator, critic = reference_weights(_build("postnet")), reference_weights(_build("postnet_discriminator"))
    x = reference_input((1, 12, 204), 110003)
    with torch.no_grad():
        assert_anchor(generator(x, torch.ones(1, 12)), ANCHORS["postnet.out"])
        assert_anchor(critic(x[0]), ANCHORS["disc.out"])
