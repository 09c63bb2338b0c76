"""Outputs of the motion networks agree with the published ones, also after the importer."""

from __future__ import annotations

import pytest
import torch

from modules.audio2motion.model import Audio2MotionVAE
from modules.losses.motion import kl_to_normal, sync_loss
from modules.syncnet.model import SyncNet
from tests.parity.conftest import Load
from tests.parity.networks import anchors
from tests.parity.rule import assert_anchor, reference_input

ANCHORS = anchors("motion")


def test_vae_inference_gives_the_anchor(load: Load) -> None:
    vae = load("lm3d_vae")
    assert isinstance(vae, Audio2MotionVAE)
    with torch.no_grad():
        g = vae.encode_speech(reference_input((1, 32, 1024), 13000))
        pred = vae.decode_prior(g, reference_input((1, 16, 4), 900005), torch.ones(1, 16))
    assert_anchor(pred, ANCHORS["vae.infer.pred"])


@pytest.mark.parametrize(
    ("recon", "kl", "real_frames"), [("recon(eps=0)", "kl(eps=0)", 16), ("recon(mask12)", "kl(eps=0,mask12)", 12)]
)
def test_vae_training_pass_gives_the_anchors(load: Load, recon: str, kl: str, real_frames: int) -> None:
    vae = load("lm3d_vae")
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


def test_syncnet_gives_the_anchors(load: Load) -> None:
    model = load("syncnet")
    assert isinstance(model, SyncNet)
    speech, mouth = reference_input((2, 10, 1024), 17000), reference_input((2, 5, 60), 230000)
    with torch.no_grad():
        assert_anchor(model.embed_speech(speech), ANCHORS["syncnet.audio_emb"])
        assert_anchor(model.embed_mouth(mouth), ANCHORS["syncnet.mouth_emb"])
        cosine = model(speech, mouth)
    assert_anchor(cosine, ANCHORS["syncnet.cos"])
    assert_anchor(sync_loss(cosine, torch.tensor([1.0, 0.0])), ANCHORS["syncnet.loss(labels=1,0)"])


def test_postnet_and_its_critic_give_the_anchors(load: Load) -> None:
    generator, critic = load("postnet"), load("postnet_discriminator")
    x = reference_input((1, 12, 204), 110003)
    with torch.no_grad():
        assert_anchor(generator(x, torch.ones(1, 12)), ANCHORS["postnet.out"])
        assert_anchor(critic(x[0]), ANCHORS["disc.out"])
