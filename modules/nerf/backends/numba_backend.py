"""March, read planes, multiply and blend by functions that numba compiles: no compiler is needed, only its wheel.

Torso, enlargement and composition are torch's.
"""

from __future__ import annotations

import concurrent.futures
import itertools

import numpy as np
import torch
from torch import Tensor

from modules.nerf.backends.base import Backend, BackendError, Scene
from modules.nerf.export import FlatLayer, flatten_frame, flatten_head
from modules.nerf.fields.head import FrameState
from modules.nerf.model import compose_front, to_uint8
from modules.nerf.renderers.torch_renderer import FrameOutput
from modules.nerf.super_resolution import shrunk
from modules.nerf.tiles import depth_bounds


class NumbaBackend(Backend):
    """Draws the head by numba's functions."""

    def __init__(self, scene: Scene) -> None:
        """Flatten the person; functions are compiled at the first picture (seconds) and kept in a cache.

        Raises:
            BackendError: The scene is on another device than the CPU.
        """
        super().__init__(scene)
        if scene.head.field.aabb.device.type != "cpu":
            raise BackendError("renderer_backend=numba draws on the CPU; use device=cpu, or torch on a GPU")
        flat = flatten_head(scene.head)
        areas = 3 * flat.channels * flat.sizes.astype(np.int64) ** 2
        starts = np.concatenate([[0], np.cumsum(areas)[:-1]])
        levels = np.stack([starts, flat.sizes, np.full(len(flat.sizes), flat.channels)], axis=1)
        limits = np.array([flat.grid, flat.max_steps, flat.step, flat.stop], np.float32)
        self._head = (flat.planes, levels, flat.occupied, flat.aabb, limits)
        self._layers = tuple(_matrix(getattr(flat, name)) for name in ("first", "second", "density", "color", "rgb"))
        self._warped, self._mixed = flat.warp_size > 0, flat.blend_channels > 0
        self._background = torch.from_numpy(scene.background.copy()).float() / 255
        self._camera = shrunk(scene.camera, scene.scale)

    @torch.inference_mode()
    def draw(self, state: FrameState, c2w: Tensor) -> np.ndarray:
        scene = self.scene
        front = torch.from_numpy(self._draw_head(state, c2w))
        seen = FrameOutput(front[:, :3], front[:, 3], front[:, 3], self.samples)
        picture = compose_front(seen, scene.torso, c2w=c2w, camera=scene.camera, background=self._background,
                                scale=scene.scale, sr=scene.sr)  # fmt: skip
        return to_uint8(picture).numpy()

    def _draw_head(self, state: FrameState, c2w: Tensor) -> np.ndarray:
        """Return color times opacity and opacity, [h*w,4]."""
        from modules.nerf.backends.numba_kernel import TILE, draw_tile  # compiling is numba's and takes seconds

        camera, flat = self._camera, flatten_frame(self.scene.head, state)
        nothing = np.zeros((0, 2, 4), np.float32)
        frame = (flat.warp if self._warped else nothing, flat.blend if self._mixed else nothing)
        layers = ((self._layers[0][0], flat.bias), *self._layers[1:])
        view = (c2w.numpy().astype(np.float32), np.array([camera.focal, camera.cx, camera.cy], np.float32))
        out = np.zeros((camera.height, camera.width, 4), np.float32)
        model = self.scene.head
        near, far = depth_bounds(model.occupancy, model.field.aabb, c2w, camera, step=model.config.step_size)
        filled = (far > near).numpy()

        def draw(corner: tuple[int, int]) -> int:
            top, left = corner
            rows, columns = min(TILE, camera.height - top), min(TILE, camera.width - left)
            if not filled[top : top + rows, left : left + columns].any():
                return 0
            return int(draw_tile(top, left, rows, columns, view, self._head, frame, layers, out))

        corners = itertools.product(range(0, camera.height, TILE), range(0, camera.width, TILE))
        with concurrent.futures.ThreadPoolExecutor(self.scene.threads) as pool:
            self.samples = sum(pool.map(draw, corners))
        return out.reshape(-1, 4)


def _matrix(layer: FlatLayer) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer as one matrix [inputs,outputs] and its bias."""
    groups, inputs, lanes = layer.weight.shape
    return np.ascontiguousarray(layer.weight.transpose(1, 0, 2).reshape(inputs, groups * lanes)), layer.bias
