"""How well a SyncNet tells aligned from shifted windows: accuracy and mean score over shifts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.syncnet.model import SyncNet
from modules.syncnet.pairs import cut_pairs

MAX_SHIFT = 15
NEAR_SHIFT = 3
"""Shifts from here on count as wrong."""


@dataclass(frozen=True)
class ShiftCurve:
    """Sums over windows, so that curves of several clips add up; index MAX_SHIFT is shift 0."""

    score: Tensor
    """[2*MAX_SHIFT+1] sum of cosines of mouth e with speech e + shift."""
    beaten: Tensor
    """Sum of windows whose aligned cosine exceeds the shifted one (a tie counts half)."""
    count: Tensor
    """Windows for which this shift lies inside the clip."""

    def __add__(self, other: ShiftCurve) -> ShiftCurve:
        return ShiftCurve(self.score + other.score, self.beaten + other.beaten, self.count + other.count)

    def mean_score(self) -> Tensor:
        """Return the mean cosine at each shift, NaN where no window was."""
        return self.score / self.count

    def accuracy(self) -> float:
        """Return the share of (window, shift of at least 3 frames) in which the aligned pair scores higher."""
        wrong = (torch.arange(-MAX_SHIFT, MAX_SHIFT + 1).abs() >= NEAR_SHIFT) & (self.count > 0)
        return float((self.beaten[wrong] / self.count[wrong]).mean()) if wrong.any() else float("nan")

    def best_shift(self) -> int:
        """Return the shift with the highest mean score."""
        return int(self.mean_score().nan_to_num(nan=-1.0).argmax()) - MAX_SHIFT


def shift_curve(model: SyncNet, speech: Tensor, y: Tensor, win: int) -> ShiftCurve:
    """Score all windows of one clip at all shifts.

    Args:
        model: The expert.
        speech: [2T,C].
        y: Deviations, [T,204], cm.
        win: Video frames of a window.
    """
    starts = torch.arange(len(y) - win + 1, device=y.device)
    sound, mouth = cut_pairs(speech[None], y[None], torch.zeros_like(starts), starts, win)
    cosine = (model.embed_mouth(mouth) @ model.embed_speech(sound).T).float().cpu()
    aligned = cosine.diagonal()
    score, beaten, count = (torch.zeros(2 * MAX_SHIFT + 1) for _ in range(3))
    for index, shift in enumerate(range(-MAX_SHIFT, MAX_SHIFT + 1)):
        scores = cosine.diagonal(shift)
        truth = aligned[max(0, -shift) : len(aligned) - max(0, shift)] if scores.numel() else scores
        score[index], count[index] = scores.sum(), scores.numel()
        beaten[index] = (truth > scores).sum() + 0.5 * (truth == scores).sum()
    return ShiftCurve(score, beaten, count)
