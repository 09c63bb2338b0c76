"""Every published name and shape is accounted for by the importer; a wrong one is named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modules.importer.networks import UnsupportedError, read_network
from tests.parity.networks import build
from tests.support.release import published_shapes
from utils.commons.schema import DataError

FAMILIES = {
    "lm3d_vae": "audio2motion",
    "lm3d_vae_pitch": "audio2motion",
    "syncnet": "syncnet",
    "postnet": "postnet",
    "postnet_discriminator": "critic",
    "lm3d_nerf": "lm3d_nerf",
    "lm3d_nerf_torso": "torso",
    "adnerf": "adnerf",
    "adnerf_torso": "torso",
}


def zeros(name: str) -> dict[str, Tensor]:
    """Return tensors of the published names and shapes, without memory."""
    state = {}
    for key, shape in published_shapes()[name].items():
        value = torch.zeros((), dtype=torch.int64 if key.endswith("num_batches_tracked") else torch.float32)
        state[key] = value.expand(shape) if shape else value
    return state


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    state = {key: list(value.shape) for key, value in build(name).state_dict().items() if key != "attention_on"}
    assert state == published_shapes()[name]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_published_tensor_is_taken(name: str) -> None:
    network = read_network(zeros(name), {}, name)
    assert network.family == FAMILIES[name]
    assert {key: list(value.shape) for key, value in network.tensors.items()} == published_shapes()[name]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_missing_tensor_is_named(name: str) -> None:
    state = zeros(name)
    for key in list(state)[:: max(1, len(state) // 12)]:
        with pytest.raises(DataError, match=f"missing: {key}"):
            read_network({other: value for other, value in state.items() if other != key}, {}, "file")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_additional_and_misshapen_tensors_are_named(name: str) -> None:
    state = zeros(name)
    with pytest.raises(DataError, match="unexpected: stranger"):
        read_network(state | {"stranger": torch.zeros(2)}, {}, "file")
    key = next(reversed([key for key, value in state.items() if value.ndim == 1]))
    with pytest.raises(DataError, match=rf"of another shape: {key} \[9999\] instead of"):
        read_network(state | {key: torch.zeros(9999)}, {}, "file")


@pytest.mark.parametrize(
    ("name", "text"),
    [("lm3d_radnerf", "is a RAD-NeRF"), ("audio2pose", "is an audio2pose")],
)
def test_kinds_without_a_counterpart_are_refused_by_name(name: str, text: str) -> None:
    marker = {"lm3d_radnerf": "position_embedder.embeddings", "audio2pose": "backbone.start_conv1.weight"}[name]
    with pytest.raises(UnsupportedError, match=text):
        read_network({marker: torch.zeros(1), "cond": torch.zeros(1)}, {}, "file")


def test_weight_norm_of_the_new_style_is_the_same() -> None:
    state = zeros("lm3d_vae")
    new = {
        key.replace(".weight_g", ".parametrizations.weight.original0").replace(
            ".weight_v", ".parametrizations.weight.original1"
        ): value
        for key, value in state.items()
    }
    assert new.keys() != state.keys()
    assert read_network(new, {}, "file").tensors.keys() == state.keys()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.full((64,), torch.nan), "not finite"),
        (torch.zeros(64, dtype=torch.int64), "has the type torch.int64"),
        (torch.zeros(64).to_sparse(), "no plain tensor"),
    ],
)
def test_values_that_are_no_numbers_are_refused(value: Tensor, text: str) -> None:
    with pytest.raises(DataError, match=rf"vae.g_pre_net.0.bias.* {text}"):
        read_network(zeros("lm3d_vae") | {"vae.g_pre_net.0.bias": value}, {}, "file")


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(DataError, match=r"mel_encoder.1.running_var holds a negative variance"):
        read_network(zeros("lm3d_vae") | {"mel_encoder.1.running_var": torch.full((64,), -1.0)}, {}, "file")


def test_giant_tensors_are_refused_before_they_take_memory() -> None:
    with pytest.raises(DataError, match=r"of another shape: vae.g_pre_net.0.bias \[1000000000000\]"):
        read_network(zeros("lm3d_vae") | {"vae.g_pre_net.0.bias": torch.zeros(1).expand(10**12)}, {}, "file")
