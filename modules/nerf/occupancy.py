"""Which cells of the head's box may hold something visible: a grid of the largest rendering weight of each cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FIRST_WEIGHT = 0.1
_THRESHOLD, _THIN_THRESHOLD = 0.02, 0.05


class OccupancyGrid(nn.Module):
    """A grid of ``grid_size``³ cells over [-1,1]³; x is the fastest index.

    ``weight`` remembers, with exponential decay, the largest rendering weight seen in a cell. Cells above a threshold
    and their neighbours are occupied, so a surface may wander one cell an update and a cell hidden inside the head is
    let go. Once surfaces have settled a *thin* grid, with a higher threshold and fewer neighbours, needs fewer samples.
    """

    weight: Tensor
    occupied: Tensor

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size
        cells = grid_size**3
        self.register_buffer("weight", torch.full((cells,), _FIRST_WEIGHT))
        self.register_buffer("occupied", torch.ones(cells, dtype=torch.bool))

    def cells_of(self, positions: Tensor) -> Tensor:
        """Return the cell number of positions [...,3] in [-1,1]; positions outside get that of the nearest cell."""
        index = ((positions + 1) * (0.5 * self.grid_size)).long().clamp_(0, self.grid_size - 1)
        return (index[..., 2] * self.grid_size + index[..., 1]) * self.grid_size + index[..., 0]

    @torch.no_grad()
    def observe(self, cells: Tensor, weights: Tensor) -> None:
        """Raise the memory of ``cells`` [P] to the rendering ``weights`` [P] seen there."""
        self.weight.scatter_reduce_(0, cells, weights.to(self.weight.dtype), "amax")

    @torch.no_grad()
    def update(self, decay: float, *, thin: bool = False) -> None:
        """Forget a little, then mark the cells above the threshold and their neighbours as occupied.

        Args:
            decay: What a cell keeps of its memory.
            thin: Leave out fainter cells, and all but the 6 neighbours that share a face. Too early that loses cells
                of the outline, which few poses show, before it has found its depth.
        """
        self.weight.mul_(decay)
        size = self.grid_size
        visible = (self.weight > (_THIN_THRESHOLD if thin else _THRESHOLD)).view(size, size, size)
        grown = visible.clone()
        for axis in range(3):  # growing by a cell in a box is growing along each axis in turn
            seen = visible if thin else grown.clone()
            grown.narrow(axis, 1, size - 1).logical_or_(seen.narrow(axis, 0, size - 1))
            grown.narrow(axis, 0, size - 1).logical_or_(seen.narrow(axis, 1, size - 1))
        self.occupied.copy_(grown.view(-1))

    @torch.no_grad()
    def restrict(self, inside: Tensor) -> None:
        """Clear for good the memory of cells that lie outside ``inside`` [grid_size³] (bool)."""
        self.weight.mul_(inside)
        self.occupied.logical_and_(inside)

    def centers(self) -> Tensor:
        """Return the cell centers, [grid_size³,3] in [-1,1]."""
        line = (torch.arange(self.grid_size, device=self.weight.device) + 0.5) * (2.0 / self.grid_size) - 1.0
        z, y, x = torch.meshgrid(line, line, line, indexing="ij")
        return torch.stack([x, y, z], dim=-1).reshape(-1, 3)
