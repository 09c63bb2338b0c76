"""Stage ``layers``: the clean background, the picture over it, and the torso continued under the chin."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np

from data_gen.chunks import run_chunks
from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face.background import MAX_SAMPLES, clean_background
from modules.face.torso_layer import over_background, torso_layer
from utils.commons.threads import num_threads
from utils.data.atomic import atomic_path
from utils.data.picture_store import PictureStore, PictureWriter, decode_picture, encode_picture, join_pictures
from utils.media.clip import read_clip

logger = logging.getLogger(__name__)


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write bg.png and frames.arrow (columns gt, masks, torso)."""
    video = processed_dir / "ingest" / "video.mp4"
    masks = PictureStore(processed_dir / "segmentation" / "masks.arrow")
    background = _background(video, masks)
    with atomic_path(out_dir / "bg.png") as path:
        path.write_bytes(encode_picture(background, "png"))

    def encode(frame: np.ndarray, data: bytes) -> dict[str, bytes]:
        alpha = cv2.merge(cv2.split(decode_picture(data))[:2])  # OpenCV is slow on views
        gt, torso = over_background(frame, alpha, background), torso_layer(frame, alpha)
        return {"gt": encode_picture(gt, "jpeg"), "masks": data, "torso": encode_picture(torso, "png")}

    def write(start: int, stop: int, path: Path) -> None:
        with PictureWriter(path, ["gt", "masks", "torso"]) as writer:
            for frame, index in zip(read_clip(video, start=start, stop=stop), range(start, stop), strict=True):
                writer.write(encode(frame, bytes(masks.read_bytes("masks", index))))

    chunks = run_chunks(out_dir, len(masks), write, threads=num_threads(config.num_workers), progress=progress)
    join_pictures(chunks, out_dir / "frames.arrow")


def _background(video: Path, masks: PictureStore) -> np.ndarray:
    step = -(-len(masks) // MAX_SAMPLES)
    person = (masks.read("masks", i)[..., :2].max(axis=-1) for i in range(0, len(masks), step))
    background, seen = clean_background(read_clip(video, step=step), person)
    logger.info("background seen in %.0f %% of the picture, the rest is in-painted", 100 * seen.mean())
    return background
