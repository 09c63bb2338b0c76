"""The truth: the path of training and validation, on CPU and CUDA alike."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from torch import Tensor

from modules.nerf.backends.base import Backend, Scene
from modules.nerf.fields.head import FrameState
from modules.nerf.model import compose_state, to_uint8

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend(Backend):
    """Plain torch."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.device = scene.head.field.aabb.device
        self.background = torch.from_numpy(scene.background.copy()).to(self.device).float() / 255

    @torch.inference_mode()
    def draw(self, state: FrameState, c2w: Tensor) -> np.ndarray:
        scene, dtype = self.scene, _DTYPES.get(self.scene.amp)
        with contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype):
            picture, _ = compose_state(
                scene.head,
                scene.torso,
                state=state,
                c2w=c2w,
                camera=scene.camera,
                background=self.background,
                scale=scene.scale,
                sr=scene.sr,
            )
        return to_uint8(picture).cpu().numpy()
