"""Losses of motion models; y and x are [B,T,C], masks [B,T] with 1 for a real frame."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mse(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over real frames."""
    return ((x - y).square() * mask[..., None]).sum() / (mask.sum() * x.shape[-1])


def continuity_loss(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Return the squared error of the frame-to-frame change, plus that of the first frame, per real frame."""
    change = ((x[:, 1:] - x[:, :-1]) - (y[:, 1:] - y[:, :-1])).square() * mask[:, 1:, None]
    first = (x[:, 0] - y[:, 0]).square() * mask[:, 0, None]
    return (change.sum() + first.sum()) / (mask.sum() * x.shape[-1])


def kl_to_normal(z: Tensor, m_q: Tensor, logs_q: Tensor, z_p: Tensor, mask4: Tensor) -> Tensor:
    """Return the one-sample KL of N(m_q, exp(logs_q)) from the flow prior, per real latent frame and channel.

    Args:
        z: Sample of the posterior, [B,Z,S].
        m_q: Its mean, [B,Z,S].
        logs_q: Its log deviation, [B,Z,S].
        z_p: ``z`` through the volume-preserving prior flow, [B,Z,S].
        mask4: 1 = real latent frame, [B,1,S].
    """
    log_q = -logs_q - 0.5 * ((z - m_q) * torch.exp(-logs_q)).square()
    log_p = -0.5 * z_p.square()
    return ((log_q - log_p) * mask4).sum() / mask4.sum() / z.shape[1]


def all_pairs_sync_loss(cosine: Tensor, clip: Tensor, start: Tensor, *, min_shift: int, foreign: float) -> Tensor:
    """Return the binary cross entropy over all pairs of N windows, as many times more wrong pairs as there are windows.

    Args:
        cosine: Of mouth i and speech j, [N,N]; the diagonal is aligned.
        clip: Clip of each window, [N].
        start: First frame of each window, [N]; windows of one clip nearer than ``min_shift`` are no wrong pair.
        min_shift: Smallest shift of a wrong pair in frames.
        foreign: Weight of the wrong pairs of two clips; those of one clip have the rest.
    """
    probability = cosine.float().clamp(1e-6, 1 - 1e-6)
    wrong = -torch.log1p(-probability)
    same_clip = clip[:, None] == clip[None]
    shifted = same_clip & ((start[:, None] - start[None]).abs() >= min_shift)
    shares = [
        (wrong[kind].mean(), weight) for kind, weight in ((shifted, 1 - foreign), (~same_clip, foreign)) if kind.any()
    ]
    total = sum(weight for _, weight in shares)
    negative = sum((loss * (weight / total) for loss, weight in shares if weight), probability.new_zeros(()))
    return 0.5 * (negative - probability.diagonal().log().mean())


def sync_loss(cosine: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross entropy of cosines [N] in [0,1] against labels [N]; 1 = lips and speech belong together.

    Computed in full precision outside autocast's reach: half precision has no room for log(1 - cosine).
    """
    probability = cosine.float().clamp(1e-6, 1 - 1e-6)
    return -(labels * probability.log() + (1 - labels) * torch.log1p(-probability)).mean()
