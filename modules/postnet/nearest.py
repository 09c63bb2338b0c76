"""Projection of a mouth on the person's own: the affine combination of the nearest tracked frames (LLE)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MAX_FRAMES, NEIGHBORS = 3000, 10
_MOUTH = slice(144, 204)
_CHUNK = 512


class NearestMouths(nn.Module):
    """Replaces each frame by a combination of the person's frames whose mouths are nearest: no lips but theirs."""

    database: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("database", torch.zeros(MAX_FRAMES, dim))

    def fit(self, motion: Tensor) -> None:
        """Keep up to 3000 frames of the person's motion [N,D], evenly chosen."""
        chosen = torch.linspace(0, len(motion) - 1, MAX_FRAMES).round().long()
        self.database.copy_(motion[chosen])

    def forward(self, x: Tensor) -> Tensor:
        """Map motion [B,T,D] to the person's."""
        flat = x.reshape(-1, x.shape[-1])
        parts = [self._project(flat[i : i + _CHUNK]) for i in range(0, len(flat), _CHUNK)]
        return torch.cat(parts).reshape(x.shape)

    def _project(self, x: Tensor) -> Tensor:
        """Solve for weights that sum to one, with a ridge so that equal frames do no harm."""
        index = torch.cdist(x[:, _MOUTH], self.database[:, _MOUTH]).topk(NEIGHBORS, largest=False).indices
        rows = self.database[index]
        edges = rows[..., _MOUTH] - x[:, None, _MOUTH]
        gram = edges @ edges.transpose(1, 2)
        trace = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        gram = gram + (1e-2 * trace / NEIGHBORS + 1e-8) * torch.eye(NEIGHBORS, device=x.device)
        weights = torch.linalg.solve(gram, torch.ones(len(x), NEIGHBORS, 1, device=x.device))
        weights = weights / weights.sum(1, keepdim=True)
        return (rows * weights).sum(1)
