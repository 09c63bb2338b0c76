"""What draws a person, whatever the fields behind it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from torch import Tensor


class PersonRenderer(Protocol):
    """Pictures of a person from landmarks and cameras."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        ...

    def conditions(self, lm3d: np.ndarray) -> Any:
        """Return what :meth:`render` needs of a landmark sequence [T,68,3] in cm (absolute, pose removed)."""
        ...

    def render(self, conditions: Any, t: int, c2w: np.ndarray | Tensor) -> np.ndarray:
        """Return frame ``t`` seen by the camera ``c2w`` [4,4], uint8 [H,W,3]."""
        ...
