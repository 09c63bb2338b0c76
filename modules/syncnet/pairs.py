"""Windows of speech and mouth for SyncNet: which frames make a pair, and how to cut them out of sequences.

A window that starts at video frame e covers mouth frames e ... e+W-1 and speech frames 2e ... 2e+2W-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOUTH = slice(144, 204)
"""Points 48-67 in a flattened frame of 68 points."""


@dataclass(frozen=True)
class PairDraw:
    """Which windows make a batch of pairs."""

    mouth_clip: Tensor
    """[N] clip of the mouth window."""
    mouth_start: Tensor
    """[N]"""
    speech_clip: Tensor
    """[N] clip of the speech window; another one for a foreign voice."""
    speech_start: Tensor
    """[N] in video frames."""
    labels: Tensor
    """[N] 1 = the two belong together."""


def cut_windows(sequence: Tensor, items: Tensor, starts: Tensor, size: int) -> Tensor:
    """Return windows [N,size,C] of a batch of sequences [B,T,C]."""
    return sequence[items[:, None], starts[:, None] + torch.arange(size, device=starts.device)]


def cut_pairs(speech: Tensor, y: Tensor, items: Tensor, starts: Tensor, win: int) -> tuple[Tensor, Tensor]:
    """Return aligned windows, speech [N,2W,C] and mouth [N,W,60], of sequences [B,2T,C] and [B,T,204]."""
    return cut_windows(speech, items, 2 * starts, 2 * win), cut_windows(y[..., MOUTH], items, starts, win)


def draw_starts(real_frames: Tensor, count: int, win: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return (items, starts) [count] of windows that lie inside the real frames [B] of a batch; empty if none fits."""
    long_enough = torch.nonzero(real_frames >= win).flatten()
    if not len(long_enough):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    items = long_enough[torch.randint(len(long_enough), (count,), generator=generator)]
    return items, _uniform(real_frames[items] - win + 1, generator)


def draw_pairs(
    lengths: Tensor,
    speakers: Tensor,
    *,
    count: int,
    win: int,
    shifts: tuple[int, int],
    foreign: float,
    generator: torch.Generator,
) -> PairDraw:
    """Draw half aligned, half wrong pairs from clips.

    A wrong pair takes the speech of another speaker (share ``foreign``), else of another place of the clip (half), else
    shifted by a few frames. Where a clip is too short for a shift, or all speakers are the same, another clip is taken.

    Args:
        lengths: Frames of each clip, [C]; at least ``win``.
        speakers: Speaker number of each clip, [C].
        count: Pairs N.
        win: Video frames of a window.
        shifts: Smallest and largest small shift.
        foreign: Share of wrong pairs with a foreign voice.
        generator: Source of chance.
    """
    clip = torch.randint(len(lengths), (count,), generator=generator)
    room = lengths[clip] - win
    start = _uniform(room + 1, generator)
    labels = (torch.rand(count, generator=generator) < 0.5).float()
    kind = torch.rand(count, generator=generator)
    other = _other_clip(clip, speakers, generator)
    elsewhere = _shifted(start, room, shifts[0], int(lengths.max()), generator)
    near = _shifted(start, room, shifts[0], shifts[1], generator)
    moved = torch.where(kind < foreign + (1 - foreign) / 2, elsewhere, near)
    is_foreign = (labels == 0) & ((kind < foreign) | (moved < 0)) & (other >= 0)
    labels = torch.where((labels == 0) & (moved < 0) & ~is_foreign, torch.ones_like(labels), labels)
    foreign_start = _uniform(lengths[other.clamp(min=0)] - win + 1, generator)
    speech_start = torch.where(labels > 0, start, torch.where(is_foreign, foreign_start, moved))
    return PairDraw(clip, start, torch.where(is_foreign, other, clip), speech_start, labels)


def draw_windows(lengths: Tensor, *, per_clip: int, win: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return (clip, start) [N] of up to ``per_clip`` different windows of every clip, to be paired all with all."""
    clips, starts = [], []
    for clip, length in enumerate(lengths.tolist()):
        order = torch.randperm(length - win + 1, generator=generator)[:per_clip]
        clips.append(torch.full_like(order, clip))
        starts.append(order)
    return torch.cat(clips), torch.cat(starts)


def _uniform(counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return an integer in [0, counts) for each element."""
    draw = (torch.rand(counts.shape, generator=generator, dtype=torch.float64) * counts).long()
    return draw.minimum(counts - 1)


def _other_clip(clip: Tensor, speakers: Tensor, generator: torch.Generator) -> Tensor:
    """Return a clip of another speaker for each clip; of the same one if there is but one; -1 for a single clip."""
    if len(speakers) < 2:
        return torch.full_like(clip, -1)
    foreign = (speakers[clip][:, None] != speakers[None]).double()
    different = (clip[:, None] != torch.arange(len(speakers))[None]).double()
    weights = torch.where(foreign.sum(1, keepdim=True) > 0, foreign, different)
    return torch.multinomial(weights, 1, generator=generator).flatten()


def _shifted(start: Tensor, room: Tensor, smallest: int, largest: int, generator: torch.Generator) -> Tensor:
    """Return a start in [0, room] that is ``smallest`` to ``largest`` frames from ``start``; -1 where none is."""
    left = (start - smallest + 1).clamp(min=0).minimum(start.new_tensor(largest - smallest + 1))
    right = (room - start - smallest + 1).clamp(min=0).minimum(start.new_tensor(largest - smallest + 1))
    pick = _uniform((left + right).clamp(min=1), generator)
    moved = torch.where(pick < left, start - smallest - pick, start + smallest + pick - left)
    return torch.where(left + right > 0, moved, -1)
