"""What draws the pictures of a person: one interface, several ways. ``torch`` is the truth, the others are faster."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from modules.nerf.fields.head import FrameState
from modules.nerf.model import HeadModel, TorsoModel
from modules.nerf.super_resolution import SuperResolution
from utils.geometry.cameras import Intrinsics


class BackendError(RuntimeError):
    """A backend cannot work here; the text says why."""


@dataclass(frozen=True)
class Scene:
    """What a backend draws."""

    head: HeadModel
    torso: TorsoModel | None
    background: np.ndarray
    """uint8 [H,W,3]."""
    camera: Intrinsics
    amp: str = "off"
    """``off``, ``bf16`` or ``fp16``: precision of matrix products."""
    threads: int = 1
    scale: int = 1
    """How many times smaller the head is drawn than the picture."""
    sr: SuperResolution | None = None
    """Enlarges the head where ``scale`` is 2."""


class Backend(abc.ABC):
    """Draws frames of one scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.samples = 0
        """Samples evaluated in the last picture; 0 where that is not counted."""
        self.seconds: dict[str, float] = {}
        """Time of the stages of the last picture, where they are told apart."""

    @abc.abstractmethod
    def draw(self, state: FrameState, c2w: Tensor) -> np.ndarray:
        """Return the picture uint8 [H,W,3] of one frame's state seen by the camera ``c2w`` [4,4]."""
