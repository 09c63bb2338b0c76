"""The deterministic weights and inputs behind the numeric anchors (docs: the public specification, section 12)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def uniform(count: int, seed: int) -> np.ndarray:
    """Return ``count`` hashed numbers in [-1,1), f64."""
    mod = np.uint64(0xFFFFFFFF)
    x = ((np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761)) + np.uint64(seed)) & mod
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mod
    x ^= x >> np.uint64(16)
    return x.astype(np.float64) / 2**31 - 1


def reference_input(shape: Sequence[int], seed: int) -> Tensor:
    """Return the anchor's input of this shape, f32."""
    return torch.from_numpy(uniform(int(np.prod(shape)), seed).reshape(shape)).float()


def reference_weights(module: nn.Module) -> nn.Module:
    """Fill every floating tensor of ``module`` by its name; return it in eval mode."""
    state = module.state_dict()
    for key, tensor in state.items():
        if tensor.is_floating_point():
            values = torch.from_numpy(
                _scaled(key, tensor.ndim, uniform(tensor.numel(), zlib.crc32(key.encode())), tensor.shape)
            )
            tensor.copy_(values.reshape(tensor.shape))
    return module.eval()


def reference_tensors(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return tensors of these names and shapes; counters are zero."""
    return {key: _reference_tensor(key, shape) for key, shape in shapes.items()}


def _reference_tensor(key: str, shape: Sequence[int]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    values = _scaled(key, len(shape), uniform(int(np.prod(shape)), zlib.crc32(key.encode())), shape)
    return torch.from_numpy(values).reshape(tuple(shape)).float()


def _scaled(key: str, ndim: int, t: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    if key.endswith("running_var"):
        return 1 + 0.25 * t
    if key.endswith("running_mean"):
        return 0.1 * t
    if key.endswith("weight_g") or (ndim == 1 and key.endswith("weight")):
        return 1 + 0.1 * t
    if ndim == 1:
        return 0.1 * t
    return t * np.sqrt(6 / (t.size / shape[0]))


def assert_anchor(actual: Tensor, anchor: Any, rtol: float = 1e-4) -> None:
    """Compare a tensor with shape, sum, absolute sum, head and tail of an anchor (or with one number)."""
    actual = actual.detach().double()
    if isinstance(anchor, float):
        torch.testing.assert_close(actual.item(), anchor, rtol=rtol, atol=1e-5)
        return
    assert list(actual.shape) == anchor["shape"]
    flat = actual.flatten()
    size = float(anchor["abs_sum"])
    torch.testing.assert_close(flat.abs().sum().item(), size, rtol=rtol, atol=1e-5)
    torch.testing.assert_close(flat.sum().item(), anchor["sum"], rtol=0.0, atol=rtol * size)
    for values, expected in ((flat[:8], anchor["first8"]), (flat[-4:], anchor["last4"])):
        torch.testing.assert_close(
            values, torch.tensor(expected, dtype=torch.float64)[: len(values)], rtol=rtol, atol=rtol
        )
