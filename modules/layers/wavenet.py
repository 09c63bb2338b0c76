"""The conditioned WaveNet block of the audio-to-motion model (specification 5.1, "WN block")."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from modules.layers.conv import WeightNormConv1d


class WaveNet(nn.Module):
    """A stack of gated convolutions that keeps length and width; the condition enters every gate.

    Args:
        hidden: Channels H.
        kernel_size: Odd; every layer looks ``kernel_size // 2`` frames to both sides.
        num_layers: Layers.
        cond_channels: Channels of the condition.
        dropout: Share of gated activations dropped while training.
    """

    def __init__(
        self, hidden: int, kernel_size: int, num_layers: int, cond_channels: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden, self.num_layers, self.dropout = hidden, num_layers, dropout
        self.in_layers = nn.ModuleList(WeightNormConv1d(hidden, 2 * hidden, kernel_size) for _ in range(num_layers))
        self.res_skip_layers = nn.ModuleList(
            WeightNormConv1d(hidden, 2 * hidden if layer < num_layers - 1 else hidden, 1) for layer in range(num_layers)
        )
        self.cond_layer = WeightNormConv1d(cond_channels, 2 * hidden * num_layers, 1)

    def forward(self, x: Tensor, mask: Tensor, cond: Tensor) -> Tensor:
        """Map [B,H,T] to [B,H,T] under a mask [B,1,T] and a condition [B,C,T] of the same rate."""
        conditions = self.cond_layer(cond).chunk(self.num_layers, dim=1)
        skipped = 0.0
        for layer, (in_layer, res_skip) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            tanh_part, gate = (in_layer(x) + conditions[layer]).chunk(2, dim=1)
            act = F.dropout(tanh_part.tanh() * gate.sigmoid(), self.dropout, self.training)
            out = res_skip(act)
            if layer < self.num_layers - 1:
                x = (x + out[:, : self.hidden]) * mask
                out = out[:, self.hidden :]
            skipped = skipped + out
        return skipped * mask
