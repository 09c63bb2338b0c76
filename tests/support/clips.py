"""Small drawn clips and tones for tests of media and processing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from utils.media.ffmpeg import ffmpeg_command
from utils.media.video import VideoWriter


def tone(seconds: float, hertz: float = 220.0, rate: int = 16000, level: float = 0.3) -> np.ndarray:
    """Return a voice-like tone [N] f32 with eight harmonics."""
    t = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 9) if hertz * k < rate / 2)
    return (level * np.asarray(wave) / np.abs(wave).max()).astype(np.float32)


def drawn_frame(index: int, width: int, height: int) -> np.ndarray:
    """Return a smooth picture whose mean brightness is 40 plus three times ``index``: a frame can be told from its
    neighbours."""
    ramp = np.linspace(-20, 20, width)[None, :, None] + np.linspace(-10, 10, height)[:, None, None]
    return np.clip(ramp + 40 + 3 * index + np.zeros(3), 0, 255).astype(np.uint8)


def frame_number(frame: np.ndarray) -> float:
    """Return the index that :func:`drawn_frame` was made with, after any coding."""
    return (float(frame.mean()) - 40) / 3


def write_clip(
    path: Path,
    *,
    frames: int = 50,
    size: tuple[int, int] = (64, 48),
    fps: float = 25,
    audio: np.ndarray | None = None,
    crf: int = 4,
) -> Path:
    """Write a drawn clip."""
    with VideoWriter(path, size=size, fps=fps, audio=audio, crf=crf, preset="ultrafast") as writer:
        for index in range(frames):
            writer.write(drawn_frame(index, *size))
    return path


def ffmpeg(*arguments: str | Path) -> None:
    """Run the embedded ffmpeg."""
    subprocess.run(ffmpeg_command(*arguments), check=True)
