"""MediaPipe's face mesh: 478 three-dimensional points, no download, 5-15 ms a frame on one core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from modules.face.landmarkers.base import Landmarker, LandmarkTrack
from modules.face.landmarks68 import NUM_MESH_POINTS
from modules.face.mediapipe_graph import QuietGraph

_COUNT_EVERY = 25
"""Other faces are looked for once a second."""


class MediapipeLandmarker(Landmarker):
    """Tracks one face; follows from frame to frame and searches anew after a loss or a cut."""

    def __init__(self, min_confidence: float = 0.5) -> None:
        self.min_confidence = min_confidence

    def find(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = (), *, warm_up: int = 0) -> LandmarkTrack:
        """Return the landmarks of a part of a clip; other faces are counted in its first frame and once a second."""
        import mediapipe as mp  # heavy

        restarts = set(cuts)
        points: list[np.ndarray] = []
        found: list[bool] = []
        counts: list[int] = []
        options = {"model_selection": 1, "min_detection_confidence": self.min_confidence}
        with QuietGraph(mp.solutions.face_detection.FaceDetection, **options) as detector, self._mesh(mp) as mesh:
            for index, frame in enumerate(frames, -warm_up):
                if index in restarts:
                    mesh.reset()
                face = _mesh_points(mesh, frame)
                if index < 0:
                    continue
                points.append(np.zeros((NUM_MESH_POINTS, 3), np.float32) if face is None else face)
                found.append(face is not None)
                counts.append(_count_faces(detector, frame) if index % _COUNT_EVERY == 0 else -1)
        return LandmarkTrack(np.array(points, np.float32), np.array(found, bool), np.array(counts, np.int32))

    def _mesh(self, mp: Any) -> QuietGraph:
        return QuietGraph(
            mp.solutions.face_mesh.FaceMesh,
            static_image_mode=False,
            max_num_faces=1,
            refine_landmarks=True,
            min_detection_confidence=self.min_confidence,
            min_tracking_confidence=self.min_confidence,
        )


def _mesh_points(mesh: Any, frame: np.ndarray) -> np.ndarray | None:
    faces = mesh.process(frame).multi_face_landmarks
    if not faces:
        return None
    height, width = frame.shape[:2]
    points = np.array([(mark.x, mark.y, mark.z) for mark in faces[0].landmark], np.float32)
    points *= np.array([width, height, width], np.float32)
    return points


def _count_faces(detector: Any, frame: np.ndarray) -> int:
    return len(detector.process(frame).detections or ())
