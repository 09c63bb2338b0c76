"""Figures of a generated video beside the true one, each gathered while its frames stream by."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from modules.face.landmarkers.base import Landmarker
from modules.face.landmarks68 import to_landmarks68
from utils.commons.schema import DataError
from utils.metrics.image import Box, psnr, psnr_box, psnr_head, ssim
from utils.metrics.landmark import closure, eye_opening, jitter, lmd, silence_leak
from utils.metrics.lipsync import SyncResult, lip_corr, lip_opening, mouth_height, pearson

logger = logging.getLogger(__name__)

Row = dict[str, float]
"""Figure by name; NaN where it does not exist."""
DETECTOR_SIZE = 256
"""Smaller pictures are enlarged to this side before the landmarker sees them."""


@dataclass(frozen=True)
class Watched:
    """What a landmarker saw in a video."""

    points: np.ndarray
    """[T,68,2], pixels of the video."""
    face_share: float
    """Share of frames with a face; the points of the others are interpolated."""

    @property
    def opening(self) -> np.ndarray:
        return lip_opening(self.points)


def watch(frames: Iterable[np.ndarray], landmarker: Landmarker, *, starts: Sequence[int] = ()) -> Watched | None:
    """Return the landmarks of RGB frames, or None if no face is seen in any.

    Args:
        frames: uint8 [H,W,3], read once.
        landmarker: The tracker.
        starts: Frames that do not follow from the one before.
    """
    scale = 1.0

    def enlarged() -> Iterator[np.ndarray]:
        nonlocal scale
        for frame in frames:
            scale = max(1.0, DETECTOR_SIZE / min(frame.shape[:2]))
            size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
            yield frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)

    try:
        track = landmarker.track(enlarged(), starts)
    except DataError as error:
        logger.warning("landmark figures are missing: %s", error)
        return None
    return Watched(to_landmarks68(track.points)[..., :2] / scale, float(track.valid.mean()))


@dataclass
class PictureScores:
    """Running picture figures of frames of one size."""

    scores: dict[str, list[float]] = field(default_factory=dict)

    def add(self, generated: np.ndarray, true: np.ndarray, *, head: np.ndarray | None, boxes: dict[str, Box]) -> None:
        """Score one frame.

        Args:
            generated: uint8 [H,W,3].
            true: uint8 [H,W,3].
            head: Alpha of the head [H,W] uint8, if known.
            boxes: Named boxes (x, y, w, h) for ``psnr_<name>``.
        """
        figures = {"psnr": psnr(generated, true), "ssim": ssim(generated, true)}
        if head is not None:
            figures["psnr_head"] = psnr_head(generated, true, head)
        for name, box in boxes.items():
            figures[f"psnr_{name}"] = psnr_box(generated, true, box)
        for name, value in figures.items():
            self.scores.setdefault(name, []).append(value)

    def row(self) -> Row:
        """Return the mean of each figure over the frames where it exists."""
        return {name: _mean(values) for name, values in self.scores.items()}


def motion_row(
    seen: Watched | None, true: Watched | None, *, pieces: Sequence[tuple[int, int]], speaking: np.ndarray | None
) -> Row:
    """Return the landmark figures of a video, beside the true one where there is one.

    Args:
        seen: The video's landmarks.
        true: The true video's, frame by frame the same.
        pieces: Contiguous frame ranges.
        speaking: Whether somebody speaks in each frame.
    """
    if seen is None:
        return {"faces": 0.0}
    row = {"faces": seen.face_share, "jitter": jitter(seen.points, pieces)}
    if speaking is not None:
        row["silence_leak"] = silence_leak(seen.opening, speaking, pieces)
    if true is not None:
        spread = float(true.opening.std())
        row |= {
            "lmd": lmd(seen.points, true.points),
            "lip_corr": lip_corr(seen.opening, true.opening),
            "lip_amplitude": float(seen.opening.std()) / spread if spread > 1e-9 else float("nan"),
            "eye_corr": pearson(eye_opening(seen.points), eye_opening(true.points)),
            "closure": closure(seen.opening, true.opening),
        }
    return row


def sync_row(result: SyncResult | None) -> Row:
    """Return the two timing figures."""
    return {} if result is None else {"sync_lag": float(result.lag), "sync_r": result.r}


def lips(seen: Watched) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``sync_lag`` wants: lip opening and mouth height, [T] each."""
    return seen.opening, mouth_height(seen.points)


def _mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
