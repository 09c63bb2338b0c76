"""The linear map from speech to motion is the closed-form ridge solution."""

from __future__ import annotations

import pytest
import torch

from modules.postnet.model import PostNet, PostNetConfig
from modules.postnet.ridge import SpeechRidge, stack_context


def _person(frames: int = 400, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    speech = torch.randn(2 * frames, channels, generator=generator)
    truth = torch.randn(6 * channels, 204, generator=generator)
    return speech, stack_context(speech[None])[0] @ truth + 0.5


def test_a_linear_truth_is_found() -> None:
    speech, motion = _person()
    ridge = SpeechRidge(3, 204)
    ridge.fit([(speech, motion, torch.ones(len(motion)))], penalty=1e-6)
    torch.testing.assert_close(ridge(speech[None])[0], motion, atol=1e-3, rtol=1e-3)


def test_pieces_equal_one_sequence_except_at_the_joint() -> None:
    speech, motion = _person()
    whole, pieces = SpeechRidge(3, 204), SpeechRidge(3, 204)
    mask = torch.ones(len(motion))
    mask[199:201] = 0  # the frames whose neighbours a cut takes away
    whole.fit([(speech, motion, mask)], penalty=1.0)
    pieces.fit([(speech[:400], motion[:200], mask[:200]), (speech[400:], motion[200:], mask[200:])], penalty=1.0)
    torch.testing.assert_close(whole.weight, pieces.weight, atol=1e-4, rtol=1e-4)


def test_a_strong_penalty_leaves_the_mean() -> None:
    speech, motion = _person()
    ridge = SpeechRidge(3, 204)
    ridge.fit([(speech, motion, torch.ones(len(motion)))], penalty=1e12)
    torch.testing.assert_close(ridge(speech[None])[0], motion.mean(0).expand_as(motion), atol=1e-3, rtol=1e-3)


def test_a_zero_initialised_postnet_starts_from_the_blend() -> None:
    config = PostNetConfig(postnet_channels=(8, 8), postnet_zero_init=True, person_ridge_share=0.5, speech_dim=3)
    speech, motion = _person()
    net = PostNet(config).eval()
    net.ridge.fit([(speech, motion, torch.ones(len(motion)))], penalty=1e-6)
    out = net(torch.zeros(1, len(motion), 204), torch.ones(1, len(motion)), speech[None])
    torch.testing.assert_close(out[0], 0.5 * motion, atol=1e-3, rtol=1e-3)


def test_a_postnet_with_a_ridge_needs_speech() -> None:
    net = PostNet(PostNetConfig(postnet_channels=(8, 8), person_ridge_share=0.5, speech_dim=3))
    with pytest.raises(ValueError, match="needs the speech features"):
        net(torch.zeros(1, 4, 204), torch.ones(1, 4))


def test_cross_fitting_predicts_each_block_from_the_others_and_keeps_the_full_fit() -> None:
    speech, motion = _person()
    noisy = motion + torch.randn(motion.shape, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(len(motion))
    mask[::7] = 0
    pieces = [(speech[:360], noisy[:180], mask[:180]), (speech[360:], noisy[180:], mask[180:])]
    ridge, plain, other = SpeechRidge(3, 204), SpeechRidge(3, 204), SpeechRidge(3, 204)
    honest = torch.cat(ridge.cross_fit(pieces, 5.0, 4))
    plain.fit(pieces, 5.0)
    torch.testing.assert_close(ridge.weight, plain.weight, atol=1e-4, rtol=1e-4)
    keep = mask.clone()
    keep[100:200] = 0  # the second of four blocks of 100 frames
    other.fit([(speech[:360], noisy[:180], keep[:180]), (speech[360:], noisy[180:], keep[180:])], 5.0)
    inside = torch.tensor([i for i in range(101, 199) if i not in (179, 180)])
    torch.testing.assert_close(honest[inside], other(speech[None])[0][inside], atol=1e-3, rtol=1e-3)
    seen = mask > 0
    assert (honest - noisy)[seen].square().mean() > (ridge(speech[None])[0] - noisy)[seen].square().mean()
