"""The vanilla fields and their renderer agree with the published names, shapes and numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modules.nerf.fields.vanilla import (
    VanillaHead,
    VanillaHeadConfig,
    VanillaTorso,
    VanillaTorsoConfig,
    frequency_encoding,
)
from modules.nerf.renderers.hierarchical import render_hierarchical, sample_pdf
from tests.parity.rule import assert_anchor, reference_input, reference_weights
from utils.geometry.cameras import Intrinsics, pixel_rays

HERE = Path(__file__).parent
ANCHORS: dict[str, Any] = json.loads((HERE / "nerf_anchors.json").read_text(encoding="utf-8"))
SHAPES: dict[str, dict[str, list[int]]] = json.loads((HERE / "nerf_state_dicts.json").read_text(encoding="utf-8"))
SPEECH: dict[str, Any] = {"cond_type": "speech", "cond_in_dim": 29, "cond_win_size": 16, "smo_win_size": 8}


def build(name: str) -> nn.Module:
    return {
        "lm3d_nerf": lambda: VanillaHead(VanillaHeadConfig()),
        "adnerf": lambda: VanillaHead(VanillaHeadConfig(**SPEECH)),
        "lm3d_nerf_torso": lambda: VanillaTorso(VanillaTorsoConfig(torso_cond_in_dim=29)),
        "adnerf_torso": lambda: VanillaTorso(VanillaTorsoConfig(torso_cond_in_dim=29, use_color=False)),
    }[name]()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    state = {key: list(value.shape) for key, value in build(name).state_dict().items()}
    state.pop("attention_on", None)
    assert state == SHAPES[name]


@pytest.fixture(scope="module")
def head() -> VanillaHead:
    head = reference_weights(VanillaHead(VanillaHeadConfig(with_att=True, no_smo_iterations=0)))
    assert isinstance(head, VanillaHead)
    return head


def points() -> tuple[torch.Tensor, torch.Tensor]:
    view = reference_input((6, 3), 700002)
    return 0.4 * reference_input((6, 5, 3), 310000), view / view.norm(dim=-1, keepdim=True)


@torch.no_grad()
def code_of(head: VanillaHead) -> torch.Tensor:
    return head.encode(reference_input((5, 1, 204), 50000)[None])


def test_codes_with_and_without_attention_give_the_anchors(head: VanillaHead) -> None:
    assert_anchor(code_of(head)[0], ANCHORS["lm3d_nerf.cond(att)"])
    plain = VanillaHead(VanillaHeadConfig(smo_win_size=5))
    reference_weights(plain)
    with torch.no_grad():
        alone = plain.encode(reference_input((1, 1, 204), 50000)[None])
    assert_anchor(alone[0], ANCHORS["lm3d_nerf.cond(no att)"])


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_head_networks_give_the_anchors(head: VanillaHead, name: str) -> None:
    positions, view = points()
    network = head.model_coarse if name == "coarse" else head.model_fine
    with torch.no_grad():
        raw = network(positions, code_of(head).expand(6, -1), view)
    assert_anchor(raw, ANCHORS[f"lm3d_nerf.{name}"])


def test_torso_condition_and_network_give_the_anchors() -> None:
    torso = reference_weights(build("lm3d_nerf_torso"))
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


def test_hierarchical_rendering_gives_the_anchors(head: VanillaHead) -> None:
    origins, directions = anchor_rays()
    sizes = {"n_samples_per_ray": 16, "n_samples_per_ray_fine": 32, "near": 0.3, "far": 0.9}
    scaled = reference_weights(VanillaHead(VanillaHeadConfig(**sizes)))
    assert isinstance(scaled, VanillaHead)
    background = 0.5 * reference_input((64, 3), 210000) + 0.5
    with torch.no_grad():
        for network in (scaled.model_coarse, scaled.model_fine):  # the anchors are of densities ten times as large
            network.density_out_linear.weight.mul_(10)
            network.density_out_linear.bias.mul_(10)
        coarse, fine = render_hierarchical(
            (scaled.model_coarse, scaled.model_fine),
            origins,
            directions,
            code_of(head).expand(64, -1),
            config=scaled.config,
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
