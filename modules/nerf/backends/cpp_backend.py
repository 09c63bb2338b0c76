"""The kernel in C++ (``kernel.cpp``): march, planes, network, blend, torso and background in one pass over tiles."""

from __future__ import annotations

import ctypes
import logging
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modules.nerf.backends.base import Backend, BackendError, Scene
from modules.nerf.backends.compiler import choose_path, cpu_features, load_kernel
from modules.nerf.export import (
    FlatConv,
    FlatFrame,
    FlatHead,
    FlatLayer,
    FlatTorso,
    flatten_frame,
    flatten_head,
    flatten_sr,
    flatten_torso,
)
from modules.nerf.fields.head import FrameState
from modules.nerf.fields.torso import pose_vector
from modules.nerf.super_resolution import SuperResolution

logger = logging.getLogger(__name__)

_STAGES = ("head", "detail", "finish")
_POINTER, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
_Fields = list[tuple[str, Any]]


class _Layer(ctypes.Structure):
    _fields_: ClassVar[_Fields] = [("weight", _POINTER), ("bias", _POINTER), ("inputs", _INT), ("groups", _INT)]


class _Conv(ctypes.Structure):
    _fields_: ClassVar[_Fields] = [("weight", _POINTER), ("bias", _POINTER), ("channels", _INT), ("groups", _INT)]


class _Person(ctypes.Structure):
    _fields_: ClassVar[_Fields] = [
        *((name, _POINTER) for name in ("planes", "sizes", "occupied", "shell")),
        *((name, _Layer) for name in ("first", "second", "density", "color", "rgb")),
        ("sr", _Conv * 3),
        *((name, _INT) for name in ("levels", "channels", "blend_channels", "warp_size", "blend_size", "grid")),
        *((name, _INT) for name in ("num_shell", "max_steps", "texture_size", "torso_grid")),
        ("aabb", _FLOAT * 6),
        ("step", _FLOAT),
        ("stop", _FLOAT),
    ]


class _Frame(ctypes.Structure):
    _fields_: ClassVar[_Fields] = [
        *((name, _POINTER) for name in ("warp", "blend", "bias", "texture", "shift", "background")),
        ("c2w", _FLOAT * 12),
        *((name, _FLOAT) for name in ("focal", "cx", "cy")),
        *((name, _INT) for name in ("height", "width", "threads", "scale")),
    ]


class _Output(ctypes.Structure):
    _fields_: ClassVar[_Fields] = [("picture", _POINTER), ("samples", ctypes.c_int64), ("seconds", ctypes.c_double * 3)]


class CppBackend(Backend):
    """Draws by the compiled kernel."""

    def __init__(self, scene: Scene) -> None:
        """Flatten the person and compile the kernel if need be.

        Raises:
            BackendError: No compiler, or the scene is on another device than the CPU.
        """
        super().__init__(scene)
        if scene.head.field.aabb.device.type != "cpu":
            raise BackendError("renderer_backend=cpp draws on the CPU; use device=cpu, or torch on a GPU")
        self.path = choose_path(bf16=scene.amp == "bf16", features=cpu_features())
        self.kernel = load_kernel(self.path)
        self.kernel.gf_render.restype = None
        self.bf16 = bool(self.kernel.gf_uses_bf16())
        self._kept: list[np.ndarray] = []
        self._background = np.ascontiguousarray(scene.background)
        self._person = self._person_of(flatten_head(scene.head), scene.sr)

    @torch.inference_mode()
    def draw(self, state: FrameState, c2w: Tensor) -> np.ndarray:
        scene = self.scene
        picture = np.empty((scene.camera.height, scene.camera.width, 3), np.uint8)
        torso = None if scene.torso is None else flatten_torso(scene.torso, pose_vector(c2w)[None])
        self._run(flatten_frame(scene.head, state), torso, c2w.numpy(), picture)
        return picture

    def _run(self, flat: FlatFrame, torso: FlatTorso | None, c2w: np.ndarray, picture: np.ndarray) -> None:
        camera = self.scene.camera
        frame = _Frame(
            warp=flat.warp.ctypes.data,
            blend=flat.blend.ctypes.data,
            bias=flat.bias.ctypes.data,
            texture=None if torso is None else torso.texture.ctypes.data,
            shift=None if torso is None else torso.shift.ctypes.data,
            background=self._background.ctypes.data,
            c2w=(_FLOAT * 12)(*c2w[:3].ravel().tolist()),
            focal=camera.focal,
            cx=camera.cx,
            cy=camera.cy,
            height=camera.height,
            width=camera.width,
            threads=self.scene.threads,
            scale=self.scene.scale,
        )
        if torso is not None:
            self._person.texture_size, self._person.torso_grid = len(torso.texture), len(torso.shift)
        output = _Output(picture=picture.ctypes.data)
        self.kernel.gf_render(ctypes.byref(self._person), ctypes.byref(frame), ctypes.byref(output))
        self.samples = int(output.samples)
        self.seconds = dict(zip(_STAGES, output.seconds, strict=True))

    def _person_of(self, flat: FlatHead, sr: SuperResolution | None) -> _Person:
        return _Person(
            planes=self._keep(flat.planes),
            sizes=self._keep(flat.sizes),
            occupied=self._keep(flat.occupied),
            shell=self._keep(flat.shell),
            **{name: self._layer(getattr(flat, name)) for name in ("first", "second", "density", "color", "rgb")},
            sr=(_Conv * 3)(*([] if sr is None else map(self._conv, flatten_sr(sr)))),
            levels=len(flat.sizes),
            channels=flat.channels,
            blend_channels=flat.blend_channels,
            warp_size=flat.warp_size,
            blend_size=flat.blend_size,
            grid=flat.grid,
            num_shell=len(flat.shell),
            max_steps=flat.max_steps,
            aabb=(_FLOAT * 6)(*flat.aabb.ravel().tolist()),
            step=flat.step,
            stop=flat.stop,
        )

    def _layer(self, layer: FlatLayer) -> _Layer:
        groups, inputs, _ = layer.weight.shape
        weight = to_bf16_pairs(layer.weight) if self.bf16 else layer.weight
        return _Layer(self._keep(weight), self._keep(layer.bias), inputs, groups)

    def _conv(self, conv: FlatConv) -> _Conv:
        rows, groups, inputs, lanes = conv.weight.shape
        flat = conv.weight.reshape(rows * groups, inputs, lanes)
        weight = to_bf16_pairs(flat) if self.bf16 else flat
        return _Conv(self._keep(weight), self._keep(conv.bias), inputs // 3, groups)

    def _keep(self, array: np.ndarray) -> int:
        """Return the address of an array that lives as long as this backend."""
        self._kept.append(array)
        return array.ctypes.data


def to_bf16_pairs(weight: np.ndarray) -> np.ndarray:
    """Return weights [groups,inputs,16] as bf16 bits [groups,inputs/2,16,2]: neighbouring inputs side by side."""
    groups, inputs, lanes = weight.shape
    pairs = torch.from_numpy(weight).view(groups, inputs // 2, 2, lanes).transpose(2, 3)
    return pairs.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
