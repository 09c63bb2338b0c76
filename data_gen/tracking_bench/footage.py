"""Clips of the synthetic subject with exact truth, clean and spoilt as phones and web sites spoil them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_gen.synthetic.subject import SubjectSpec, write_subject
from utils.data.paths import raw_video
from utils.media.audio import load_wav
from utils.media.video import VideoWriter, read_frames

Spoil = Callable[[np.ndarray, np.random.Generator], np.ndarray]
_NOISE = 7.0
"""Standard deviation of the sensor noise, 0-255."""
_BLUR_AT_512 = 2.5
_LOW_RATE_CRF, _CRF = 36, 12


@dataclass(frozen=True)
class Case:
    """One clip of the benchmark."""

    identity: int
    size: int
    variant: str

    @property
    def video_id(self) -> str:
        return f"i{self.identity}_{self.size}_{self.variant}"

    @property
    def truth(self) -> Path:
        """The folder of the truth, one for all variants."""
        clean = raw_video(f"i{self.identity}_{self.size}_clean")
        return clean.with_name(f"{clean.stem}.truth")


def _noise(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = frame + _NOISE * rng.standard_normal(frame.shape, np.float32)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def _blur(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(frame, (0, 0), _BLUR_AT_512 * len(frame) / 512)


def _unchanged(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return frame


VARIANTS: dict[str, tuple[Spoil, int]] = {
    "clean": (_unchanged, _CRF),
    "noise": (_noise, _CRF),
    "blur": (_blur, _CRF),
    "lowrate": (_unchanged, _LOW_RATE_CRF),
}
"""What is done to the frames, and the quality of the h264 coding (larger is worse)."""


def make_clip(case: Case, seconds: float, seed: int) -> None:
    """Leave the case's clip at its place among the raw videos, and its truth beside the clean one; made once."""
    path = raw_video(case.video_id)
    if path.exists():
        return
    clean = Case(case.identity, case.size, "clean")
    if case != clean:
        make_clip(clean, seconds, seed)
        _spoil(raw_video(clean.video_id), path, case)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_subject(SubjectSpec(seconds, case.size, case.identity, seed=seed), path)


def _spoil(source: Path, path: Path, case: Case) -> None:
    spoil, crf = VARIANTS[case.variant]
    rng = np.random.default_rng([case.identity, case.size])
    size = (case.size, case.size)
    with VideoWriter(path, size=size, audio=load_wav(source), crf=crf, preset="veryfast") as writer:
        for frame in read_frames(source):
            writer.write(spoil(frame, rng))
