"""One person's dataset, self-contained and memory-mapped: ``data/binary/videos/<id>/``.

========================  ==========================================================================================
file                      content (T frames at 25 fps; lengths of speech arrays are exactly 2T at 50 Hz)
========================  ==========================================================================================
manifest.json             :class:`PersonManifest`
frames.arrow              columns ``gt`` (JPEG: the picture over the clean background), ``masks`` (PNG: head and torso
                          alpha), ``torso`` (PNG RGBA, in-painted under the chin)
bg.png                    clean background [H,W,3]
lm3d.npy                  [T,68,3] f32, cm, head coordinates (x to the image right, y up, z to the viewer), pose removed
lm2d.npy                  [T,68,2] f32, pixels
c2w.npy                   [T,4,4] f32, metres, OpenGL camera (looks down -Z, y up), head fixed at the origin
speech.npy f0.npy         [2T,C] f16 speech features; [2T] f32 Hz, 0 = unvoiced
face_rect.npy             [T,4] i32 x, y, w, h (head box by the specification 2.7); lip_rect.npy and eye_rect.npy alike
valid.npy                 [T] bool, a face was found in this frame
audio.wav                 16 kHz mono PCM
deepspeech.npy            [2T,29] f32, only in datasets imported from the original, where ``manifest.absent`` lists what
                          is missing instead
========================  ==========================================================================================
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from utils.commons.schema import Config, DataError
from utils.data.atomic import save_json
from utils.data.picture_store import PictureStore, decode_picture

SCHEMA_VERSION = 1
_SEGMENTS_TO_HOLD_OUT_WHOLE = 11
ARRAYS = ("lm3d", "lm2d", "c2w", "speech", "f0", "face_rect", "lip_rect", "eye_rect", "valid")
OWN_FILES = frozenset(
    {"manifest.json", "frames.arrow", "bg.png", "audio.wav", "deepspeech.npy", *(f"{name}.npy" for name in ARRAYS)}
)
"""Every file a dataset may consist of."""


class PersonManifest(Config):
    """What a person dataset says of itself."""

    schema_version: int = SCHEMA_VERSION
    video_id: str
    fps: int = 25
    num_frames: int
    height: int
    width: int
    focal: float
    """Focal length in pixels of this picture size."""
    cx: float
    cy: float
    segments: list[tuple[int, int]]
    """Half-open frame ranges without a cut inside; they cover the clip in order."""
    train_ranges: list[tuple[int, int]]
    test_ranges: list[tuple[int, int]]
    speech_encoder: str
    speech_dim: int
    landmarker: str
    source_sha256: str = ""
    lm3d_mean: list[list[float]]
    """[68,3] over the valid training frames, cm."""
    lm3d_std: list[list[float]]
    """[68,3] over the valid training frames, cm, at least 1e-3."""
    lm3d_neutral: list[list[float]] | None = None
    """[68,3] cm, the shape that predicted deviations are counted from; absent: ``lm3d_mean``."""
    absent: list[str] = []
    """What an imported dataset came without: ``pictures``, ``f0``, ``audio``, ``lm2d`` (zeros or guesses stand there)."""


class PersonStore:
    """Read one person's dataset; arrays are memory maps, pictures are decoded one at a time."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        manifest = self.root / "manifest.json"
        if not manifest.exists():
            raise FileNotFoundError(
                f"no dataset in {self.root}; make it first: bash scripts/process_video.sh {self.root.name}"
            )
        try:
            self.manifest = PersonManifest(**json.loads(manifest.read_text(encoding="utf-8")))
        except (ValidationError, json.JSONDecodeError) as error:
            raise DataError(f"{manifest} is not a person manifest ({error}); process the video again") from error
        if self.manifest.schema_version != SCHEMA_VERSION:
            raise DataError(
                f"{manifest} has schema version {self.manifest.schema_version}, this program reads {SCHEMA_VERSION}; "
                "process the video again"
            )
        self.lm3d, self.lm2d, self.c2w = self._array("lm3d"), self._array("lm2d"), self._array("c2w")
        self.speech, self.f0, self.valid = self._array("speech"), self._array("f0"), self._array("valid")
        self.face_rect, self.lip_rect, self.eye_rect = (self._array(f"{name}_rect") for name in ("face", "lip", "eye"))
        self.lm3d_mean = np.asarray(self.manifest.lm3d_mean, np.float32)
        self.lm3d_std = np.asarray(self.manifest.lm3d_std, np.float32)
        neutral = self.manifest.lm3d_neutral
        self.lm3d_neutral = self.lm3d_mean if neutral is None else np.asarray(neutral, np.float32)
        if "pictures" not in self.manifest.absent:
            self.frames  # noqa: B018  a missing file is told at once

    @functools.cached_property
    def frames(self) -> PictureStore:
        """The pictures of the clip.

        Raises:
            DataError: The dataset was imported without any.
        """
        if "pictures" in self.manifest.absent:
            raise DataError(
                f"{self.root} was imported without pictures, enough to speak but not to train; import it again with "
                "--pictures data/processed/videos/<id>, the folder it was made from"
            )
        return PictureStore(self.root / "frames.arrow")

    @functools.cached_property
    def deepspeech(self) -> np.ndarray:
        """DeepSpeech rows of the clip, [2T,29] f32 at 50 Hz; only imported datasets have them."""
        path = self.root / "deepspeech.npy"
        if not path.exists():
            raise DataError(f"{self.root} has no DeepSpeech features; only datasets of the original GeneFace have them")
        rows: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return rows

    def _array(self, name: str) -> np.ndarray:
        path = self.root / f"{name}.npy"
        if not path.exists():
            raise DataError(f"{self.root} lacks {name}.npy; process the video again")
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return self.manifest.num_frames

    @property
    def num_frames(self) -> int:
        return self.manifest.num_frames

    @property
    def audio_path(self) -> Path:
        return self.root / "audio.wav"

    def indices(self, split: str) -> np.ndarray:
        """Return the frame numbers of ``"train"`` or ``"test"`` in which a face was found, ascending."""
        ranges = {"train": self.manifest.train_ranges, "test": self.manifest.test_ranges}[split]
        frames = np.concatenate([np.arange(start, end) for start, end in ranges] or [np.zeros(0, np.int64)])
        return frames[np.asarray(self.valid)[frames.astype(np.int64)]].astype(np.int64)

    def gt(self, index: int) -> np.ndarray:
        """Return the true picture over the clean background, uint8 [H,W,3]."""
        return self.frames.read("gt", index)

    def masks(self, index: int) -> np.ndarray:
        """Return alpha of head and of torso with neck, uint8 [H,W,2]; what remains to 255 is background."""
        return self.frames.read("masks", index)[..., :2]

    def torso(self, index: int) -> np.ndarray:
        """Return the torso with neck, in-painted under the chin, uint8 RGBA [H,W,4]."""
        return self.frames.read("torso", index)

    @functools.cached_property
    def background(self) -> np.ndarray:
        """The clean background, uint8 [H,W,3]."""
        return decode_picture((self.root / "bg.png").read_bytes())

    def normalize_lm3d(self, lm3d: np.ndarray) -> np.ndarray:
        """Return landmarks [...,68,3] as deviations from the person's mean in units of their std."""
        return (lm3d - self.lm3d_mean) / self.lm3d_std


def write_manifest(root: Path, manifest: PersonManifest) -> None:
    """Write ``manifest.json``; written last, it declares the dataset complete."""
    save_json(root / "manifest.json", manifest.model_dump())


def split_ranges(segments: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Hold out the last 1/11 of the footage: of every segment, or whole segments where there are at least eleven.

    Footage of many short pieces is split by pieces because a piece often ends in silence: the last 1/11 of each sentence of
    a sentence corpus shows a mouth at rest, on which no figure of lip motion means anything.
    """
    if len(segments) < _SEGMENTS_TO_HOLD_OUT_WHOLE:
        cuts = [(start, start + (end - start) * 10 // 11, end) for start, end in segments]
        return [(a, b) for a, b, _ in cuts if b > a], [(b, c) for _, b, c in cuts if c > b]
    total, seen = sum(end - start for start, end in segments), 0
    train: list[tuple[int, int]] = []
    test: list[tuple[int, int]] = []
    for start, end in segments:
        (train if seen + end - start <= total * 10 // 11 else test).append((start, end))
        seen += end - start
    return train, test
