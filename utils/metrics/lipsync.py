"""How a mouth moves with its sound: opening, correlation with the truth, and the lag between lips and voice.

Landmarks are iBUG-68 (inner lips 60-67, eye corners 36, 39, 42, 45). Every length is divided by the distance of the two
outer eye corners, so pixels and centimetres give the same figures. Only x and y are used: a tracker's depth is a guess.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.commons.schema import DataError

SAMPLE_RATE_HZ = 16000
MAX_LAG = 15
"""Lags of -15..15 frames are tried."""
MIN_FRAMES = 60
"""A shorter clip has too few syllables to tell lags apart."""
_NUM_MELS, _FFT, _WINDOW_S = 40, 1024, 0.05
_FOLDS, _RIDGE = 5, 10.0


@dataclass(frozen=True)
class SyncResult:
    """The lag at which the sound explains the lips best."""

    lag: int
    """Frames by which the lips come after the sound; negative: the sound is late."""
    r: float
    """Correlation at that lag over held-out frames. For timing only: flapping with loudness scores above real lips."""
    curve: np.ndarray
    """[31] correlations at lags -15..15."""


def eye_distance(points68: np.ndarray) -> np.ndarray:
    """Return the distance of the outer eye corners of each frame, [T,68,2 or 3] -> [T], in the points' unit."""
    return _distance(points68, 36, 45)


def lip_opening(points68: np.ndarray) -> np.ndarray:
    """Return the inner-lip opening of each frame over the outer eye distance, [T,68,2 or 3] -> [T]."""
    return _distance(points68, 62, 66) / eye_distance(points68)


def mouth_height(points68: np.ndarray) -> np.ndarray:
    """Return the height of the outer lips of each frame over the outer eye distance, [T,68,2 or 3] -> [T]."""
    return _distance(points68, 51, 57) / eye_distance(points68)


def lip_corr(generated: np.ndarray, true: np.ndarray) -> float:
    """Return the Pearson correlation of two opening curves [T]; 0 where one of them does not move."""
    return pearson(generated, true)


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two curves [T]; 0 where one of them is constant."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"curves must be [T] alike, got {a.shape} and {b.shape}")
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 1e-12 else 0.0


def sync_lag(
    wav: np.ndarray,
    lip_opening: np.ndarray,
    mouth_height: np.ndarray,
    fps: int = 25,
    *,
    frames: np.ndarray | None = None,
    segments: Sequence[tuple[int, int]] | None = None,
) -> SyncResult:
    """Sweep the lag of a cross-validated ridge regression from one 50 ms log-mel frame to the mouth's two heights.

    Args:
        wav: Mono sound at 16 kHz, [N].
        lip_opening: Of each video frame, [T].
        mouth_height: Of each video frame, [T].
        fps: Video frames per second.
        frames: Frame of the sound each of the T belongs to, ascending; absent: 0, 1, ..., T-1.
        segments: Half-open frame ranges without a cut inside: lips and sound are compared within these only.

    Raises:
        DataError: Fewer than 60 frames have both sound and lips.
    """
    sound = _log_mel(np.asarray(wav, np.float64), len(wav) * fps // SAMPLE_RATE_HZ, fps)
    lips = np.stack([lip_opening, mouth_height], axis=1).astype(np.float64)
    at = np.arange(len(lips)) if frames is None else np.asarray(frames)
    lips, at = lips[at < len(sound)], at[at < len(sound)]
    if len(lips) < MIN_FRAMES:
        raise DataError(f"{len(lips)} frames are too few to compare lips with sound; give at least {MIN_FRAMES}")
    owner = np.zeros(len(sound), int)
    for number, (start, end) in enumerate(segments or ()):
        owner[start:end] = number + 1
    curve = np.array([_r_at_lag(sound, lips, at, owner, lag) for lag in range(-MAX_LAG, MAX_LAG + 1)])
    best = int(np.argmax(curve)) - MAX_LAG if curve.max() > 0 else 0
    return SyncResult(lag=best, r=float(curve[best + MAX_LAG]), curve=curve)


def _distance(points: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(points[..., a, :2] - points[..., b, :2], axis=-1)


def _r_at_lag(sound: np.ndarray, lips: np.ndarray, at: np.ndarray, owner: np.ndarray, lag: int) -> float:
    """Pair the lips of frame t with the sound of frame t - lag; 0 where too few pairs lie in one segment."""
    source = at - lag
    inside = (source >= 0) & (source < len(sound))
    inside[inside] = owner[at[inside]] == owner[source[inside]]
    if inside.sum() < MIN_FRAMES // 2:
        return 0.0
    return _held_out_r(sound[source[inside]], lips[inside])


def _held_out_r(inputs: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean correlation over the targets of ridge predictions for frames left out in five blocks."""
    predicted = np.zeros_like(targets)
    for block in np.array_split(np.arange(len(inputs)), _FOLDS):
        rest = np.ones(len(inputs), bool)
        rest[block] = False
        mean, std, offset = inputs[rest].mean(0), inputs[rest].std(0) + 1e-6, targets[rest].mean(0)
        x = (inputs[rest] - mean) / std
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (targets[rest] - offset))
        predicted[block] = (inputs[block] - mean) / std @ weights + offset
    return float(np.mean([pearson(predicted[:, j], targets[:, j]) for j in range(targets.shape[1])]))


def _log_mel(wav: np.ndarray, frames: int, fps: int) -> np.ndarray:
    """Return one 50 ms log-mel spectrum centered in each video frame, [frames,40]."""
    width = int(_WINDOW_S * SAMPLE_RATE_HZ)
    centers = np.round((np.arange(frames) + 0.5) * SAMPLE_RATE_HZ / fps).astype(int)
    padded = np.pad(wav, (width // 2, width))
    windows = padded[centers[:, None] + np.arange(width)] * np.hanning(width)
    power = (np.abs(np.fft.rfft(windows, _FFT)) ** 2) @ _mel_filters().T
    return np.log(np.maximum(power, 1e-8 * power.max() + 1e-12))  # floor at the file's own level


@functools.cache
def _mel_filters() -> np.ndarray:
    """Return triangular filters from 80 to 7600 Hz, evenly spaced in mel and of equal area, [40,513]."""
    edges = 700 * np.expm1(np.linspace(np.log1p(80 / 700), np.log1p(7600 / 700), _NUM_MELS + 2))
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)
    left, center, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((hz - left) / (center - left), (right - hz) / (right - center))
    return np.maximum(triangles, 0) * 2 / (right - left)
