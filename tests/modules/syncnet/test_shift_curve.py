"""Accuracy over shifts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.syncnet.shift_curve import MAX_SHIFT, shift_curve


class _Oracle(nn.Module):
    """Embeds a window by its first value, which grows over time: only equal times agree fully."""

    def __init__(self, late: int = 0) -> None:
        super().__init__()
        self.late = late

    def embed_speech(self, speech: Tensor) -> Tensor:
        return self._embed(speech[:, 0, 0] / 2 + self.late)

    def embed_mouth(self, mouth: Tensor) -> Tensor:
        return self._embed(mouth[:, 0, 0])

    @staticmethod
    def _embed(time: Tensor) -> Tensor:
        return torch.stack([torch.cos(time / 40), torch.sin(time / 40)], dim=1)


def _clip(frames: int) -> tuple[Tensor, Tensor]:
    return torch.arange(2.0 * frames)[:, None], torch.arange(float(frames))[:, None].expand(-1, 204)


def test_a_perfect_expert_is_always_right_and_peaks_at_no_shift() -> None:
    curve = shift_curve(_Oracle(), *_clip(50), win=5)  # type: ignore[arg-type]
    assert curve.accuracy() == 1.0
    assert curve.best_shift() == 0


def test_a_late_expert_peaks_at_its_lateness() -> None:
    curve = shift_curve(_Oracle(late=4), *_clip(50), win=5)  # type: ignore[arg-type]
    assert curve.best_shift() == -4
    assert curve.accuracy() < 0.85


def test_curves_add_up_and_count_only_windows_inside_the_clip() -> None:
    curve = shift_curve(_Oracle(), *_clip(12), win=5)  # type: ignore[arg-type]
    assert curve.count[MAX_SHIFT] == 8
    assert curve.count[MAX_SHIFT + 7] == 1
    assert curve.count[MAX_SHIFT + 8] == 0
    assert (curve + curve).count[MAX_SHIFT] == 16
    assert (curve + curve).accuracy() == curve.accuracy()
