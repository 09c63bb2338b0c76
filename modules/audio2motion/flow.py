"""The volume-preserving flow that makes the latent a normal distribution given the speech (specification 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.layers.wavenet import WaveNet


class MeanCoupling(nn.Module):
    """Shifts one half of the channels by a function of the other half; volume is preserved."""

    def __init__(self, channels: int, hidden: int, kernel_size: int, num_layers: int, cond_channels: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels // 2, hidden, 1)
        self.enc = WaveNet(hidden, kernel_size, num_layers, cond_channels)
        self.post = nn.Conv1d(hidden, channels // 2, 1)
        nn.init.zeros_(self.post.weight)
        assert self.post.bias is not None
        nn.init.zeros_(self.post.bias)

    def forward(self, z: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Return z with the second half shifted."""
        kept, moved = z.chunk(2, dim=1)
        return torch.cat([kept, self._shift(kept, mask, cond) + moved * mask], dim=1)

    def inverse(self, z: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Undo :meth:`forward`."""
        kept, moved = z.chunk(2, dim=1)
        return torch.cat([kept, (moved - self._shift(kept, mask, cond)) * mask], dim=1)

    def _shift(self, kept: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        return self.post(self.enc(self.pre(kept) * mask, mask, cond)) * mask


class Flip(nn.Module):
    """Reverses the order of the channels."""

    def forward(self, z: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Return z with its channels reversed."""
        return z.flip(1)

    def inverse(self, z: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Undo :meth:`forward`."""
        return z.flip(1)


class PriorFlow(nn.Module):
    """Coupling, flip, coupling, flip, ...: forward maps the posterior's z to z_p ~ N(0, 1)."""

    def __init__(
        self, channels: int, hidden: int, *, kernel_size: int, num_layers: int, num_steps: int, cond_channels: int
    ) -> None:
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(num_steps):
            self.flows.append(MeanCoupling(channels, hidden, kernel_size, num_layers, cond_channels))
            self.flows.append(Flip())

    def forward(self, z: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Map z [B,C,T] to z_p [B,C,T] under mask [B,1,T] and condition [B,G,T]."""
        for flow in self.flows:
            z = flow(z, mask, cond)
        return z

    def inverse(self, z_p: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Map z_p back to z."""
        for flow in reversed(self.flows):
            assert isinstance(flow, MeanCoupling | Flip)
            z_p = flow.inverse(z_p, mask, cond)
        return z_p
