"""A trained person as flat arrays: what fast backends read instead of modules and tensors.

Planes are stored channel last, so that one texel is one load; widths are padded with zeros to what vectors hold
(``LANES`` outputs of a layer, four channels of a plane). Everything is float32, C-contiguous and on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules.nerf.fields.head import FrameState, HeadField
from modules.nerf.model import HeadModel, TorsoModel
from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.super_resolution import FACTOR, SuperResolution
from utils.commons.schema import ConfigError

LANES = 16
_QUAD = 4


@dataclass(frozen=True)
class FlatLayer:
    """A linear layer, its outputs in groups of ``LANES``."""

    weight: np.ndarray
    """[groups,inputs,LANES]"""
    bias: np.ndarray
    """[groups*LANES]"""


@dataclass(frozen=True)
class FlatConv:
    """A 3 x 3 convolution over pictures whose channels lie side by side, its outputs in groups of ``LANES``."""

    weight: np.ndarray
    """[3,groups,3*channels,LANES]: rows, then outputs, then columns and channels."""
    bias: np.ndarray
    """[groups*LANES]"""


@dataclass(frozen=True)
class FlatHead:
    """A head field with its occupancy and how it is marched."""

    planes: np.ndarray
    """The planes of every level one after the other, [3,size,size,channels] each, flattened."""
    sizes: np.ndarray
    """[levels] int32."""
    channels: int
    occupied: np.ndarray
    """Bits of the grid's cells, x fastest, lowest bit first; uint8 [grid³/8]."""
    shell: np.ndarray
    """Blocks of 2 x 2 x 2 cells at the border of what is occupied, int32."""
    grid: int
    aabb: np.ndarray
    """[2,3] metres."""
    warp_size: int
    """Nodes of the frontal warp along each side; 0 = no warp."""
    blend_size: int
    blend_channels: int
    """0 = no mixed planes."""
    first: FlatLayer
    second: FlatLayer
    density: FlatLayer
    color: FlatLayer
    rgb: FlatLayer
    step: float
    stop: float
    max_steps: int


@dataclass(frozen=True)
class FlatFrame:
    """One frame of a head: what changes with the landmarks."""

    warp: np.ndarray
    """[warp_size,warp_size,4]: shift of the field, then of the mixed planes."""
    blend: np.ndarray
    """[blend_size,blend_size,blend_channels]"""
    bias: np.ndarray
    """Bias of the first layer in this frame, [groups*LANES]."""


@dataclass(frozen=True)
class FlatTorso:
    """A torso in one frame."""

    texture: np.ndarray
    """[size,size,4] before the sigmoid."""
    shift: np.ndarray
    """[nodes,nodes,4] in picture units: x, y and two idle."""


def flatten_head(head: HeadModel) -> FlatHead:
    """Return a head as arrays.

    Raises:
        ConfigError: It is a field of another kind.
    """
    field, config = head.field, head.config
    if type(field) is not HeadField:
        raise ConfigError(f"field {config.field!r} has no flat form; render it with renderer_backend=torch")
    return FlatHead(
        planes=np.concatenate([_texels(plane).ravel() for plane in field.triplane.planes]),
        sizes=np.array([plane.shape[-1] for plane in field.triplane.planes], np.int32),
        channels=_up(config.plane_channels, _QUAD),
        occupied=np.packbits(head.occupancy.occupied.cpu().numpy(), bitorder="little"),
        shell=occupied_shell(head.occupancy),
        grid=config.grid_size,
        aabb=_array(field.aabb),
        warp_size=0 if field.warp is None else config.warp_grid_size,
        blend_size=config.blend_size,
        blend_channels=_up(config.blend_channels, _QUAD) if _has_blend(field) else 0,
        first=_layer(_padded_features(field), field.first.bias, grain=_QUAD),
        second=_layer(field.second.weight, field.second.bias),
        density=_layer(field.density.weight, field.density.bias),
        color=_layer(F.pad(_linear(field.color[0]).weight, (1, 0)), _linear(field.color[0]).bias),
        rgb=_layer(_linear(field.color[2]).weight, _linear(field.color[2]).bias),
        step=config.step_size,
        stop=config.stop_transmittance,
        max_steps=config.max_steps,
    )


