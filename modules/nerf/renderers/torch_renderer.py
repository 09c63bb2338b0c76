"""Rays through a head field to pixels, in plain torch: training, validation and inference share this path.

Samples are evaluated in waves of a few a ray; rays that have become opaque drop out between waves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from modules.nerf.compositing import Wave, composite_wave
from modules.nerf.fields.head import FrameState, HeadField
from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.sampling import PackedSamples, Rays, camera_rays, join, march, select
from modules.nerf.tiles import depth_bounds
from utils.commons.schema import Config
from utils.geometry.cameras import Intrinsics

_MAX_OPTICAL = 30.0


class RenderConfig(Config):
    """How rays are marched."""

    grid_size: int = Field(128, ge=2)
    """Cells of the occupancy grid along each side of the head's box."""
    step_size: float = Field(0.004, gt=0)
    """Depth between samples, metres."""
    max_steps: int = Field(40, ge=1)
    """Most samples kept on one ray; more is slower and hardly sharper."""
    stop_transmittance: float = Field(1e-2, ge=0, lt=1)
    """A ray ends at the sample behind which less light than this passes; that sample takes the rest."""
    wave_size: int = Field(16, ge=1)
    """Samples of a ray evaluated together."""
    tile_rays: int = Field(32768, ge=1)
    """Rays of a frame rendered together; a bound on memory."""


@dataclass(frozen=True)
class RenderOutput:
    """What N rays see of the head alone, and the P samples that made it."""

    rgb: Tensor
    """[N,3] color times opacity."""
    opacity: Tensor
    """[N]"""
    depth: Tensor
    """[N] depth times opacity."""
    samples: PackedSamples
    """The samples evaluated, wave after wave."""
    weights: Tensor
    """[P] their rendering weights."""


@dataclass(frozen=True)
class FrameOutput:
    """What all pixels of a frame, row after row, see of the head alone."""

    rgb: Tensor
    """[H*W,3] color times opacity."""
    opacity: Tensor
    """[H*W]"""
    depth: Tensor
    """[H*W] depth times opacity."""
    num_samples: int


class TorchRenderer:
    """Render rays or whole frames of a head field; differentiable, CPU and CUDA alike."""

    def __init__(self, field: HeadField, occupancy: OccupancyGrid, config: RenderConfig) -> None:
        self.field, self.occupancy, self.config = field, occupancy, config

    def render_rays(
        self,
        rays: Rays,
        state: FrameState,
        *,
        phase: Tensor | float = 0.5,
        bounds: tuple[Tensor, Tensor] | None = None,
    ) -> RenderOutput:
        """Return what the rays see, front to back until they are opaque.

        Args:
            rays: N rays, contiguous by frame.
            state: The field's state of these frames.
            phase: Position of samples in their steps, [N] or a number.
            bounds: Near and far depths [N] known to hold everything occupied.
        """
        config = self.config
        samples = march(
            rays.origins.detach(),
            rays.directions.detach(),
            self.occupancy,
            aabb=self.field.aabb,
            step=config.step_size,
            max_steps=config.max_steps,
            phase=phase,
            bounds=bounds,
        )
        transmittance = rays.origins.new_ones(len(rays.origins))
        waves: list[Wave] = []
        parts: list[PackedSamples] = []
        longest = int(samples.rank.max()) + 1 if len(samples.rank) else 0
        for start in range(0, longest, config.wave_size):
            alive = transmittance.detach() > config.stop_transmittance
            in_wave = (samples.rank >= start) & (samples.rank < start + config.wave_size) & alive[samples.ray_index]
            part = select(samples, in_wave)
            if len(part.rank) == 0:
                break
            waves.append(self._evaluate(part, rays, state, transmittance=transmittance, start=start))
            parts.append(part)
            transmittance = waves[-1].transmittance
        return _gather(waves, parts, transmittance)

    def _evaluate(
        self, part: PackedSamples, rays: Rays, state: FrameState, *, transmittance: Tensor, start: int
    ) -> Wave:
        chosen = torch.cat([rays.origins, rays.directions], dim=1).index_select(0, part.ray_index)
        positions = torch.addcmul(chosen[:, :3], chosen[:, 3:], part.depths[:, None])
        edges = torch.tensor([0, *rays.counts]).cumsum(0).to(part.ray_index.device)
        counts = torch.searchsorted(part.ray_index, edges).diff().tolist()
        density, rgbs = self.field.query(self.field.to_box(positions), state, counts)
        lengths = rays.directions.detach().norm(dim=-1).index_select(0, part.ray_index)
        optical = (density * lengths).clamp(max=_MAX_OPTICAL)
        return composite_wave(
            optical,
            rgbs,
            part.depths,
            ray_index=part.ray_index,
            rank=part.rank - start,
            transmittance=transmittance,
            width=self.config.wave_size,
            stop=self.config.stop_transmittance,
        )

    def render_frame(self, state: FrameState, c2w: Tensor, camera: Intrinsics) -> FrameOutput:
        """Return every pixel of one frame, [H*W] in rows; no jitter."""
        rows_a_tile = max(1, self.config.tile_rays // camera.width)
        near, far = depth_bounds(self.occupancy, self.field.aabb, c2w, camera, step=self.config.step_size)
        parts = []
        for top in range(0, camera.height, rows_a_tile):
            rows = torch.arange(top, min(top + rows_a_tile, camera.height), device=c2w.device)
            parts.append(self._render_rows(state, c2w, camera, rows=rows, near=near[rows], far=far[rows]))
        return _stack(parts)

    def _render_rows(
        self, state: FrameState, c2w: Tensor, camera: Intrinsics, *, rows: Tensor, near: Tensor, far: Tensor
    ) -> FrameOutput:
        """Render whole picture rows, only the pixels whose bounds hold something."""
        hit = (far > near).view(-1)
        pixels = hit.nonzero()[:, 0]
        pixel_rows = rows[0] + pixels.div(camera.width, rounding_mode="floor")
        rays = camera_rays(c2w[None], camera, pixel_rows, pixels % camera.width)
        bounds = (near.reshape(-1)[pixels], far.reshape(-1)[pixels])
        seen = self.render_rays(rays, state, bounds=bounds)
        number = len(hit)
        return FrameOutput(
            rgb=seen.rgb.new_zeros(number, 3).index_copy(0, pixels, seen.rgb),
            opacity=seen.opacity.new_zeros(number).index_copy(0, pixels, seen.opacity),
            depth=seen.depth.new_zeros(number).index_copy(0, pixels, seen.depth),
            num_samples=len(seen.weights),
        )


def _gather(waves: Sequence[Wave], parts: Sequence[PackedSamples], transmittance: Tensor) -> RenderOutput:
    number = len(transmittance)
    rgb, depth = transmittance.new_zeros(number, 3), transmittance.new_zeros(number)
    for wave in waves:
        rgb, depth = rgb + wave.rgb, depth + wave.depth
    weights = torch.cat([wave.weights for wave in waves]) if waves else transmittance.new_zeros(0)
    return RenderOutput(rgb, 1 - transmittance, depth, join(parts, like=transmittance), weights)


def _stack(parts: Sequence[FrameOutput]) -> FrameOutput:
    return FrameOutput(
        rgb=torch.cat([part.rgb for part in parts]),
        opacity=torch.cat([part.opacity for part in parts]),
        depth=torch.cat([part.depth for part in parts]),
        num_samples=sum(part.num_samples for part in parts),
    )
