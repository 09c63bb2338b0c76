"""Any video becomes 25 fps, square around the head, with 16 kHz mono sound of exactly the same length.

GeneFace's framing: head and shoulders, one fixed crop for the whole clip.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from data_gen.videos.faces import FaceBox
from modules.audio import SAMPLES_PER_FRAME
from utils.commons.schema import DataError
from utils.data.atomic import save_json
from utils.data.paths import raw_video
from utils.media.audio import load_wav, save_wav
from utils.media.video import VideoInfo, VideoWriter, probe, read_frames

logger = logging.getLogger(__name__)
_KEEP = (0.35, 0.65)
"""Face height over picture height for which a square video is kept as it is."""
_CRF, _PRESET, _CODING = 7, "ultrafast", ("-g", "32")
"""Every later stage reads the clip, some from the middle. Against superfast at crf 5: 59.1 for 58.0 dB, two thirds of
the time to encode and less than half to decode, somewhat more bytes."""


@dataclass(frozen=True)
class Crop:
    """A square of the upright source video, pixels."""

    x: int
    y: int
    side: int


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write ``video.mp4``, ``audio.wav``, ``ingest.json`` and, where the raw video has known cuts, ``cuts.json``."""
    path = raw_video(config.video_id)
    if not path.exists():
        raise FileNotFoundError(
            f"no video at {path}; copy one there: bash scripts/new_video.sh <file.mp4> {config.video_id}"
        )
    info = probe(path)
    survey = json.loads((processed_dir / "preflight" / "preflight.json").read_text(encoding="utf-8"))
    faces = [FaceBox(**boxes[0]) for boxes in survey["faces"] if boxes]
    crop = choose_crop(faces, info, config)
    warnings = _crop_warnings(faces, crop)
    for text in warnings:
        logger.warning("%s: %s", path.name, text)
    num_frames = _write_video(path, info, crop, config, out_dir / "video.mp4", progress)
    save_wav(out_dir / "audio.wav", fit_length(load_wav(path), num_frames * SAMPLES_PER_FRAME))
    cuts = read_cuts(path.with_name(f"{path.stem}.cuts.json"), num_frames)
    if cuts:
        save_json(out_dir / "cuts.json", {"cut_frames": cuts})
    facts: dict[str, Any] = {
        "num_frames": num_frames,
        "size": config.image_size,
        "crop": asdict(crop),
        "source": asdict(info),
        "warnings": warnings,
    }
    save_json(out_dir / "ingest.json", facts)


def _write_video(path: Path, info: VideoInfo, crop: Crop, config: ProcessConfig, out: Path, progress: Progress) -> int:
    size = (config.image_size, config.image_size)
    frames = read_frames(path, fps=25, size=size, crop=(crop.x, crop.y, crop.side, crop.side))
    with VideoWriter(out, size=size, crf=_CRF, pixel_format="yuv444p", preset=_PRESET, coding=_CODING) as writer:
        for frame in progress(frames, total=round(info.duration_s * 25)):
            writer.write(frame)
    return writer.num_frames


def choose_crop(faces: Sequence[FaceBox], info: VideoInfo, config: ProcessConfig) -> Crop:
    """Return the square to cut: the whole of a well framed square video, else head and shoulders."""
    if not faces:
        raise DataError("no face to frame; run the preflight stage again")
    width, height = info.width, info.height
    face = float(np.median([box.height for box in faces]))
    share = face / height
    well_framed = width == height and _KEEP[0] <= share <= _KEEP[1]
    if config.crop == "never" or (config.crop == "auto" and well_framed):
        side = min(width, height)
        return Crop((width - side) // 2, (height - side) // 2, side)
    centers = np.array([(box.center_x, box.center_y) for box in faces])
    center_x, center_y = np.median(centers, axis=0)
    sway = np.percentile(np.abs(centers - (center_x, center_y)).max(axis=1), 90)
    wanted = config.crop_scale * face + 2 * max(0.0, float(sway) - 0.25 * face)  # wider where the head moves far
    side = int(min(wanted, width, height)) // 2 * 2
    x = int(np.clip(center_x - side / 2, 0, width - side))
    y = int(np.clip(center_y - config.crop_center * side, 0, height - side))
    return Crop(x, y, side)


def _crop_warnings(faces: Sequence[FaceBox], crop: Crop) -> list[str]:
    warnings = []
    share = float(np.median([box.height for box in faces])) / crop.side
    if share > _KEEP[1]:
        warnings.append(f"the face fills {share:.0%} of the picture's height; hair and shoulders may be cut off")
    outside = sum(not _contains(crop, box) for box in faces)
    if outside:
        warnings.append(
            f"the face leaves the picture in {outside} of {len(faces)} sampled frames; a steadier video is better"
        )
    return warnings


def _contains(crop: Crop, box: FaceBox) -> bool:
    x, y = box.center_x - crop.x, box.center_y - crop.y
    half_width, half_height = 0.45 * box.width, 0.45 * box.height
    return half_width <= x <= crop.side - half_width and half_height <= y <= crop.side - half_height


def fit_length(wav: np.ndarray, length: int) -> np.ndarray:
    """Return ``wav`` [N] cut or filled with silence to ``length`` samples."""
    return np.pad(wav[:length], (0, max(0, length - len(wav))))


def read_cuts(path: Path, num_frames: int) -> list[int]:
    """Return the first frames, at 25 fps, of the parts after known cuts; empty if there is no such file.

    The file holds ``{"fps": 25, "cut_frames": [75, 150, ...]}``, frames counted at its own rate.

    Raises:
        DataError: The file is not of that form.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        frames = [round(float(cut) * 25 / float(content.get("fps", 25))) for cut in content["cut_frames"]]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f'{path} is not a list of cuts ({error!r}); write {{"fps": 25, "cut_frames": [75, 150]}} or delete it'
        ) from error
    return sorted({cut for cut in frames if 0 < cut < num_frames})
