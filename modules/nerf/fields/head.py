"""The head as a radiance field that landmarks deform and repaint, or, to compare with, speech alone.

Positions are in [-1,1]³ of the head's box. Three roads lead from the landmarks of a frame into the field, measured in
``docs/renderer.md``: a fixed frontal warp moves the sample positions, learned frontal planes are mixed per frame (those
around the eyes by the eye landmarks alone, so that speech cannot blink), and a bias of the first layer. With
``cond_type: speech`` a code of the sound takes the two last roads, with all planes; there is nothing to warp by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from modules.nerf.cond_encoder import EYE_POINTS, FACE_POINTS, ConditionEncoder, landmark_columns
from modules.nerf.conditions import ConditionConfig
from modules.nerf.landmark_warp import LandmarkWarp
from modules.nerf.precision import full_precision
from modules.nerf.triplane import Triplane, read_frames
from utils.commons.schema import Config

_MAX_LOG_DENSITY = 8.0
_FIRST_LOG_DENSITY = -2.0
_EYE_GATE_CM = 1.6
_MIN_GRAIN = 128


class HeadFieldConfig(ConditionConfig):
    """What a head field is made of."""

    plane_sizes: tuple[int, ...] = (64, 128, 256)
    """Sizes of the three orthogonal planes; the largest sets the finest detail."""
    plane_channels: int = Field(4, ge=1)
    """Features of a plane at each size."""
    hidden_size: int = Field(64, ge=1)
    """Width of the density layers; the color layer has half of it."""
    geo_feat_dim: int = Field(15, ge=1)
    """Features that pass from the density to the color layers."""
    cond_bias: bool = True
    """Let the landmark code shift the first layer."""
    blend_planes: int = Field(12, ge=0)
    """Learned frontal planes mixed by the code of mouth, jaw and nose; 0 = none."""
    blend_eye_planes: int = Field(6, ge=0)
    """Learned frontal planes around the eyes mixed by the code of eyes and brows; 0 = none."""
    blend_channels: int = Field(8, ge=1)
    """Features of a mixed plane."""
    blend_size: int = Field(96, ge=2)
    """Size of the mixed planes."""
    warp_grid_size: int = Field(96, ge=0)
    """Nodes of the frontal landmark warp along each side; 0 = no warp."""
    warp_radius: float = Field(1.2, gt=0)
    """Width of the warp's radial basis functions, cm."""
    warp_closed_lips: bool = True
    """Carry every face to one with closed lips instead of the mean one."""
    blend_warped: Literal["none", "eyes", "all"] = "eyes"
    """Where mixed planes are read at the place the warp leads to; elsewhere they stay with the head, as teeth do."""
    warp_ridge: float = Field(0.05, gt=0)
    """How far the warp may miss a landmark for smoothness; larger is smoother."""

    @field_validator("plane_sizes")
    @classmethod
    def _has_planes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 2:
            raise ValueError("plane_sizes needs at least one size of 2 or more")
        return value


@dataclass(frozen=True)
class FrameState:
    """What the field needs to know of F frames; made once a frame, read by every sample."""

    warp: Sequence[Tensor] | None
    """For each frame [1,4,G,G]: frontal displacement of the head and of its mixed planes, in units of the box."""
    blend: Sequence[Tensor] | None
    """For each frame [1,C,B,B]: mixed frontal planes."""
    bias: Tensor | None
    """[F,hidden] shift of the first layer."""


