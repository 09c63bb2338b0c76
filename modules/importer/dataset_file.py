"""The original's ``trainval_dataset.npy``: read without unpickling, both generations of names, everything checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.commons.schema import DataError
from utils.data.plain_objects import DROPPED, load_plain

_WIDE = 1024
_ALIASES = {"bc_img": "bg_img"}
_SAMPLE_SHAPES: dict[str, tuple[int, ...]] = {
    "face_rect": (4,),
    "c2w": (4, 4),
    "idexp_lm3d": (68, 3),
    "deepspeech_win": (16, 29),
}
_HUBERT_SLACK = 16
_MAX_ROTATION_ERROR = 1e-2
_CAMERA_RANGE = (0.2, 2.0)


@dataclass(frozen=True)
class OriginalDataset:
    """What a file holds, in our units."""

    num_train: int
    height: int
    width: int
    focal: float
    background: np.ndarray
    """u8 [H,W,3]."""
    hubert: np.ndarray
    """f32 [2T,1024]."""
    f0: np.ndarray | None
    """f32 [2T] Hz."""
    idexp_lm3d: np.ndarray
    """f32 [T,68,3] cm, offsets from the face model's mean shape."""
    mean: np.ndarray
    """f32 [68,3] of it, as the file says: over all frames."""
    std: np.ndarray
    """f32 [68,3]."""
    c2w: np.ndarray
    """f32 [T,4,4] metres."""
    face_rect: np.ndarray
    """i32 [T,4]."""
    deepspeech: np.ndarray
    """f32 [2T,29] rows at 50 Hz, out of which its windows are made again."""
    pictures: str
    """Folder of its first picture, as the file spells it."""
    findings: tuple[str, ...]
    """What is unusual, in sentences."""

    def __len__(self) -> int:
        return len(self.c2w)


def read_dataset(path: Path) -> OriginalDataset:
    """Return the dataset in ``path``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no such dataset, damaged, malicious, or its content contradicts itself.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; name the trainval_dataset.npy of the original's data/binary/videos/<id>")
    try:
        return _convert(_load(path))
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def _load(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            readers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = readers[version](file)
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise DataError(f"it is no npy file ({str(error).splitlines()[0]})") from error
        if shape != () or dtype != np.dtype(object):
            raise DataError(f"it holds an array {list(shape)} of {dtype} and no dataset")
        content = load_plain(file, wanted=_is_wanted)
    if not isinstance(content, dict):
        raise DataError(f"it holds a {type(content).__name__} and no dataset")
    return {_ALIASES.get(str(key), str(key)): value for key, value in content.items()}


def _is_wanted(shape: tuple[int, ...]) -> bool:
    """Return whether a large array is used: not the windows of HuBERT, which repeat its rows 128 times."""
    return not (len(shape) >= 2 and shape[-1] == _WIDE and shape[-2] == 16)


def _convert(content: dict[str, Any]) -> OriginalDataset:
    train, val = (_samples(content, name) for name in ("train_samples", "val_samples"))
    samples = train + val
    _check_order(samples)
    stacked = {key: _stack(samples, key, shape) for key, shape in _SAMPLE_SHAPES.items()}
    length = len(samples)
    height, width = (_number(content, key, int) for key in ("H", "W"))
    mean, std = (_array(content, f"idexp_lm3d_{name}").reshape(-1) for name in ("mean", "std"))
    if mean.size != 204 or std.size != 204 or (std <= 0).any():
        raise DataError("idexp_lm3d_mean and idexp_lm3d_std must be 68 x 3 numbers, std above zero")
    findings: list[str] = []
    windows = stacked["deepspeech_win"]
    return OriginalDataset(
        num_train=len(train),
        height=height,
        width=width,
        focal=_number(content, "focal", float),
        background=_background(content, height, width),
        hubert=_fit_rows(_hubert(content), 2 * length, findings),
        f0=_f0(content, length),
        idexp_lm3d=stacked["idexp_lm3d"],
        mean=mean.reshape(68, 3),
        std=std.reshape(68, 3),
        c2w=stacked["c2w"],
        face_rect=stacked["face_rect"].astype(np.int32),
        deepspeech=windows[:, 8:10].reshape(2 * length, -1),
        pictures=_picture_folder(samples),
        findings=(*findings, *_findings(samples, stacked, mean, std)),
    )


def _samples(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    samples = content.get(name)
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise DataError(f"it has no list {name!r}; is it the dataset of a person?")
    if not samples and name == "train_samples":
        raise DataError("it has no training frame")
    return samples


def _check_order(samples: list[dict[str, Any]]) -> None:
    ids = [sample.get("idx") for sample in samples]
    wrong = next((position for position, number in enumerate(ids) if number != position), None)
    if wrong is not None:
        raise DataError(
            f"its frames must be numbered 0 to {len(ids) - 1} in order, but frame {wrong} has the number {ids[wrong]}; "
            "frames without a face were skipped when it was made"
        )


def _stack(samples: list[dict[str, Any]], key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of all samples, f32, finite."""
    parts = []
    for number, sample in enumerate(samples):
        part = sample.get(key)
        if not isinstance(part, np.ndarray) or part.shape != shape:
            found = list(part.shape) if isinstance(part, np.ndarray) else "nothing"
            raise DataError(f"{key} of frame {number} must be {list(shape)}, found {found}")
        parts.append(part)
    return _finite(np.stack(parts).astype(np.float32), key)


