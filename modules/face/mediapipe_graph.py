"""MediaPipe's graphs without their start-up chatter."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from utils.commons.native_stderr import quiet_native_stderr

_RESULTS = ("detections", "multi_face_landmarks", "segmentation_mask")


class QuietGraph:
    """A MediaPipe solution whose native libraries are kept quiet until it has found something for the first time."""

    def __init__(self, make: Callable[..., Any], **options: Any) -> None:
        with quiet_native_stderr():
            self._graph = make(**options)
            self._graph.process(
                np.zeros((64, 64, 3), np.uint8)
            )  # its threads have started, and said so, when this returns
        self._has_found = False

    def process(self, frame: np.ndarray) -> Any:
        """Return MediaPipe's result for an RGB frame, uint8 [H,W,3]."""
        if self._has_found:
            return self._graph.process(frame)
        with quiet_native_stderr():
            result = self._graph.process(frame)
        self._has_found = any(getattr(result, name) is not None for name in _RESULTS if hasattr(result, name))
        return result

    def reset(self) -> None:
        """Forget the frames before."""
        with quiet_native_stderr():
            self._graph.reset()
        self._has_found = False  # the graph starts anew, and says so, at the next frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with quiet_native_stderr():
            self._graph.close()
