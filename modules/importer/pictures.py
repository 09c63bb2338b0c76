"""Pictures, 2-D landmarks and sound of the folder an original dataset is from: ``data/processed/videos/<id>``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from modules.face.torso_layer import torso_layer
from utils.commons.schema import DataError
from utils.data.picture_store import PictureWriter, encode_picture
from utils.geometry.cameras import Intrinsics

_HEAD, _NECK, _TORSO = (255, 0, 0), (0, 255, 0), (0, 0, 255)
"""Colors of the parsing masks, RGB as the specification 2.3 lists them; OpenCV wrote them in its own order."""


@dataclass(frozen=True)
class Pictures:
    """A processed folder of the original."""

    root: Path
    frames: Path
    """Folder of the pictures over the clean background."""
    audio: Path | None

    def landmarks(self, count: int) -> np.ndarray | None:
        """Return the 2-D landmarks [count,68,2] in pixels; None if a frame has none."""
        files = [self.root / "ori_imgs" / f"{number}.lms" for number in range(count)]
        if not all(file.is_file() for file in files):
            return None
        points = np.stack([np.loadtxt(file, dtype=np.float32).reshape(-1, 2)[:68] for file in files])
        return points if points.shape == (count, 68, 2) and np.isfinite(points).all() else None


def find_pictures(root: Path) -> Pictures:
    """Return the folder's parts.

    Raises:
        FileNotFoundError: No such folder, or it holds no pictures.
    """
    frames = next((root / name for name in ("gt_imgs", "com_imgs") if (root / name).is_dir()), None)
    if frames is None or not (root / "parsing").is_dir():
        raise FileNotFoundError(f"{root} has no gt_imgs (or com_imgs) and parsing; name data/processed/videos/<id>")
    audio = root / "aud.wav"
    return Pictures(root, frames, audio if audio.is_file() else None)


def copy_pictures(pictures: Pictures, folder: Path, count: int, camera: Intrinsics) -> bool:
    """Write ``frames.arrow`` of ``count`` frames; return True.

    Raises:
        DataError: A picture is missing or has another size.
    """
    with PictureWriter(folder / "frames.arrow", ["gt", "masks", "torso"]) as writer:
        for number in range(count):
            frame = _read(pictures.frames / f"{number}.jpg", camera)
            masks = layer_masks(_read(pictures.root / "parsing" / f"{number}.png", camera))
            stored = pictures.root / "torso_imgs" / f"{number}.png"
            torso = _read(stored, camera, channels=4) if stored.is_file() else torso_layer(frame, masks)
            row = {"gt": encode_picture(frame, "jpeg"), "masks": encode_picture(masks, "png")}
            writer.write(row | {"torso": encode_picture(torso, "png")})
    return True


def layer_masks(parsing: np.ndarray) -> np.ndarray:
    """Return alpha of head, and of torso with neck, u8 [H,W,2], of a colored parsing mask [H,W,3].

    The original's program wrote the colors through OpenCV, so red and blue may have changed places: the head is the one
    of the two that lies higher.
    """
    parts = {color: np.abs(parsing.astype(int) - color).max(axis=-1) < 64 for color in (_HEAD, _NECK, _TORSO)}
    head, torso = parts[_HEAD], parts[_TORSO]
    if head.any() and torso.any() and np.nonzero(head)[0].mean() > np.nonzero(torso)[0].mean():
        head, torso = torso, head
    return (np.stack([head, torso | parts[_NECK]], axis=-1) * 255).astype(np.uint8)


def _read(path: Path, camera: Intrinsics, channels: int = 3) -> np.ndarray:
    flag = cv2.IMREAD_UNCHANGED if channels == 4 else cv2.IMREAD_COLOR
    picture = cv2.imread(str(path), flag)
    if picture is None:
        raise DataError(f"no picture {path}, or it cannot be decoded")
    if picture.shape != (camera.height, camera.width, channels):
        raise DataError(f"{path} is {list(picture.shape)}, expected {[camera.height, camera.width, channels]}")
    return np.ascontiguousarray(picture[..., [2, 1, 0, 3][:channels]])
