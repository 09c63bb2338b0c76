"""The networks inside the original's checkpoints: which one it is, its names and shapes as ours, its values sound.

The tensors decide about every size; the configuration only tells what no shape shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.model import Audio2MotionVAE
from modules.nerf.fields.vanilla import VanillaHead, VanillaHeadConfig, VanillaTorso, VanillaTorsoConfig, encoded_width
from modules.postnet.model import LandmarkCritic, LandmarkCriticConfig, PostNet, PostNetConfig
from modules.syncnet.model import SyncNet, SyncNetConfig
from utils.commons.checkpoint import mismatches
from utils.commons.schema import Config, DataError

Tensors = Mapping[str, Tensor]
_NEW_WEIGHT_NORM = re.compile(r"\.parametrizations\.weight\.original([01])$")
_OURS_ONLY = ("attention_on",)
_POSITION = encoded_width(10)


@dataclass(frozen=True)
class Network:
    """A network as we save it."""

    family: str
    config: Config
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Family:
    """A kind of network of the original."""

    name: str
    marker: str
    """Pattern of the beginning of names no other kind has."""
    build: Callable[[Tensors, Mapping[str, Any]], nn.Module]
    """From tensors and the original's configuration to our network."""


def read_network(tensors: Tensors, settings: Mapping[str, Any], what: str) -> Network:
    """Return the network that ``tensors`` are.

    Args:
        tensors: By name inside the network, weight norm in either style.
        settings: The original's flat configuration.
        what: Where they come from, for errors.

    Raises:
        DataError: An unknown or unsupported kind, a missing, additional or misshapen tensor, or values that are not
            numbers; the text names the first of them.
    """
    tensors = old_weight_norm(tensors)
    family = _family_of(tensors, what)
    try:
        with torch.device("meta"):
            module = family.build(tensors, settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{what}: {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}"
        ) from error
    expected = {name: value for name, value in module.state_dict().items() if name not in _OURS_ONLY}
    problems = mismatches(expected, tensors)
    if problems:
        raise DataError(f"{what} is no {family.name} as published ({problems}); download it again")
    converted = {name: _sound(tensors[name], value.dtype, f"{what}: {name}") for name, value in expected.items()}
    config: Config = module.config  # type: ignore[assignment]
    return Network(family.name, config, converted)


def old_weight_norm(tensors: Tensors) -> dict[str, Tensor]:
    """Return the tensors with weight-normalised ones under their old names, ``weight_g`` and ``weight_v``."""
    return {_NEW_WEIGHT_NORM.sub(lambda m: f".weight_{'gv'[int(m[1])]}", name): t for name, t in tensors.items()}


