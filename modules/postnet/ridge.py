"""A linear map from speech to one person's motion, solved in closed form: hard to beat where there is little video.

It hears the frame itself and its two neighbours. Because it saw one voice only, it is never used alone: the post-net
starts from its average with the generic model, which knows other voices.

Notation: X what a frame hears, [6C]; Y its motion, [D].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_NEIGHBORS = (-1, 0, 1)
Piece = tuple[Tensor, Tensor, Tensor]
"""Speech [2T,C], motion [T,D] and mask [T] of one sequence."""


@dataclass
class Moments:
    """Sums over frames that determine a ridge regression; those of several sequences add up."""

    xx: Tensor
    """[6C,6C]"""
    xy: Tensor
    """[6C,D]"""
    x: Tensor
    """[6C]"""
    y: Tensor
    """[D]"""
    count: int

    @classmethod
    def empty(cls, size: int, out_dim: int) -> Moments:
        """Return the sums over no frame."""
        xx, xy, x, y = (
            torch.zeros(shape, dtype=torch.float64) for shape in ((size, size), (size, out_dim), (size,), (out_dim,))
        )
        return cls(xx, xy, x, y, 0)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add frames x [N,6C] with motion y [N,D]."""
        x, y = x.double(), y.double()
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.x += x.sum(0)
        self.y += y.sum(0)
        self.count += len(x)

    def without(self, other: Moments) -> Moments:
        """Return the sums over the frames that are not in ``other``."""
        return Moments(
            self.xx - other.xx, self.xy - other.xy, self.x - other.x, self.y - other.y, self.count - other.count
        )

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Return weight [6C,D] and bias [D] of the regression.

        Args:
            penalty: Added to the diagonal of the normal equations, in units of the features' mean variance.
        """
        mean_x, mean_y = self.x / self.count, self.y / self.count
        squares = self.xx - self.count * torch.outer(mean_x, mean_x)
        products = self.xy - self.count * torch.outer(mean_x, mean_y)
        variance = squares.diagonal().mean() / self.count
        squares.diagonal().add_(penalty * variance.clamp(min=1e-9))
        weight = torch.linalg.solve(squares, products)
        return weight, mean_y - mean_x @ weight


class SpeechRidge(nn.Module):
    """Ridge regression from speech [B,2T,C] to deviations [B,T,D]; its weights are buffers, fitted and not trained."""

    weight: Tensor
    bias: Tensor

    def __init__(self, speech_dim: int, out_dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(2 * len(_NEIGHBORS) * speech_dim, out_dim))
        self.register_buffer("bias", torch.zeros(out_dim))

    def forward(self, speech: Tensor) -> Tensor:
        """Map speech [B,2T,C] to motion [B,T,D]."""
        return stack_context(speech).to(self.weight.dtype) @ self.weight + self.bias

    def fit(self, pieces: Iterable[Piece], penalty: float) -> None:
        """Solve for the weights that best explain some sequences; memory does not grow with their number.

        Args:
            pieces: The sequences.
            penalty: See :meth:`Moments.solve`.
        """
        moments = Moments.empty(*self.weight.shape)
        for speech, motion, mask in pieces:
            moments.add(stack_context(speech[None])[0][mask > 0], motion[mask > 0])
        self._take(moments, penalty)

    def cross_fit(self, pieces: Sequence[Piece], penalty: float, folds: int) -> list[Tensor]:
        """Fit on all sequences and return what maps fitted without a frame's own block say of it.

        A network that corrects this map must learn from such honest errors: those on the frames it was fitted on are
        far too small.

        Args:
            pieces: The sequences.
            penalty: See :meth:`Moments.solve`.
            folds: Blocks of successive frames, each left out once; at least 2.

        Returns:
            Motion [T,D] of each sequence.
        """
        heard = [stack_context(speech[None])[0] for speech, _, _ in pieces]
        owner = _blocks([len(x) for x in heard], folds)
        parts = [Moments.empty(*self.weight.shape) for _ in range(folds)]
        for x, (_, motion, mask), block in zip(heard, pieces, owner, strict=True):
            for fold in block.unique().tolist():
                inside = (block == fold) & (mask > 0)
                parts[fold].add(x[inside], motion[inside])
        total = Moments.empty(*self.weight.shape)
        for part in parts:
            total = _sum(total, part)
        self._take(total, penalty)
        found = [torch.zeros(len(x), self.weight.shape[1]) for x in heard]
        for fold, part in enumerate(parts):
            rest = total.without(part)
            if rest.count < 2:
                continue
            weight, bias = (tensor.to(self.weight.dtype) for tensor in rest.solve(penalty))
            for motion, x, block in zip(found, heard, owner, strict=True):
                motion[block == fold] = x[block == fold].to(weight.dtype) @ weight + bias
        return found

    def _take(self, moments: Moments, penalty: float) -> None:
        weight, bias = moments.solve(penalty)
        self.weight.copy_(weight)
        self.bias.copy_(bias)


def _sum(a: Moments, b: Moments) -> Moments:
    return Moments(a.xx + b.xx, a.xy + b.xy, a.x + b.x, a.y + b.y, a.count + b.count)


def _blocks(lengths: Sequence[int], folds: int) -> list[Tensor]:
    """Return the fold of each frame of each sequence: equal blocks of successive frames over all sequences."""
    total = sum(lengths)
    owner = torch.arange(total) * folds // max(total, 1)
    return list(owner.split(list(lengths)))


def stack_context(speech: Tensor) -> Tensor:
    """Return what each frame hears, [B,T,6C], of speech [B,2T,C]: its rows and its neighbours', edges repeated."""
    batch, rows, channels = speech.shape
    frames = speech.reshape(batch, rows // 2, 2 * channels)
    index = torch.arange(rows // 2, device=speech.device)
    return torch.cat([frames[:, (index + shift).clamp(0, len(index) - 1)] for shift in _NEIGHBORS], dim=-1)
