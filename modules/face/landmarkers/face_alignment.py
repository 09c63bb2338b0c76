"""The optional ``face_alignment`` package: its 68 points, and MediaPipe's mesh bent through them for all else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from scipy.interpolate import RBFInterpolator

from modules.face.landmarkers.base import Landmarker, LandmarkTrack
from modules.face.landmarkers.mediapipe import MediapipeLandmarker
from modules.face.landmarks68 import MESH_OF_68
from utils.commons.schema import ConfigError


class FaceAlignmentLandmarker(Landmarker):
    """Slower than MediapipeLandmarker without a GPU; a frame is valid if both find the face."""

    def __init__(self) -> None:
        self._network = _load()
        self._mesh = MediapipeLandmarker()

    def find(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = (), *, warm_up: int = 0) -> LandmarkTrack:
        """Return the landmarks of a part of a clip."""
        found: list[np.ndarray | None] = []

        def watched() -> Iterator[np.ndarray]:
            for index, frame in enumerate(frames, -warm_up):
                if index >= 0:
                    found.append(self._points68(frame))
                yield frame

        track = self._mesh.find(watched(), cuts, warm_up=warm_up)
        valid = track.valid & np.array([points is not None for points in found])
        points = track.points.copy()
        for index, target in enumerate(found):
            if valid[index] and target is not None:
                points[index] = bend(points[index], target)
        points[~valid] = 0
        return LandmarkTrack(points, valid, track.num_faces)

    def _points68(self, frame: np.ndarray) -> np.ndarray | None:
        faces = self._network.get_landmarks(frame)
        return None if not faces else np.asarray(faces[0], np.float32)[:, :2] + 0.5


def bend(mesh: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the mesh [478,3] moved in the picture so that its 68 landmarks lie at ``target`` [68,2]."""
    source = mesh[MESH_OF_68, :2]
    apart = np.array([i for i, point in enumerate(source) if not _repeats(point, source[:i])])
    bending = RBFInterpolator(source[apart], target[apart] - source[apart], kernel="thin_plate_spline")
    bent = mesh.copy()
    bent[:, :2] += bending(mesh[:, :2])
    bent[MESH_OF_68, :2] = target
    return bent


def _repeats(point: np.ndarray, earlier: np.ndarray) -> bool:
    """Return whether a landmark lies on another, as inner lips do when the mouth is closed."""
    return len(earlier) > 0 and bool((np.abs(earlier - point).max(axis=1) < 0.5).any())


def _load() -> Any:
    try:
        import face_alignment
    except ImportError as error:
        raise ConfigError(
            "landmarker 'face_alignment' is not installed: pip install face-alignment, or set landmarker: mediapipe"
        ) from error
    kinds = face_alignment.LandmarksType
    kind = next(getattr(kinds, name) for name in ("TWO_D", "_2D") if hasattr(kinds, name))
    return face_alignment.FaceAlignment(kind, flip_input=False, device=_device())


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
