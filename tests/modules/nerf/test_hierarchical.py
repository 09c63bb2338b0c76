"""The hierarchical renderer against closed forms."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from modules.nerf.fields.vanilla import VanillaConfig, frequency_encoding
from modules.nerf.renderers.hierarchical import blend_samples, even_depths, render_hierarchical, sample_pdf

BACKGROUND = torch.tensor([[0.1, 0.5, 0.9]])


class Slab(nn.Module):
    """A red layer of constant density between two depths on rays along z."""

    def __init__(self, density: float) -> None:
        super().__init__()
        self.density = density

    def forward(self, positions: Tensor, cond: Tensor, view: Tensor) -> Tensor:
        z = positions[..., 2:]
        inside = ((z > 0.45) & (z < 0.55)).float()
        color = torch.tensor([20.0, -20.0, -20.0]).expand(*positions.shape)
        return torch.cat([color, inside * self.density], dim=-1)


def look(density: float, *, coarse: int = 128, fine: int = 128, jitter: Tensor | None = None) -> Tensor:
    config = VanillaConfig(near=0.3, far=0.9, n_samples_per_ray=coarse, n_samples_per_ray_fine=fine)
    rays = torch.zeros(3, 3), torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3)
    network = Slab(density)
    _, blend = render_hierarchical((network, network), *rays, torch.zeros(3, 1), config=config, jitter=jitter)
    return blend.over(BACKGROUND.expand(3, 3))


def test_empty_space_shows_the_background() -> None:
    torch.testing.assert_close(look(0.0), BACKGROUND.expand(3, 3), atol=1e-4, rtol=0)  # the floor of the density


def test_a_slab_lets_through_what_beer_and_lambert_say() -> None:
    for density in (2.0, 10.0, 60.0):
        through = torch.exp(torch.tensor(-0.1 * density))
        expected = (1 - through) * torch.tensor([1.0, 0.0, 0.0]) + through * BACKGROUND[0]
        # the slab's borders fall between samples: half a fine step at each
        torch.testing.assert_close(look(density)[0], expected, atol=0.03, rtol=0)


def test_jitter_moves_samples_but_hardly_the_picture() -> None:
    moved = look(20.0, jitter=torch.tensor([0.1, 0.5, 0.9]))
    assert not torch.equal(moved[0], moved[1])
    torch.testing.assert_close(moved, look(20.0), atol=0.05, rtol=0)


@given(number=st.integers(2, 40), jitter=st.floats(0, 0.999))
def test_depths_ascend_from_near_to_far(number: int, jitter: float) -> None:
    rays = torch.zeros(1, 3)
    depths = even_depths(0.3, 0.9, number, jitter=torch.tensor([jitter]), like=rays)
    assert (depths.diff() >= 0).all()
    assert float(depths[0, -1]) == torch.tensor(0.9)
    plain = even_depths(0.3, 0.9, number, jitter=None, like=rays)
    torch.testing.assert_close(plain.diff(), torch.full((1, number - 1), 0.6 / (number - 1)), atol=1e-6, rtol=0)


@given(data=st.data())
def test_fine_depths_follow_the_weights(data: st.DataObject) -> None:
    bins = torch.linspace(0, 1, 11)
    heavy = data.draw(st.integers(0, 9))
    weights = torch.zeros(1, 10)
    weights[0, heavy] = 1.0
    jitter = data.draw(st.one_of(st.none(), st.floats(0, 0.999).map(lambda value: torch.tensor([value]))))
    depths = sample_pdf(bins, weights, 50, jitter=jitter)
    inside = (depths >= bins[heavy] - 1e-5) & (depths <= bins[heavy + 1] + 1e-5)
    assert inside.float().mean() >= 0.96  # with ends included, the first and the last lie outside
    assert (depths.diff() >= -1e-6).all()


def test_weights_sum_to_one_and_longer_directions_are_denser() -> None:
    raw = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(0))
    depths = torch.linspace(0.3, 0.9, 8).expand(5, 8)
    directions = torch.tensor([[0.0, 0.0, 1.0]]).expand(5, 3)
    blend = blend_samples(raw, depths, directions)
    torch.testing.assert_close(blend.weights.sum(dim=1), torch.ones(5), atol=1e-4, rtol=0)
    assert (blend_samples(raw, depths, 2 * directions).transparency < blend.transparency).all()


def test_the_encoding_is_sines_and_cosines_of_doubled_frequencies() -> None:
    x = torch.tensor([[0.3, -0.7, 1.1]])
    encoded = frequency_encoding(x, 3)
    expected = torch.cat([x, *(f(x * k) for k in (1, 2, 4) for f in (torch.sin, torch.cos))], dim=1)
    torch.testing.assert_close(encoded, expected)
