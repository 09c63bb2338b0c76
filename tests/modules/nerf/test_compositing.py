from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.nerf.compositing import composite_wave, over
from tests.reference.volume_loops import composite_loop
from utils.commons.runtime import seeded_generator


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    width=st.integers(1, 4),
    seed=st.integers(0, 99),
    stop=st.sampled_from([0.0, 0.2]),
)
@settings(max_examples=30, deadline=None)
def test_waves_equal_the_loop(counts: list[int], width: int, seed: int, stop: float) -> None:
    generator = seeded_generator(seed)
    total = sum(counts)
    optical = 3 * torch.rand(total, generator=generator)
    rgbs, depths = torch.rand(total, 3, generator=generator), torch.rand(total, generator=generator)
    ray_index = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    rank = torch.cat([torch.arange(count) for count in counts])
    light = torch.ones(len(counts))
    color, depth, weights = torch.zeros(len(counts), 3), torch.zeros(len(counts)), torch.zeros(total)
    for start in range(0, 9, width):
        part = (rank >= start) & (rank < start + width)
        wave = composite_wave(
            optical[part],
            rgbs[part],
            depths[part],
            ray_index=ray_index[part],
            rank=rank[part] - start,
            transmittance=light,
            width=width,
            stop=stop,
        )
        light, color, depth = wave.transmittance, color + wave.rgb, depth + wave.depth
        weights[part] = wave.weights
    for ray in range(len(counts)):
        mine = ray_index == ray
        slow = composite_loop(optical[mine], rgbs[mine], depths[mine], stop=stop)
        for fast, expected in zip((weights[mine], color[ray], depth[ray], light[ray]), slow, strict=True):
            torch.testing.assert_close(fast, expected, atol=1e-5, rtol=1e-5)


def test_nothing_in_front_shows_the_background_exactly() -> None:
    background = torch.rand(5, 3)
    assert torch.equal(over(torch.zeros(5, 3), torch.zeros(5), background), background)


def test_an_opaque_wall_hides_the_background() -> None:
    wall = composite_wave(
        torch.tensor([30.0]),
        torch.tensor([[0.2, 0.4, 0.6]]),
        torch.tensor([0.7]),
        ray_index=torch.tensor([0]),
        rank=torch.tensor([0]),
        transmittance=torch.ones(1),
        width=4,
    )
    shown = over(wall.rgb, 1 - wall.transmittance, torch.ones(1, 3))
    torch.testing.assert_close(shown, torch.tensor([[0.2, 0.4, 0.6]]))
    torch.testing.assert_close(wall.depth, torch.tensor([0.7]))
