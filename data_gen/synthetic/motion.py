"""Natural motion: head pose, blinks, brows and glances as smooth band-limited noise that depends on a seed only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BLINK = (0.35, 0.92, 1.0, 0.72, 0.38, 0.12)
"""Lid closure over the frames of one blink at 25 fps."""


@dataclass(frozen=True)
class HeadMotion:
    """Pose of the head against the shoulders, frame by frame."""

    rotvec: FloatArray
    """[T, 3] radians, axis times angle, about the base of the neck."""
    shift: FloatArray
    """[T, 3] metres."""
    sway: FloatArray
    """[T, 3] metres, of head and shoulders together (breath)."""


def smooth_noise(rng: np.random.Generator, num_frames: int, fps: float, band_hz: tuple[float, float]) -> FloatArray:
    """A random signal [T] within about [-1, 1] whose power lies in the band; any length continues the same signal."""
    freqs = rng.uniform(band_hz[0], band_hz[1], 7)
    phases, gains = rng.uniform(0, 2 * np.pi, 7), rng.uniform(0.5, 1.0, 7)
    t = np.arange(num_frames)[:, None] / fps
    waves = gains * np.sin(2 * np.pi * freqs * t + phases)
    return np.tanh(waves.sum(axis=1) / np.sqrt((gains**2).sum() / 2) * 0.75)


def head_motion(rng: np.random.Generator, num_frames: int, fps: float, emphasis: FloatArray) -> HeadMotion:
    """Yaw within 10, pitch within 5 and roll within 3 degrees; `emphasis` [T] in [0, 1] adds small nods."""
    limits = np.radians(np.array([4.0, 9.0, 2.8]))
    slow = np.stack([smooth_noise(rng, num_frames, fps, (0.06, 0.35)) for _ in range(3)], axis=1)
    quick = np.stack([smooth_noise(rng, num_frames, fps, (0.5, 1.1)) for _ in range(3)], axis=1)
    rotvec = limits * (0.85 * slow + 0.12 * quick)
    rotvec[:, 0] += np.radians(1.2) * emphasis
    shift = np.stack([smooth_noise(rng, num_frames, fps, (0.05, 0.3)) for _ in range(3)], axis=1)
    shift *= np.array([0.004, 0.002, 0.005])
    breath: FloatArray = np.sin(2 * np.pi * 0.24 * np.arange(num_frames) / fps + rng.uniform(0, 6))
    return HeadMotion(np.asarray(rotvec, np.float64), shift, breath[:, None] * np.array([0.0, 0.0007, 0.0004]))


def emphasis_of(stress_s: Sequence[float], num_frames: int, fps: float) -> FloatArray:
    """A soft bump [T] at every second or so of stressed sound, in [0, 1]."""
    t = (np.arange(num_frames) + 0.5) / fps
    bump, last = np.zeros(num_frames), -1.0
    for at in stress_s:
        if at - last >= 0.7:
            bump = np.maximum(bump, np.exp(-(((t - at) / 0.16) ** 2)))
            last = at
    return bump


def face_actions(
    rng: np.random.Generator, num_frames: int, fps: float, names: Sequence[str], emphasis: FloatArray
) -> FloatArray:
    """Blinks every 2 to 5 s, brow motion and glances as action weights [T, A]."""
    out = np.zeros((num_frames, len(names)))

    def put(stem: str, value: FloatArray, sides: tuple[str, ...] = ("Left", "Right")) -> None:
        for side in sides:
            out[:, names.index(stem + side)] += value

    blink, at = np.zeros(num_frames), rng.uniform(0.8, 3.0)
    while at * fps < num_frames:
        start = round(at * fps)
        length = min(len(BLINK), num_frames - start)
        blink[start : start + length] = BLINK[:length]
        at += rng.uniform(2.0, 5.0)
    look_x, look_y = (smooth_noise(rng, num_frames, fps, (0.1, 0.5)) * k for k in (0.28, 0.16))
    brow = np.clip(smooth_noise(rng, num_frames, fps, (0.08, 0.5)), 0, 1) * 0.35 + 0.3 * emphasis
    put("eyeBlink", blink)
    put("eyeSquint", 0.12 * np.clip(smooth_noise(rng, num_frames, fps, (0.05, 0.3)), 0, 1) + 0.25 * blink)
    put("browOuterUp", 0.6 * brow)
    put("browDown", 0.25 * np.clip(-smooth_noise(rng, num_frames, fps, (0.08, 0.4)), 0, 1))
    put("browInnerUp", brow, ("",))
    put("eyeLookUp", np.clip(look_y, 0, 1))
    put("eyeLookDown", np.clip(-look_y, 0, 1))
    for first, second, value in (("In", "Out", np.clip(look_x, 0, 1)), ("Out", "In", np.clip(-look_x, 0, 1))):
        out[:, names.index(f"eyeLook{first}Right")] += value
        out[:, names.index(f"eyeLook{second}Left")] += value
    return out
