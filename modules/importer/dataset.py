"""A dataset of the original becomes a :class:`PersonStore`.

Its landmarks are offsets from the mean shape of a face model that cannot be given on. A neutral face of our own stands
in for that mean: it gives absolute shapes to look at and to measure on, and cancels out where it matters, in
(x - mean)/std and in predicted offsets, which the manifest's ``lm3d_neutral`` makes count from the same face.

Pixels: the original's rays pass through the corners of pixels, ours through their centers, so its principal point lies
half a pixel further.
"""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import numpy as np

from modules.importer.dataset_file import OriginalDataset, read_dataset
from modules.importer.pictures import Pictures, copy_pictures, find_pictures
from utils.commons.schema import DataError
from utils.data.atomic import atomic_dir, save_npy
from utils.data.paths import binary_video
from utils.data.person_store import OWN_FILES, PersonManifest, write_manifest
from utils.data.picture_store import encode_picture
from utils.geometry.cameras import Intrinsics, project
from utils.media.audio import load_wav, save_wav

logger = logging.getLogger(__name__)


@functools.cache
def neutral_face() -> np.ndarray:
    """Return the neutral face, [68,3] f32 cm."""
    return np.loadtxt(Path(__file__).with_name("mean_face.txt"), dtype=np.float32)


def import_dataset(path: Path, video_id: str, *, pictures: Path | None = None, overwrite: bool = False) -> list[str]:
    """Write ``data/binary/videos/<video_id>`` and return what is to be said about it, in sentences.

    Args:
        path: The original's ``trainval_dataset.npy``.
        video_id: The person.
        pictures: The processed folder the dataset was made from; it brings pictures to train on, landmarks and sound.
        overwrite: Replace a dataset of the same name.

    Raises:
        FileNotFoundError: The file or the folder does not exist.
        DataError: The file is damaged, malicious or contradicts itself, or there is such a dataset already.
    """
    target = binary_video(video_id)
    if (target / "manifest.json").exists() and not overwrite:
        raise DataError(f"there is a dataset of {video_id!r} already; replace it with --overwrite, or give another id")
    found = find_pictures(pictures) if pictures is not None else None
    data = read_dataset(path)
    with atomic_dir(target) as folder:
        sentences = _write(folder, data, video_id, found)
        _keep_foreign_files(target, folder)
    return [*data.findings, *sentences]


def _keep_foreign_files(old: Path, new: Path) -> None:
    """Leave what the old folder holds beside a dataset of ours in the new one too, such as the file imported from."""
    if not old.is_dir():
        return
    for path in old.iterdir():
        if path.is_file() and path.name not in OWN_FILES:
            os.link(path, new / path.name)  # never moved: at every instant the old folder is whole


def _write(folder: Path, data: OriginalDataset, video_id: str, pictures: Pictures | None) -> list[str]:
    camera = Intrinsics(data.focal, data.width / 2 + 0.5, data.height / 2 + 0.5, data.height, data.width)
    lm3d = neutral_face() + data.idexp_lm3d
    absent = ["f0"] * (data.f0 is None)
    lm2d = pictures.landmarks(len(data)) if pictures else None
    absent += ["lm2d"] * (lm2d is None)
    if lm2d is None:
        lm2d = np.stack([project(points / 100, c2w, camera) for points, c2w in zip(lm3d, data.c2w, strict=True)])
    arrays = {
        "lm3d": lm3d,
        "lm2d": lm2d.astype(np.float32),
        "c2w": data.c2w,
        "speech": data.hubert.astype(np.float16),
        "f0": np.zeros(2 * len(data), np.float32) if data.f0 is None else data.f0,
        "face_rect": data.face_rect,
        "lip_rect": _boxes(lm2d[:, 48:68], data.height, data.width),
        "eye_rect": _boxes(lm2d[:, 17:48], data.height, data.width),
        "valid": np.ones(len(data), bool),
        "deepspeech": data.deepspeech,
    }
    for name, array in arrays.items():
        save_npy(folder / f"{name}.npy", array)
    (folder / "bg.png").write_bytes(encode_picture(data.background, "png"))
    absent += ["pictures"] * (pictures is None or not copy_pictures(pictures, folder, len(data), camera))
    absent += ["audio"] * (not _copy_audio(pictures, folder, len(data)))
    write_manifest(folder, _manifest(data, video_id, camera, absent))
    return [_MISSING[name] for name in absent]


_MISSING = {
    "f0": "it has no pitch (f0): models that use pitch cannot be trained on it",
    "lm2d": "it has no 2-D landmarks: they are guessed from its 3-D ones",
    "pictures": "it has no pictures: it is enough to speak; to train on it, import it again with --pictures <folder>",
    "audio": "it has no sound: evaluation needs audio.wav in its folder",
}


def _manifest(data: OriginalDataset, video_id: str, camera: Intrinsics, absent: list[str]) -> PersonManifest:
    neutral = neutral_face()
    return PersonManifest(
        video_id=video_id,
        num_frames=len(data),
        height=data.height,
        width=data.width,
        focal=camera.focal,
        cx=camera.cx,
        cy=camera.cy,
        segments=[(0, len(data))],
        train_ranges=[(0, data.num_train)],
        test_ranges=[(data.num_train, len(data))] if data.num_train < len(data) else [],
        speech_encoder="hubert",
        speech_dim=data.hubert.shape[1],
        landmarker="geneface",
        lm3d_mean=(neutral + data.mean).tolist(),
        lm3d_std=data.std.tolist(),
        lm3d_neutral=neutral.tolist(),
        absent=absent,
    )


def _boxes(points: np.ndarray, height: int, width: int, margin: float = 0.2) -> np.ndarray:
    """Return boxes x, y, w, h [T,4] i32 around points [T,K,2], a little larger, inside the picture."""
    low, high = points.min(axis=1), points.max(axis=1)
    grow = (high - low) * margin / 2
    size = np.array([width, height])
    low = np.clip(np.floor(low - grow), 0, size - 1)
    high = np.clip(np.ceil(high + grow), low + 1, size)
    return np.concatenate([low, high - low], axis=1).astype(np.int32)


def _copy_audio(pictures: Pictures | None, folder: Path, num_frames: int) -> bool:
    if pictures is None or pictures.audio is None:
        return False
    save_wav(folder / "audio.wav", load_wav(pictures.audio)[: num_frames * 640])
    return True
