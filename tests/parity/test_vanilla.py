"""The vanilla fields and their renderer agree with the published numbers, also after the importer."""

from __future__ import annotations

import pytest
import torch

from modules.nerf.fields.vanilla import VanillaHead, VanillaTorso, frequency_encoding
from modules.nerf.renderers.hierarchical import render_hierarchical, sample_pdf
from tests.parity.conftest import Load
from tests.parity.networks import anchors
from tests.parity.rule import assert_anchor, reference_input
from utils.geometry.cameras import Intrinsics, pixel_rays

ANCHORS = anchors("nerf")


def points() -> tuple[torch.Tensor, torch.Tensor]:
    view = reference_input((6, 3), 700002)
    return 0.4 * reference_input((6, 5, 3), 310000), view / view.norm(dim=-1, keepdim=True)


def head_of(load: Load) -> VanillaHead:
    head = load("lm3d_nerf")
    assert isinstance(head, VanillaHead)
    return head


@torch.no_grad()
def code_of(head: VanillaHead) -> torch.Tensor:
    return head.encode(reference_input((5, 1, 204), 50000)[None])


def test_codes_with_and_without_attention_give_the_anchors(load: Load) -> None:
    head = head_of(load)
    assert_anchor(code_of(head)[0], ANCHORS["lm3d_nerf.cond(att)"])
    head.attention_on.fill_(False)
    with torch.no_grad():
        alone = head.encode(reference_input((1, 1, 204), 50000)[None])
    assert_anchor(alone[0], ANCHORS["lm3d_nerf.cond(no att)"])


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_head_networks_give_the_anchors(load: Load, name: str) -> None:
    head = head_of(load)
    positions, view = points()
    network = head.model_coarse if name == "coarse" else head.model_fine
    with torch.no_grad():
        raw = network(positions, code_of(head).expand(6, -1), view)
    assert_anchor(raw, ANCHORS[f"lm3d_nerf.{name}"])


def test_torso_condition_and_network_give_the_anchors(load: Load) -> None:
    torso = load("lm3d_nerf_torso")
    assert isinstance(torso, VanillaTorso)
    positions, view = points()
    with torch.no_grad():
        code = torso.encode(
            reference_input((8, 16, 29), 30000)[None],
            torch.tensor([[0.1, -0.2, 0.05]]),
            torch.tensor([[0.01, 0.02, 0.65]]),
        )
        cond = torso.with_color(code.expand(6, -1), 0.5 * reference_input((6, 3), 400000) + 0.5)
        raw = torso.model_fine(positions, cond, view)
    assert_anchor(cond, ANCHORS["torso.cond"])
    assert_anchor(raw, ANCHORS["torso.fine"])


def anchor_rays() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rays of an 8x8 picture; the published ones pass through pixel corners, hence the half pixel."""
    c2w = torch.eye(4)
    c2w[:3, 3] = torch.tensor([0.02, -0.01, 0.62])
    camera = Intrinsics(focal=20, cx=4.5, cy=4.5, height=8, width=8)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    return pixel_rays(c2w, camera, rows.flatten(), columns.flatten())


def test_rays_give_the_anchor() -> None:
    assert_anchor(anchor_rays()[1].view(8, 8, 3), ANCHORS["get_rays.d(8x8,f=20)"])


def test_hierarchical_rendering_gives_the_anchors(load: Load) -> None:
    head = head_of(load)
    origins, directions = anchor_rays()
    sizes = {"n_samples_per_ray": 16, "n_samples_per_ray_fine": 32, "near": 0.3, "far": 0.9}
    background = 0.5 * reference_input((64, 3), 210000) + 0.5
    with torch.no_grad():
        for network in (head.model_coarse, head.model_fine):  # the anchors are of densities ten times as large
            network.density_out_linear.weight.mul_(10)
            network.density_out_linear.bias.mul_(10)
        coarse, fine = render_hierarchical(
            (head.model_coarse, head.model_fine),
            origins,
            directions,
            code_of(head).expand(64, -1),
            config=head.config.model_copy(update=sizes),
        )
    for name, value in (
        ("rgb_map", fine.over(background)),
        ("rgb_map_coarse", coarse.over(background)),
        ("last_weight", fine.transparency),
        ("last_weight0", coarse.transparency),
        ("rgb_map_fg", fine.rgb),
        ("acc_map", fine.weights.sum(dim=1)),
    ):
        assert_anchor(value, ANCHORS[f"render(perturb=0,16+32,sigma*10).{name}"])


def test_inverse_sampling_gives_the_anchor() -> None:
    depths = sample_pdf(torch.linspace(0, 1, 15), reference_input((2, 14), 500000).abs(), 8)
    assert_anchor(depths, ANCHORS["sample_pdf(det)"])


def test_encoding_gives_the_anchor() -> None:
    assert_anchor(frequency_encoding(torch.tensor([[0.1, 0.2, 0.3]]), 4), ANCHORS["freq_embed(x=[.1,.2,.3],L=4)"])
