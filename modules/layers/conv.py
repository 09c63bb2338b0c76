"""Small convolution blocks whose parameter names are those of the published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock1d(nn.Module):
    """Convolution, batch normalisation, optional skip, then (leaky) ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int = 1,
        residual: bool = False,
        negative_slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv1d(in_channels, out_channels, kernel_size, stride, padding), nn.BatchNorm1d(out_channels)
        )
        self.residual, self.negative_slope = residual, negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C_in,T] to [B,C_out,T']."""
        hidden = self.conv_block(x)
        if self.residual:
            hidden = hidden + x
        return F.leaky_relu(hidden, self.negative_slope)


class WeightNormConv1d(nn.Module):
    """A convolution with weight ``g * v / |v|``, the norm of ``v`` taken over all but the first dimension.

    The parameters are called ``weight_g`` [out,1,1], ``weight_v`` [out,in,k] and ``bias`` [out].
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        plain = nn.Conv1d(in_channels, out_channels, kernel_size)
        assert plain.bias is not None
        self.weight_v = nn.Parameter(plain.weight.detach().clone())
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(1, 2), keepdim=True))
        self.bias = nn.Parameter(plain.bias.detach().clone())
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C_in,T] to [B,C_out,T] for an odd kernel."""
        return F.conv1d(x, self.weight(), self.bias, padding=self.padding)

    def weight(self) -> Tensor:
        """Return the effective weight [out,in,k]."""
        norm = torch.linalg.vector_norm(self.weight_v, dim=(1, 2), keepdim=True)
        return self.weight_v * (self.weight_g / norm)
