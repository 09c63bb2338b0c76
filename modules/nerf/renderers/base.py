"""What draws a person, whatever the fields behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from torch import Tensor

from modules.nerf.conditions import Conditions

SpeechWindows = Callable[[str, int, int], Conditions | Tensor]
"""(kind of speech features, rows of a window, neighbouring windows) -> a condition [S,W,C] for each frame to render."""


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


class HearingRenderer(PersonRenderer, Protocol):
    """A renderer whose pictures may depend on the speech itself."""

    @property
    def speech_kinds(self) -> set[str]:
        """Kinds of speech features that are needed: ``speech``, ``deepspeech`` or none."""
        ...

    @property
    def lips_need_speech(self) -> bool:
        """Whether the head is driven by speech and not by landmarks."""
        ...

    def speaking(self, speech: SpeechWindows) -> Self:
        """Return this renderer with the speech of the frames to render."""
        ...