class HeadField(nn.Module):
    """Density and color at points of a head whose landmarks are given."""

    config_cls: ClassVar[type[Config]] = HeadFieldConfig
    lm3d_mean: Tensor
    lm3d_std: Tensor
    aabb: Tensor
    eye_gate: Tensor
    warp_gate: Tensor

    def __init__(self, config: HeadFieldConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("lm3d_mean", torch.zeros(68, 3))
        self.register_buffer("lm3d_std", torch.ones(68, 3))
        self.register_buffer("aabb", torch.tensor([[-1.0] * 3, [1.0] * 3]))
        self.register_buffer("eye_gate", torch.zeros(1, 1, config.blend_size, config.blend_size))
        self.register_buffer("warp_gate", torch.zeros(1, 1, config.warp_grid_size, config.warp_grid_size))
        self.triplane = Triplane(config.plane_sizes, config.plane_channels)
        smoothing = config.smo_win_size if config.with_att else 1
        encoder = {"dim": config.cond_dim, "window": config.cond_win_size, "smoothing": smoothing}
        hears = config.cond_type == "speech"
        face = range(config.cond_in_dim) if hears else landmark_columns(FACE_POINTS)
        self.face_encoder = ConditionEncoder(face, **encoder)
        self.eye_encoder = None if hears else ConditionEncoder(landmark_columns(EYE_POINTS), **encoder)
        self.warp = None if hears else _build_warp(config)
        self.face_blend = _build_blend(config, config.blend_planes + hears * config.blend_eye_planes)
        self.eye_blend = None if hears else _build_blend(config, config.blend_eye_planes)
        blends = config.blend_planes + config.blend_eye_planes > 0
        width = self.triplane.width + (config.blend_channels if blends else 0)
        hidden = config.hidden_size
        self.first = nn.Linear(width, hidden)
        self.cond_bias = nn.Linear(config.cond_dim, hidden, bias=False) if config.cond_bias else None
        self.second = nn.Linear(hidden, hidden)
        self.density = nn.Linear(hidden, 1 + config.geo_feat_dim)
        half = hidden // 2
        self.color = nn.Sequential(nn.Linear(config.geo_feat_dim, half), nn.ReLU(inplace=True), nn.Linear(half, 3))

    def fit_person(self, lm3d_mean: Tensor, lm3d_std: Tensor, aabb: Tensor) -> None:
        """Take a person's landmark statistics [68,3] in cm and box [2,3] in metres."""
        self.lm3d_mean.copy_(lm3d_mean)
        self.lm3d_std.copy_(lm3d_std)
        self.aabb.copy_(aabb)
        if self.warp is not None:
            self.warp.fit(lm3d_mean, aabb)
        self.eye_gate.copy_(self._near_eyes(self.config.blend_size))
        self.warp_gate.copy_(self._near_eyes(self.config.warp_grid_size))

    def _near_eyes(self, size: int) -> Tensor:
        """Return how near the nodes of a frontal grid are to the eyes, [1,1,size,size] in [0,1]."""
        line = torch.linspace(-1, 1, size)
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        nodes = self.to_metres(torch.stack([columns, rows, torch.zeros_like(rows)], dim=-1))[..., :2] * 100
        nearest = (nodes[:, :, None] - self.lm3d_mean[36:48, :2]).square().sum(dim=-1).amin(dim=-1)
        return torch.exp(nearest * (-0.5 / _EYE_GATE_CM**2))[None, None]

    def to_box(self, positions: Tensor) -> Tensor:
        """Return positions [...,3] in metres as coordinates of the box, [-1,1]."""
        return (positions - self.aabb[0]) * (2.0 / (self.aabb[1] - self.aabb[0])) - 1.0

    def to_metres(self, positions: Tensor) -> Tensor:
        """Return box coordinates [...,3] in metres."""
        return (positions + 1.0) * (0.5 * (self.aabb[1] - self.aabb[0])) + self.aabb[0]

    def frame(self, cond: Tensor, *, code_noise: Tensor | None = None) -> FrameState:
        """Return the state of frames whose windows of normalised landmarks, or of speech, are ``cond`` [F,S,W,C].

        Args:
            cond: S neighbouring windows of W rows; the frame itself is in the middle of both.
            code_noise: Added to what the encoders see (not to the warp), same shape.
        """
        seen = cond if code_noise is None else cond + code_noise
        face = self.face_encoder(seen)
        blend = self._mix(face, face if self.eye_encoder is None else self.eye_encoder(seen))
        return FrameState(
            warp=self._shifts(cond[:, cond.shape[1] // 2, cond.shape[2] // 2]),
            blend=None if blend is None else blend.split(1),
            bias=None if self.cond_bias is None else self.cond_bias(face).float(),
        )

    def _shifts(self, normal: Tensor) -> Sequence[Tensor] | None:
        if self.warp is None:
            return None
        shifts = self.warp(normal.view(-1, 68, 3) * self.lm3d_std + self.lm3d_mean)
        share = {
            "none": torch.zeros_like(self.warp_gate),
            "eyes": self.warp_gate,
            "all": torch.ones_like(self.warp_gate),
        }
        return torch.cat([shifts, shifts * share[self.config.blend_warped]], dim=1).split(1)

    def _mix(self, face: Tensor, eyes: Tensor) -> Tensor | None:
        mixed = None
        if self.face_blend is not None:
            mixed = self.face_blend(face) * (1 - self.eye_gate if self.eye_blend is not None else 1)
        if self.eye_blend is not None:
            around_eyes = self.eye_blend(eyes) * self.eye_gate
            mixed = around_eyes if mixed is None else mixed + around_eyes
        return mixed

    def query(self, positions: Tensor, state: FrameState, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return density [P] (1 = one unit of optical thickness a standard step) and color [P,3] in [0,1].

        Args:
            positions: [P,3] in the box, those of one frame contiguous.
            state: The frames.
            counts: Positions of each frame.
        """
        number = len(positions)
        positions, counts = _pad(positions, counts)
        frontal = mixing = positions[:, :2]
        if state.warp is not None:
            shifts = read_frames(state.warp, frontal, counts).t()
            positions = torch.cat([frontal - shifts[:, :2], positions[:, 2:]], dim=1)
            mixing = frontal - shifts[:, 2:]
        features = self.triplane(positions)
        if state.blend is not None:
            features = torch.cat([features, read_frames(state.blend, mixing, counts)])
        hidden = F.relu_(self.second(F.relu_(self._first_layer(features, state.bias, counts))))
        geometry = self.density(hidden)
        log_density = geometry[:number, 0].float() + _FIRST_LOG_DENSITY
        rgbs = torch.sigmoid(self.color(geometry[:, 1:])[:number].float())
        return torch.exp(log_density.clamp(max=_MAX_LOG_DENSITY)), rgbs

    def _first_layer(self, features: Tensor, bias: Tensor | None, counts: Sequence[int]) -> Tensor:
        """Return [P,hidden] of features [C,P]; a bias for each of several frames enters by indicator features."""
        weight: Tensor = self.first.weight
        shift: Tensor = self.first.bias
        if bias is not None and len(bias) == 1:
            shift = shift + bias[0]
        elif bias is not None:
            features = torch.cat([features, _frame_indicators(counts, features)])
            weight = torch.cat([weight, bias.t()], dim=1)
        return F.linear(features.t(), weight, shift)


def _pad(positions: Tensor, counts: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Return positions [P,3] with idle ones behind, so that few different numbers occur.

    oneDNN compiles a kernel for every new matrix size; that takes longer than the product itself. Eight sizes an octave
    are few enough to be remembered.
    """
    number = len(positions)
    grain = max(_MIN_GRAIN, 2 ** max(number.bit_length() - 4, 0))
    idle = -number % grain
    return F.pad(positions, (0, 0, 0, idle)), [*counts[:-1], counts[-1] + idle]


def _frame_indicators(counts: Sequence[int], like: Tensor) -> Tensor:
    """Return [F,P]: 1 where a sample belongs to a frame."""
    indicators = like.new_zeros(len(counts), sum(counts))
    start = 0
    for row, count in zip(indicators, counts, strict=True):
        row[start : start + count] = 1
        start += count
    return indicators


class BlendPlanes(nn.Module):
    """Frontal planes [F,C,B,B]: a base and K learned ones mixed by a code."""

    def __init__(self, number: int, *, channels: int, size: int, cond_dim: int) -> None:
        super().__init__()
        self.planes = nn.Parameter(0.01 * torch.randn(number, channels, size, size))
        self.mix = nn.Linear(cond_dim, number)

    @full_precision
    def forward(self, code: Tensor) -> Tensor:
        mixture = F.linear(code.float(), self.mix.weight, self.mix.bias)
        return (mixture @ self.planes.flatten(1)).view(-1, *self.planes.shape[1:])


def _build_warp(config: HeadFieldConfig) -> LandmarkWarp | None:
    if config.warp_grid_size == 0:
        return None
    return LandmarkWarp(
        config.warp_grid_size, radius=config.warp_radius, ridge=config.warp_ridge, closed_lips=config.warp_closed_lips
    )


def _build_blend(config: HeadFieldConfig, number: int) -> BlendPlanes | None:
    if number == 0:
        return None
    return BlendPlanes(number, channels=config.blend_channels, size=config.blend_size, cond_dim=config.cond_dim)