def _array(content: dict[str, Any], key: str) -> np.ndarray:
    value = content.get(key)
    if not isinstance(value, np.ndarray) or value is DROPPED or value.dtype.kind not in "fiu":
        raise DataError(f"it has no array {key!r}")
    return _finite(value.astype(np.float32), key)


def _finite(values: np.ndarray, key: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError(f"{key} holds values that are not finite numbers")
    return values


def _number(content: dict[str, Any], key: str, kind: type) -> Any:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e5:
        raise DataError(f"{key} must be a number above zero, found {value!r}")
    return kind(value)


def _hubert(content: dict[str, Any]) -> np.ndarray:
    rows = _array(content, "hubert")
    if rows.ndim != 2:
        raise DataError(f"hubert must be [rows, channels], found {list(rows.shape)}")
    return rows


def _f0(content: dict[str, Any], length: int) -> np.ndarray | None:
    if content.get("f0") is None:
        return None
    return _fit_rows(_array(content, "f0").reshape(-1, 1), 2 * length, [])[:, 0]


def _fit_rows(rows: np.ndarray, count: int, findings: list[str]) -> np.ndarray:
    """Return exactly ``count`` rows: cut, or the last one repeated."""
    if not len(rows):
        raise DataError("it has no row of speech features")
    if abs(len(rows) - count) > _HUBERT_SLACK:
        findings.append(f"speech features have {len(rows)} rows for {count // 2} frames, expected about {count}")
    return rows[np.minimum(np.arange(count), len(rows) - 1)]


def _background(content: dict[str, Any], height: int, width: int) -> np.ndarray:
    picture = content.get("bg_img")
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape != (height, width, 3):
        found = list(picture.shape) if isinstance(picture, np.ndarray) else "nothing"
        raise DataError(f"bg_img must be a picture [{height},{width},3] of bytes, found {found}")
    return np.array(picture)


def _picture_folder(samples: list[dict[str, Any]]) -> str:
    names = (samples[0].get(key) for key in ("gt_img_fname", "com_img_fname"))
    return next((str(Path(name).parent.parent) for name in names if isinstance(name, str)), "")


def _findings(
    samples: list[dict[str, Any]], stacked: dict[str, np.ndarray], mean: np.ndarray, std: np.ndarray
) -> list[str]:
    """Return what is unusual about cameras and statistics.

    Raises:
        DataError: A camera is no rigid motion.
    """
    c2w, found = stacked["c2w"].astype(np.float64), []
    rotation = c2w[:, :3, :3]
    error = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = np.flatnonzero((error > _MAX_ROTATION_ERROR) | (np.linalg.det(rotation) < 0))
    if len(wrong):
        raise DataError(f"the camera of frame {wrong[0]} is no rotation and place (error {error[wrong[0]]:.2g})")
    distance = np.linalg.norm(c2w[:, :3, 3], axis=1)
    if distance.min() < _CAMERA_RANGE[0] or distance.max() > _CAMERA_RANGE[1]:
        found.append(f"cameras are {distance.min():.2f} to {distance.max():.2f} m from the head, expected about 0.7")
    flat = stacked["idexp_lm3d"].reshape(len(c2w), -1)
    for name, own, said in (("mean", flat.mean(axis=0), mean), ("std", flat.std(axis=0), std)):
        off = float(np.abs(own - said).max())
        if off > 0.01 * max(1.0, float(np.abs(said).max())):
            found.append(f"idexp_lm3d_{name} differs from that of all frames by up to {off:.3g}")
    first = samples[0].get("idexp_lm3d_normalized")
    if isinstance(first, np.ndarray) and first.size == flat.shape[1]:
        off = float(np.abs(first.reshape(-1) - (flat[0] - mean) / std).max())
        if off > 1e-2:
            found.append(f"idexp_lm3d_normalized of frame 0 is not (idexp_lm3d - mean) / std, off by {off:.3g}")
    return found
