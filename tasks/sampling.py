"""Which items make the batch of a step: shuffled by epoch, shared out among ranks, a pure function of its arguments."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from utils.commons.runtime import seeded_generator

_SALT = 0x5A3C


def batch_indices(
    num_items: int, batch_size: int, step: int, seed: int, rank: int = 0, world_size: int = 1, *, salt: int = 0
) -> Tensor:
    """Return the item numbers of one rank's batch, int64 [batch_size].

    Items are taken from an endless row of shuffled epochs, without replacement within an epoch; a batch may reach from
    one epoch into the next. Ranks take neighbouring pieces of the row.

    Args:
        num_items: Items in the dataset.
        batch_size: Items in the batch of one rank.
        step: Number of the batch.
        seed: Of the shuffling.
        rank: This process.
        world_size: Number of processes.
        salt: Tells several rows of one dataset apart.
    """
    if num_items < 1 or batch_size < 1:
        raise ValueError(f"num_items and batch_size must be at least 1, got {num_items} and {batch_size}")
    first = (step * world_size + rank) * batch_size
    positions = range(first, first + batch_size)
    epochs = {position // num_items for position in positions}
    orders = {epoch: _order(num_items, seed, epoch, salt) for epoch in epochs}
    return torch.stack([orders[position // num_items][position % num_items] for position in positions])


@functools.lru_cache(maxsize=8)
def _order(num_items: int, seed: int, epoch: int, salt: int) -> Tensor:
    return torch.randperm(num_items, generator=seeded_generator(seed, _SALT, epoch, salt))