def flatten_frame(head: HeadModel, state: FrameState) -> FlatFrame:
    """Return the state of one frame as arrays."""
    field = head.field
    bias = field.first.bias if state.bias is None else field.first.bias + state.bias[0]
    return FlatFrame(
        warp=np.zeros(0, np.float32) if state.warp is None else _texels(state.warp[0])[0],
        blend=np.zeros(0, np.float32) if state.blend is None else _texels(state.blend[0])[0],
        bias=_array(F.pad(bias, (0, _up(len(bias), LANES) - len(bias)))),
    )


def flatten_torso(torso: TorsoModel, poses: Tensor) -> FlatTorso:
    """Return the torso seen with the head at one pose [1,6] as arrays."""
    state = torso.field.frame(poses)
    return FlatTorso(texture=_texels(state.textures[0])[0], shift=_texels(state.warps[0])[0])


def flatten_sr(sr: SuperResolution) -> list[FlatConv]:
    """Return the convolutions of a network that enlarges; the last one's outputs are [row,column,channel]."""
    convs = [conv for conv in sr.convs if isinstance(conv, nn.Conv2d)]
    weights = [conv.weight for conv in convs]
    biases = [conv.bias for conv in convs if conv.bias is not None]
    order = torch.arange(4 * FACTOR**2).view(4, FACTOR, FACTOR).permute(1, 2, 0).flatten()
    weights[-1], biases[-1] = weights[-1][order], biases[-1][order]
    return [_conv(weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def _conv(weight: Tensor, bias: Tensor) -> FlatConv:
    """Return a convolution of weight [out,in,3,3]; inputs are padded to what the one before puts out."""
    outputs, inputs = _up(len(weight), LANES), weight.shape[1]
    channels = inputs if inputs == _QUAD else _up(inputs, LANES)
    padded = F.pad(weight, (0, 0, 0, 0, 0, channels - inputs, 0, outputs - len(weight)))
    rows = padded.permute(2, 0, 3, 1).reshape(3, -1, LANES, 3 * channels)
    return FlatConv(_array(rows.transpose(2, 3)), _array(F.pad(bias, (0, outputs - len(bias)))))


def occupied_shell(occupancy: OccupancyGrid) -> np.ndarray:
    """Return the blocks of 2 x 2 x 2 cells that hold an occupied one and have an empty neighbour or none; int32.

    They are numbered like cells, on a grid of half the size (rounded up).
    """
    size = occupancy.grid_size
    cells = F.pad(occupancy.occupied.view(1, 1, size, size, size).float(), (0, size % 2) * 3)
    blocks = F.max_pool3d(cells, 2)
    inner = -F.max_pool3d(-F.pad(blocks, (1,) * 6), 3, stride=1)
    return (blocks > inner).flatten().nonzero()[:, 0].cpu().numpy().astype(np.int32)


def _has_blend(field: HeadField) -> bool:
    return field.face_blend is not None or field.eye_blend is not None


def _padded_features(field: HeadField) -> Tensor:
    """Return the first layer's weight with idle columns where channels are padded to fours."""
    config = field.config
    columns = list(field.first.weight.split(config.plane_channels, dim=1))
    if _has_blend(field):
        number = field.triplane.width // config.plane_channels
        columns = [*columns[:number], field.first.weight[:, field.triplane.width :]]
    return torch.cat([F.pad(part, (0, -part.shape[1] % _QUAD)) for part in columns], dim=1)


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module


def _layer(weight: Tensor, bias: Tensor, *, grain: int = LANES) -> FlatLayer:
    """Return a layer of weight [out,in] and bias [out]; inputs are padded to multiples of ``grain``."""
    outputs, inputs = _up(len(weight), LANES), weight.shape[1]
    width = _up(inputs, grain)
    padded = F.pad(weight, (0, width - inputs, 0, outputs - len(weight)))
    return FlatLayer(
        weight=_array(padded.view(-1, LANES, width).transpose(1, 2)),
        bias=_array(F.pad(bias, (0, outputs - len(bias)))),
    )


def _texels(planes: Tensor) -> np.ndarray:
    """Return planes [N,C,H,W] channel last, channels padded to fours."""
    return _array(F.pad(planes.permute(0, 2, 3, 1), (0, -planes.shape[1] % _QUAD)))


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
