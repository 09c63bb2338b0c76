"""A linear map from speech to one person's motion, solved in closed form: hard to beat where there is little video.

It hears the frame itself and its two neighbours. Because it saw one voice only, it is never used alone: the post-net
starts from its average with the generic model, which knows other voices.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_NEIGHBORS = (-1, 0, 1)


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

    def fit(self, pieces: Iterable[tuple[Tensor, Tensor, Tensor]], penalty: float) -> None:
        """Solve for the weights that best explain some sequences.

        Args:
            pieces: (speech [2T,C], motion [T,D], mask [T]) of one sequence each; memory stays flat.
            penalty: Added to the diagonal of the normal equations, in units of the features' mean variance.
        """
        size, out_dim = self.weight.shape
        squares, products = (
            torch.zeros(size, size, dtype=torch.float64),
            torch.zeros(size, out_dim, dtype=torch.float64),
        )
        sum_x, sum_y = torch.zeros(size, dtype=torch.float64), torch.zeros(out_dim, dtype=torch.float64)
        count = 0
        for speech, motion, mask in pieces:
            x, y = stack_context(speech[None])[0][mask > 0].double(), motion[mask > 0].double()
            squares += x.T @ x
            products += x.T @ y
            sum_x, sum_y, count = sum_x + x.sum(0), sum_y + y.sum(0), count + len(x)
        mean_x, mean_y = sum_x / count, sum_y / count
        squares -= count * torch.outer(mean_x, mean_x)
        products -= count * torch.outer(mean_x, mean_y)
        variance = squares.diagonal().mean() / count
        squares.diagonal().add_(penalty * variance.clamp(min=1e-9))
        weight = torch.linalg.solve(squares, products)
        self.weight.copy_(weight)
        self.bias.copy_(mean_y - mean_x @ weight)


def stack_context(speech: Tensor) -> Tensor:
    """Return what each frame hears, [B,T,6C], of speech [B,2T,C]: its rows and its neighbours', edges repeated."""
    batch, rows, channels = speech.shape
    frames = speech.reshape(batch, rows // 2, 2 * channels)
    index = torch.arange(rows // 2, device=speech.device)
    return torch.cat([frames[:, (index + shift).clamp(0, len(index) - 1)] for shift in _NEIGHBORS], dim=-1)
