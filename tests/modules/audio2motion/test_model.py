"""The audio-to-motion VAE: lengths, masks, chance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.audio.pitch import coarse_pitch
from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.flow import PriorFlow
from modules.audio2motion.model import Audio2MotionVAE, pitch_ids
from utils.commons.runtime import seeded_generator

SMALL = Audio2MotionConfig(
    speech_dim=6,
    vae_hidden=8,
    vae_cond=6,
    vae_latent=4,
    vae_enc_layers=1,
    vae_dec_layers=2,
    flow_hidden=6,
    flow_layers=1,
    flow_steps=2,
)


@pytest.fixture(scope="module")
def model() -> Audio2MotionVAE:
    return Audio2MotionVAE(SMALL).eval()


@settings(max_examples=12, deadline=None)
@given(frames=st.integers(1, 23), temperature=st.sampled_from([0.0, 1.0]))
def test_any_number_of_frames_gives_as_many_frames(frames: int, temperature: float) -> None:
    model = Audio2MotionVAE(SMALL).eval()
    mask = torch.ones(2, frames)
    mask[1, frames // 2 :] = 0
    speech = torch.randn(2, 2 * frames, 6)
    out = model.infer(speech, mask, temperature=temperature, generator=seeded_generator(1))
    assert out.shape == (2, frames, 204)
    assert out[1, frames // 2 :].abs().sum() == 0
    assert torch.isfinite(out).all()


def test_padding_to_a_multiple_of_4_equals_speech_whose_last_frame_goes_on(model: Audio2MotionVAE) -> None:
    speech = torch.randn(1, 2 * 10, 6)
    longer = torch.cat([speech, speech[:, -1:].expand(-1, 4, -1)], dim=1)
    short = model.infer(speech, torch.ones(1, 10), temperature=0)
    torch.testing.assert_close(short, model.infer(longer, torch.ones(1, 12), temperature=0)[:, :10])


def test_the_generator_decides_the_motion(model: Audio2MotionVAE) -> None:
    speech, mask = torch.randn(1, 16, 6), torch.ones(1, 8)
    first, again, other = (model.infer(speech, mask, generator=seeded_generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(model.infer(speech, mask, temperature=0), model.infer(speech, mask, temperature=0))


def test_the_flow_undoes_itself() -> None:
    flow = PriorFlow(4, 6, kernel_size=3, num_layers=2, num_steps=3, cond_channels=5)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    z, cond, mask = torch.randn(2, 4, 7), torch.randn(2, 5, 7), torch.ones(2, 1, 7)
    z_p = flow(z, mask, cond)
    assert (z_p - z).abs().max() > 0.1
    torch.testing.assert_close(flow.inverse(z_p, mask, cond), z, atol=1e-5, rtol=1e-4)


def test_what_a_padded_frame_holds_never_reaches_real_frames_of_the_reconstruction(model: Audio2MotionVAE) -> None:
    speech, y, noise = torch.randn(1, 24, 6), torch.randn(1, 12, 204), torch.zeros(1, 4, 3)
    mask = torch.ones(1, 12)
    mask[:, 8:] = 0
    out = model(speech, y * mask[..., None], mask, noise=noise)
    assert out.recon[:, 8:].abs().sum() == 0
    assert out.mask4.flatten().tolist() == [1, 1, 0]


def test_pitch_changes_the_motion_and_its_absence_is_an_error() -> None:
    model = Audio2MotionVAE(SMALL.model_copy(update={"use_pitch": True})).eval()
    speech, mask = torch.randn(1, 16, 6), torch.ones(1, 8)
    low, high = (model.infer(speech, mask, f0=torch.full((1, 16), hertz), temperature=0) for hertz in (100.0, 250.0))
    assert not torch.allclose(low, high)
    with pytest.raises(ValueError, match="needs f0"):
        model.infer(speech, mask)


def test_pitch_classes_are_those_of_the_audio_module() -> None:
    f0 = torch.tensor([0.0, 50.0, 80.0, 123.4, 440.0, 1100.0, 2000.0])
    assert pitch_ids(f0).tolist() == coarse_pitch(f0.numpy()).tolist()
