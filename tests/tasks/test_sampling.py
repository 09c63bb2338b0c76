from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.sampling import batch_indices


@given(items=st.integers(1, 20), batch=st.integers(1, 7), world=st.integers(1, 3), seed=st.integers(0, 9))
def test_every_epoch_holds_each_item_once(items: int, batch: int, world: int, seed: int) -> None:
    steps = -(-2 * items // (batch * world))
    row = torch.cat([batch_indices(items, batch, s, seed, r, world) for s in range(steps) for r in range(world)])
    for epoch in range(2):
        assert sorted(row[epoch * items : (epoch + 1) * items].tolist()) == list(range(items))


def test_epochs_seeds_and_salts_are_shuffled_differently() -> None:
    rows = [
        batch_indices(50, 50, step, seed, salt=salt).tolist()
        for step, seed, salt in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    assert len({tuple(row) for row in rows}) == 4
    assert batch_indices(50, 50, 0, 0).tolist() == rows[0]
