"""The post-net's generator and critic."""

from __future__ import annotations

import torch

from modules.postnet.model import (
    LandmarkCritic,
    LandmarkCriticConfig,
    PostNet,
    PostNetConfig,
    lsgan_critic_loss,
    lsgan_generator_loss,
)

SMALL = PostNetConfig(postnet_channels=(8, 12))


def test_padded_frames_stay_zero_and_their_content_reaches_no_real_frame() -> None:
    model = PostNet(SMALL).eval()
    x, mask = torch.randn(1, 20, 204), torch.ones(1, 20)
    mask[:, 14:] = 0
    first = model(x, mask)
    x[:, 14:] = 7.0
    assert torch.equal(first, model(x, mask))
    assert first[:, 14:].abs().sum() == 0


def test_without_a_mask_zero_frames_are_padding() -> None:
    model = PostNet(SMALL).eval()
    x, mask = torch.randn(1, 10, 204), torch.ones(1, 10)
    x[:, 6:], mask[:, 6:] = 0, 0
    assert torch.equal(model(x), model(x, mask))


def test_a_change_is_felt_seven_frames_away_and_no_farther() -> None:
    model = PostNet(SMALL).eval()
    x = torch.randn(1, 31, 204)
    moved = x.clone()
    moved[:, 15] += 1
    changed = (model(moved) - model(x)).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == list(range(8, 23))


def test_a_critic_of_windows_sees_motion_that_a_critic_of_frames_cannot() -> None:
    for win, sees in ((1, False), (3, True)):
        critic = LandmarkCritic(LandmarkCriticConfig(disc_win_frames=win, disc_channels=(16, 16, 16, 16))).eval()
        frames = torch.randn(9, 1, 204)
        shuffled = frames[torch.tensor([0, 2, 1, 3, 5, 4, 6, 8, 7])]
        scores = [critic(f.reshape(9 // win, win, 204)).sum() for f in (frames, shuffled)]
        assert (abs((scores[0] - scores[1]).item()) > 1e-4) == sees


def test_lsgan_losses_are_least_for_the_right_scores() -> None:
    real, fake = torch.ones(4, 1), torch.zeros(3, 1)
    assert lsgan_critic_loss(fake, real) == 0
    assert lsgan_critic_loss(real, fake) == 2
    assert lsgan_generator_loss(real) == 0
    assert lsgan_generator_loss(fake) == 1
