"""Where the faces are in a few frames of a video: enough to frame the head and to refuse unusable footage early."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from modules.face.mediapipe_graph import QuietGraph
from utils.media.video import VideoInfo, read_frames

NUM_SAMPLES = 24
_LONG_SIDE = 1280
_CHIN, _FOREHEAD = 152, 10


@dataclass(frozen=True)
class FaceBox:
    """A face in pixels of the upright source video."""

    center_x: float
    center_y: float
    height: float
    """Top of the forehead to chin."""
    width: float


def sample_faces(path: Path, info: VideoInfo, num_samples: int = NUM_SAMPLES) -> list[list[FaceBox]]:
    """Return the faces of evenly spaced frames, largest first, one list a frame."""
    num_frames = max(1, round(info.duration_s * 25))
    step = max(1, num_frames // num_samples)
    scale = min(1.0, _LONG_SIDE / max(info.width, info.height))
    size = (round(info.width * scale), round(info.height * scale))
    frames = read_frames(path, fps=25, start=min(step // 2, num_frames - 1), step=step, size=size)
    return [[_scaled(box, 1 / scale) for box in boxes] for boxes in find_faces(frames)]


def find_faces(frames: Iterable[np.ndarray]) -> list[list[FaceBox]]:
    """Return the faces of every RGB frame, largest first; each was confirmed by a face mesh that fits it."""
    import mediapipe as mp  # heavy

    detection, meshes = mp.solutions.face_detection, mp.solutions.face_mesh
    with (
        QuietGraph(detection.FaceDetection, model_selection=1, min_detection_confidence=0.5) as detector,
        QuietGraph(meshes.FaceMesh, static_image_mode=True, max_num_faces=1, min_detection_confidence=0.4) as mesh,
    ):
        return [_faces_of(frame, detector, mesh) for frame in frames]


def _faces_of(frame: np.ndarray, detector: Any, mesh: Any) -> list[FaceBox]:
    boxes: list[FaceBox] = []
    for found in detector.process(frame).detections or ():
        box = _mesh_box(frame, found.location_data.relative_bounding_box, mesh)
        if box is not None and not any(_same(box, other) for other in boxes):
            boxes.append(box)
    return sorted(boxes, key=lambda box: -box.height)


def _mesh_box(frame: np.ndarray, relative: Any, mesh: Any) -> FaceBox | None:
    """Return the box of the mesh fitted in a square twice as large as the detected face, if one fits."""
    height, width = frame.shape[:2]
    side = 2 * max(relative.width * width, relative.height * height)
    left = round((relative.xmin + relative.width / 2) * width - side / 2)
    top = round((relative.ymin + relative.height / 2) * height - side / 2)
    pad = round(side)
    padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    square = padded[top + pad : top + pad + pad, left + pad : left + pad + pad]
    if min(square.shape[:2]) < 16:
        return None
    faces = mesh.process(np.ascontiguousarray(cv2.resize(square, (256, 256)))).multi_face_landmarks
    if not faces:
        return None
    points = np.array([(mark.x * square.shape[1] + left, mark.y * square.shape[0] + top) for mark in faces[0].landmark])
    face_height = float(np.linalg.norm(points[_CHIN] - points[_FOREHEAD]))
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return FaceBox(float(x0 + x1) / 2, float(y0 + y1) / 2, face_height, float(x1 - x0))


def _same(a: FaceBox, b: FaceBox) -> bool:
    return abs(a.center_x - b.center_x) + abs(a.center_y - b.center_y) < 0.5 * max(a.height, b.height)


def _scaled(box: FaceBox, factor: float) -> FaceBox:
    return FaceBox(box.center_x * factor, box.center_y * factor, box.height * factor, box.width * factor)
