"""Windows without seams, streams with a bounded wait."""

from __future__ import annotations

import pytest
import torch

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import Audio2MotionVAE
from modules.audio2motion.windowed import MotionStream, context_frames, infer_windowed
from utils.commons.runtime import seeded_generator

SMALL = {
    "speech_dim": 6, "vae_hidden": 8, "vae_cond": 6, "vae_latent": 4, "vae_enc_layers": 1, "vae_dec_layers": 2,
    "flow_hidden": 6, "flow_layers": 1, "flow_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "pitch"])
def model(request: pytest.FixtureRequest) -> Audio2MotionVAE:
    torch.manual_seed(0)
    model = Audio2MotionVAE(Audio2MotionConfig(**SMALL, use_pitch=request.param)).eval()
    for parameter in model.vae.prior_flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def _sound(frames: int, model: Audio2MotionVAE) -> tuple[torch.Tensor, torch.Tensor | None]:
    speech = torch.randn(1, 2 * frames, 6, generator=seeded_generator(3))
    return speech, 150 + 50 * torch.rand(1, 2 * frames) if model.config.use_pitch else None


@pytest.mark.parametrize("frames", [5, 96, 203])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_windows_give_what_one_pass_gives(model: Audio2MotionVAE, frames: int, temperature: float) -> None:
    speech, f0 = _sound(frames, model)
    whole = model.infer(speech, torch.ones(1, frames), f0=f0, temperature=temperature, generator=seeded_generator(7))
    parts = infer_windowed(model, speech, f0=f0, temperature=temperature, generator=seeded_generator(7), window=40)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)


def test_the_context_is_needed_and_enough(model: Audio2MotionVAE) -> None:
    context = context_frames(model.config)
    speech, f0 = _sound(3 * context, model)
    changed = speech.clone()
    changed[:, : 2 * (context - 4)] += 1  # further from the frame asked for than the context
    middle = slice(2 * context, 2 * context + 1)
    base, far = (infer_windowed(model, s, f0=f0, temperature=0)[:, middle] for s in (speech, changed))
    torch.testing.assert_close(base, far, atol=0, rtol=0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_patient_stream_gives_what_one_pass_gives(model: Audio2MotionVAE, temperature: float) -> None:
    speech, f0 = _sound(150, model)
    context = context_frames(model.config)
    stream = MotionStream(model, look_ahead=context, temperature=temperature, generator=seeded_generator(7))
    parts = [
        stream.push(speech[0, 2 * a : 2 * b], None if f0 is None else f0[0, 2 * a : 2 * b])
        for a, b in ((0, 52), (52, 60), (60, 64), (64, 150))
    ]
    streamed = torch.cat([*parts, stream.finish()])
    assert streamed.shape == (150, 204)
    if not temperature:  # noise is drawn in another order by a stream
        whole = infer_windowed(model, speech, f0=f0, temperature=0.0)[0]
        torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=1e-5)


def test_a_stream_waits_for_its_look_ahead_only_and_forgets_the_past(model: Audio2MotionVAE) -> None:
    speech, f0 = _sound(400, model)
    stream, given = MotionStream(model, look_ahead=7), 0
    for start in range(0, 400, 5):
        rows = slice(2 * start, 2 * start + 10)
        given += len(stream.push(speech[0, rows], None if f0 is None else f0[0, rows]))
        assert given == max(0, start + 5 - 7)
        assert stream._speech.shape[1] // 2 <= context_frames(model.config) + 20
    assert given + len(stream.finish()) == 400


def test_odd_rows_and_negative_waits_are_refused(model: Audio2MotionVAE) -> None:
    with pytest.raises(ValueError, match="two rows a frame"):
        MotionStream(model).push(torch.zeros(3, 6), torch.zeros(3))
    with pytest.raises(ValueError, match="0 or more frames, got -1"):
        MotionStream(model, look_ahead=-1)
