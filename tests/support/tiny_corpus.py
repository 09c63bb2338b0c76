"""A corpus whose speech features truly determine the lips: a few drawn speakers, a ClipStore in a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.support.tiny_person import write_tiny_person
from utils.data.atomic import save_npy
from utils.data.clip_store import Clip, ClipStore, write_corpus
from utils.data.person_store import PersonStore, write_manifest

ENCODER = "tiny"


def write_tiny_corpus(
    root: Path,
    *,
    speakers: int = 3,
    clips_per_speaker: int = 6,
    frames: int = 60,
    speech_dim: int = 8,
    encoder: str = ENCODER,
) -> ClipStore:
    """Write a corpus to ``root``; the last clip of every speaker is for validation. Return its training split."""

    def clips() -> Iterator[tuple[str, Clip]]:
        for speaker in range(speakers):
            for number in range(clips_per_speaker):
                split = "val" if number == clips_per_speaker - 1 else "train"
                length = frames - 5 * (number % 3)
                yield split, tiny_clip(speaker, number, length, speech_dim)

    write_corpus(root, clips(), name=root.name, encoder=encoder, landmarker="drawn")
    return ClipStore(root, "train")


def tiny_clip(speaker: int, number: int, frames: int, speech_dim: int) -> Clip:
    """Return one clip: opening and width of the mouth are smooth noise, and speech is a fixed mixture of both."""
    rng = np.random.default_rng([speaker, number])
    motion = _smooth_noise(rng, 2 * frames)
    mixture = np.random.default_rng(1).normal(size=(4, speech_dim))
    delayed = np.concatenate([motion, np.roll(motion, 1, axis=0)], axis=1)
    speech = delayed @ mixture + 0.05 * rng.normal(size=(2 * frames, speech_dim))
    lm3d = _face(motion[::2], size=1.0 + 0.1 * speaker)
    f0 = np.where(motion[:, 0] > 0, 120 + 10 * speaker, 0)
    return Clip(f"{speaker}_{number}", f"speaker{speaker}", lm3d, speech.astype(np.float16), f0.astype(np.float32))


def write_tiny_speaker(root: Path, *, num_frames: int = 160, speech_dim: int = 8) -> PersonStore:
    """Write a person whose lips follow the corpus's rule but move half as much again as the corpus's."""
    store = write_tiny_person(root, num_frames=num_frames, size=32, speech_dim=speech_dim)
    clip = tiny_clip(9, 0, num_frames, speech_dim)
    rest = clip.lm3d.mean(axis=0)
    lm3d = (rest + 1.5 * (clip.lm3d - rest)).astype(np.float32)
    for name, array in (("lm3d", lm3d), ("speech", clip.speech), ("f0", clip.f0)):
        save_npy(root / f"{name}.npy", array)
    frames = store.indices("train")
    mean, std = lm3d[frames].mean(axis=0), lm3d[frames].std(axis=0).clip(1e-3)
    manifest = store.manifest.model_copy(
        update={"lm3d_mean": mean.tolist(), "lm3d_std": std.tolist(), "speech_encoder": ENCODER}
    )
    write_manifest(root, manifest)
    return PersonStore(root)


def _smooth_noise(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return two bands of noise [rows,2] of about 4 Hz at 50 Hz, unit variance."""
    kernel = np.hanning(9)[:, None]
    noise = rng.normal(size=(rows + 16, 2))
    smooth = np.stack([np.convolve(noise[:, i], kernel[:, 0], "same") for i in range(2)], axis=1)[8:-8]
    return smooth / np.sqrt((kernel**2).sum())


def _face(motion: np.ndarray, size: float) -> np.ndarray:
    """Return landmarks [T,68,3] in cm: mouth opening and width follow ``motion`` [T,2], the jaw goes along."""
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = np.stack([6 * np.cos(angle), 8 * np.sin(angle), np.zeros(68)], axis=1)
    points[36], points[45] = (-4.5, 3, 1), (4.5, 3, 1)
    outer, inner = np.linspace(np.pi, -np.pi, 12, endpoint=False), np.linspace(np.pi, -np.pi, 8, endpoint=False)
    lm3d = np.tile(points, (len(motion), 1, 1))
    opening, width = 0.6 + 0.3 * np.tanh(motion[:, :1]), 2.2 + 0.3 * motion[:, 1:]
    for where, around, height in ((slice(48, 60), outer, opening + 0.5), (slice(60, 68), inner, opening)):
        lm3d[:, where, 0] = width * np.cos(around)
        lm3d[:, where, 1] = -4 + height * np.sin(around)
        lm3d[:, where, 2] = 2.0
    lm3d[:, 5:12, 1] -= 0.5 * opening
    return (size * lm3d).astype(np.float32)