def prefixed(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """Return the tensors below ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _sound(tensor: Tensor, dtype: torch.dtype, what: str) -> Tensor:
    """Return a dense copy of the type wanted.

    Raises:
        DataError: Not a plain tensor, or one with values that are not finite or, for a variance, negative.
    """
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        raise DataError(f"{what} is no plain tensor ({tensor.layout}, {tensor.dtype})")
    if tensor.is_floating_point() != dtype.is_floating_point:
        raise DataError(f"{what} has the type {tensor.dtype}, expected {dtype}")
    copied = tensor.detach().to(dtype).contiguous()
    if copied.is_floating_point() and not bool(torch.isfinite(copied).all()):
        raise DataError(f"{what} holds values that are not finite numbers; the training had failed, or it is damaged")
    if what.endswith("running_var") and bool((copied < 0).any()):
        raise DataError(f"{what} holds a negative variance; it is damaged")
    return copied


def _family_of(tensors: Tensors, what: str) -> Family:
    for marker, sentence in _UNSUPPORTED.items():
        if _has(tensors, marker):
            raise UnsupportedError(f"{what} {sentence}")
    for family in _FAMILIES:
        if _has(tensors, family.marker) and (family.name != "adnerf" or not _is_torso(tensors)):
            return family
    first = ", ".join(list(tensors)[:3]) or "nothing"
    raise DataError(f"{what} is no network of GeneFace that is known here (it holds {first}, ...)")


def _has(tensors: Tensors, marker: str) -> bool:
    return any(re.match(marker, name) for name in tensors)


class UnsupportedError(DataError):
    """A network of the original that is known and has no counterpart here."""


_UNSUPPORTED = {
    r"position_embedder\.|cond_prenet\.": "is a RAD-NeRF, whose hash grids have no counterpart here; import "
    "the vanilla lm3d_nerf instead, or train our renderer on the imported dataset: bash scripts/train_nerf.sh",
    r"backbone\.(start_conv|residual)": "is an audio2pose, which predicts head poses; here they come from the "
    "person's clip",
}


def _size(tensors: Tensors, name: str, dim: int, default: int) -> int:
    """Return a size of a tensor; the default where it is missing, which the comparison of names then reports."""
    tensor = tensors.get(name)
    return int(tensor.shape[dim]) if tensor is not None and tensor.ndim > dim and tensor.shape[dim] else default


def _is_torso(tensors: Tensors) -> bool:
    narrow = _POSITION + _size(tensors, "aud_net.encoder_fc1.2.weight", 0, 64)
    widths = [_size(tensors, f"model_{net}.density_linears.0.weight", 1, 0) for net in ("coarse", "fine")]
    return max(widths) > narrow or _has(tensors, r"color_encoder\.")


def _build_vae(tensors: Tensors, settings: Mapping[str, Any]) -> nn.Module:
    width = _size(tensors, "mel_encoder.0.weight", 1, 1024)
    return Audio2MotionVAE(Audio2MotionConfig(speech_dim=width, use_pitch="pitch_embed.weight" in tensors))


def _build_syncnet(tensors: Tensors, settings: Mapping[str, Any]) -> nn.Module:
    return SyncNet(SyncNetConfig(speech_dim=_size(tensors, "hubert_encoder.0.conv_block.0.weight", 1, 1024)))


def _build_postnet(tensors: Tensors, settings: Mapping[str, Any]) -> nn.Module:
    hears_pitch = _size(tensors, "block1.0.conv_block.0.weight", 1, 204) > 204
    return PostNet(PostNetConfig(postnet_use_pitch=hears_pitch))


def _build_head(tensors: Tensors, settings: Mapping[str, Any]) -> nn.Module:
    is_speech = "aud_net.encoder_conv.0.weight" in tensors
    encoder, attention = ("aud_net", "audatt_net") if is_speech else ("lm_encoder", "lmatt_encoder")
    config = VanillaHeadConfig(
        cond_type="speech" if is_speech else "lm3d",
        cond_speech="deepspeech" if is_speech else "speech",
        cond_in_dim=_size(tensors, f"{encoder}.encoder_conv.0.weight", 1, 29 if is_speech else 204),
        cond_dim=_size(tensors, f"{encoder}.encoder_fc1.2.weight", 0, 64),
        cond_win_size=whole(settings, "cond_win_size", 16 if is_speech else 1),
        smo_win_size=_size(tensors, f"{attention}.attentionNet.0.weight", 0, 8 if is_speech else 5),
        with_att=True,
        no_smo_iterations=whole(settings, "no_smo_iterations", 200000),
        **_sampling(tensors, settings),
    )
    return VanillaHead(config)


def _build_torso(tensors: Tensors, settings: Mapping[str, Any]) -> nn.Module:
    config = VanillaTorsoConfig(
        torso_cond_speech="deepspeech",
        torso_cond_in_dim=_size(tensors, "aud_net.encoder_conv.0.weight", 1, 29),
        torso_cond_dim=_size(tensors, "aud_net.encoder_fc1.2.weight", 0, 64),
        torso_smo_win_size=_size(tensors, "audatt_net.attentionNet.0.weight", 0, 8),
        use_color=_has(tensors, r"color_encoder\."),
        **_sampling(tensors, settings),
    )
    return VanillaTorso(config)


def _sampling(tensors: Tensors, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "vanilla_hidden_size": _size(tensors, "model_coarse.density_linears.1.weight", 0, 256),
        "n_samples_per_ray": whole(settings, "n_samples_per_ray", 64),
        "n_samples_per_ray_fine": whole(settings, "n_samples_per_ray_fine", 128),
        "near": number(settings, "near", 0.3),
        "far": number(settings, "far", 0.9),
    }


def number(settings: Mapping[str, Any], key: str, default: float) -> float:
    """Return a number of the original's configuration; the default where it has none.

    Raises:
        DataError: It is no number.
    """
    value = settings.get(key)
    if value is None:
        return default
    try:
        result = float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"config.yaml: {key} must be a number, got {value!r}") from error
    if isinstance(value, bool) or result != result or abs(result) > 1e12:
        raise DataError(f"config.yaml: {key} must be a number, got {value!r}")
    return result


def whole(settings: Mapping[str, Any], key: str, default: int) -> int:
    """Return a whole number of the original's configuration (see :func:`number`)."""
    return int(number(settings, key, default))


_FAMILIES = (
    Family("syncnet", r"(hubert|mouth)_encoder\.", _build_syncnet),
    Family("audio2motion", r"(mel_encoder|vae)\.", _build_vae),
    Family("postnet", r"block[123]\.", _build_postnet),
    Family("critic", r"backbone\.\d", lambda t, s: LandmarkCritic(LandmarkCriticConfig())),
    Family("lm3d_nerf", r"lm(att)?_encoder\.", _build_head),
    Family("adnerf", r"aud(att)?_net\.", _build_head),
    Family("torso", r"aud(att)?_net\.|color_encoder\.", _build_torso),
)
