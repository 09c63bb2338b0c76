"""What the report tells of a processed clip: curves over all frames, and what is seen in a few dozen of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from modules.face.landmarks68 import CHIN, FOREHEAD, to_landmarks68
from utils.data.picture_store import PictureStore, decode_picture
from utils.geometry.rotations import mean_rotation, vector_from_matrix, world_to_camera_from_c2w
from utils.media.audio import load_wav
from utils.media.clip import read_clip
from utils.metrics.lipsync import lip_opening

NUM_LOOKS = 48
CLOSED_OPENING = 0.02
"""Opening of the inner lips over the outer eye distance below which a mouth counts as closed."""
_CLIPPED = 0.999


@dataclass(frozen=True)
class Look:
    """What one frame shows."""

    frame: int
    picture: np.ndarray
    masks: np.ndarray
    points: np.ndarray
    """[68,2]"""
    sharpness: float
    """Variance of the Laplacian over the face, over the variance of its brightness."""
    brightness: float
    """Mean of the face, 0-255."""
    clipped: float
    """Share of the face that is black or white."""
    background_change: float
    """Median difference to the clean background where background is seen, 0-255; 0 where none is."""


@dataclass(frozen=True)
class ClipFacts:
    """All that the report is made of. T frames."""

    video_id: str
    size: int
    preflight: dict[str, Any]
    ingest: dict[str, Any]
    landmarks: dict[str, Any]
    sync: dict[str, Any]
    pose: dict[str, Any]
    valid: np.ndarray
    """[T] bool"""
    turn_deg: np.ndarray
    """[T,3] pitch, yaw, roll against the clip's mean pose."""
    shift_mm: np.ndarray
    """[T,3] of the head in camera coordinates against its mean."""
    reprojection_px: np.ndarray
    """[T]"""
    opening: np.ndarray
    """[T] of the lips, over the outer eye distance."""
    face_px: np.ndarray
    """[T] forehead to chin, pixels of the processed picture."""
    sound_clipped: float
    """Share of samples at full scale."""
    looks: list[Look]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Half-open frame ranges between cuts."""
        return [(int(start), int(end)) for start, end in self.pose["segments"]]

    @property
    def closed_share(self) -> float:
        """Share of the frames with a face whose mouth is closed."""
        return float((self.opening[self.valid] < CLOSED_OPENING).mean())


def gather(video_id: str, processed_dir: Path) -> ClipFacts:
    """Return the facts of a clip whose stages up to ``layers`` are done."""
    points = np.load(processed_dir / "landmarks" / "lm478.npy", allow_pickle=False)
    rotation, translation = world_to_camera_from_c2w(np.load(processed_dir / "head_pose" / "c2w.npy"))
    turn = np.degrees(vector_from_matrix(rotation @ mean_rotation(rotation).T))
    wav = load_wav(processed_dir / "ingest" / "audio.wav")
    pose = _json(processed_dir / "head_pose" / "head_pose.json")
    return ClipFacts(
        video_id=video_id,
        size=int(pose["height"]),
        preflight=_json(processed_dir / "preflight" / "preflight.json"),
        ingest=_json(processed_dir / "ingest" / "ingest.json"),
        landmarks=_json(processed_dir / "landmarks" / "landmarks.json"),
        sync=_json(processed_dir / "sync_check" / "sync_check.json"),
        pose=pose,
        valid=np.load(processed_dir / "landmarks" / "valid.npy", allow_pickle=False),
        turn_deg=turn,
        shift_mm=1000 * (translation - translation.mean(axis=0)),
        reprojection_px=np.load(processed_dir / "head_pose" / "reprojection_px.npy", allow_pickle=False),
        opening=lip_opening(to_landmarks68(points)),
        face_px=np.linalg.norm(points[:, CHIN, :2] - points[:, FOREHEAD, :2], axis=1),
        sound_clipped=float((np.abs(wav) >= _CLIPPED).mean()),
        looks=list(_looks(processed_dir, points)),
    )


def _looks(processed_dir: Path, points: np.ndarray) -> Iterator[Look]:
    masks = PictureStore(processed_dir / "segmentation" / "masks.arrow")
    background = decode_picture((processed_dir / "layers" / "bg.png").read_bytes())
    step = max(1, len(points) // NUM_LOOKS)
    frames = read_clip(processed_dir / "ingest" / "video.mp4", start=step // 2, step=step)
    for index, picture in zip(range(step // 2, len(points), step), frames, strict=False):
        alphas = masks.read("masks", index)
        face = _face_of(picture, points[index])
        gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        behind = alphas.max(axis=-1) == 0
        change = np.abs(picture[behind].astype(int) - background[behind]).mean(axis=-1) if behind.any() else np.zeros(1)
        yield Look(
            index,
            picture,
            alphas,
            to_landmarks68(points[index])[:, :2],
            sharpness=float(cv2.Laplacian(gray, cv2.CV_32F).var() / max(float(gray.var()), 1.0)),
            brightness=float(gray.mean()),
            clipped=float(((gray <= 2) | (gray >= 253)).mean()),
            background_change=float(np.median(change)),
        )


def _face_of(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the part of a picture around the face, at least 8 pixels wide."""
    height, width = picture.shape[:2]
    low = np.clip(points[:468, :2].min(axis=0), 0, (width - 8, height - 8)).astype(int)
    high = np.clip(points[:468, :2].max(axis=0), low + 8, (width, height)).astype(int)
    return picture[low[1] : high[1], low[0] : high[0]]


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
