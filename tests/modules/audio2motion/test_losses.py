"""Losses of motion."""

from __future__ import annotations

import math

import pytest
import torch

from modules.losses.motion import continuity_loss, kl_to_normal, masked_mse, sync_loss


def test_kl_of_many_samples_is_the_closed_form() -> None:
    torch_generator = torch.Generator().manual_seed(0)
    m, logs = torch.tensor([0.7]), torch.tensor([-0.4])
    eps = torch.randn(1, 1, 200_000, generator=torch_generator)
    shape = eps.shape
    z = m + eps * logs.exp()
    kl = kl_to_normal(z, m.expand(shape), logs.expand(shape), z, torch.ones(shape))
    closed = 0.5 * (math.exp(2 * -0.4) + 0.7**2 - 1) + 0.4
    assert float(kl) == pytest.approx(closed, abs=0.01)


def test_kl_counts_real_frames_only() -> None:
    z, m, logs, z_p = (torch.randn(2, 4, 6) for _ in range(4))
    mask = torch.ones(2, 1, 6)
    mask[0, :, 3:] = 0
    before = kl_to_normal(z, m, logs, z_p, mask)
    z_p[0, :, 3:] += 10
    assert torch.equal(before, kl_to_normal(z, m, logs, z_p, mask))
    expected = (kl_to_normal(z[:1, :, :3], m[:1, :, :3], logs[:1, :, :3], z_p[:1, :, :3], mask[:1, :, :3]) * 3) + (
        kl_to_normal(z[1:], m[1:], logs[1:], z_p[1:], mask[1:]) * 6
    )
    torch.testing.assert_close(before, expected / 9)


@pytest.mark.parametrize("loss", [masked_mse, continuity_loss])
def test_padded_frames_add_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    x, y, mask = torch.randn(2, 7, 6), torch.randn(2, 7, 6), torch.ones(2, 7)
    mask[0, 4:] = 0
    before = loss(x, y, mask)
    x[0, 4:] = 99.0
    torch.testing.assert_close(loss(x, y, mask), before)


def test_a_constant_offset_costs_continuity_in_the_first_frame_only() -> None:
    y = torch.randn(1, 5, 3)
    torch.testing.assert_close(continuity_loss(y + 2, y, torch.ones(1, 5)), torch.tensor(4.0 * 3 / (5 * 3)))


def test_sync_loss_is_finite_at_the_edges_and_least_for_the_right_answer() -> None:
    labels = torch.tensor([1.0, 0.0])
    assert torch.isfinite(sync_loss(torch.tensor([0.0, 1.0]), labels))
    assert sync_loss(torch.tensor([0.9, 0.1]), labels) < sync_loss(torch.tensor([0.5, 0.5]), labels)
    torch.testing.assert_close(sync_loss(torch.tensor([0.5, 0.5]), labels), torch.tensor(math.log(2)))
