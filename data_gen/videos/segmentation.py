"""Stage ``segmentation``: alpha of head and torso in every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_gen.chunks import run_chunks
from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face.segmenters.base import build_segmenter
from utils.commons.threads import num_threads
from utils.data.picture_store import PictureWriter, encode_picture, join_pictures
from utils.media.clip import read_clip

_LEARN_FROM = 24


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write masks.arrow: one PNG [H,W,2] a frame in the column ``masks``."""
    video = processed_dir / "ingest" / "video.mp4"
    points = np.load(processed_dir / "landmarks" / "lm478.npy", mmap_mode="r", allow_pickle=False)
    segmenter = build_segmenter(config.segmenter, config.segmenter_weights)
    step = max(1, len(points) // _LEARN_FROM)
    segmenter.learn(read_clip(video, step=step), points[::step])

    def write(start: int, stop: int, path: Path) -> None:
        with PictureWriter(path, ["masks"]) as writer:
            for frame, mesh in zip(read_clip(video, start=start, stop=stop), points[start:stop], strict=True):
                writer.write({"masks": encode_picture(segmenter.masks(frame, mesh), "png")})

    chunks = run_chunks(out_dir, len(points), write, threads=num_threads(config.num_workers), progress=progress)
    join_pictures(chunks, out_dir / "masks.arrow")
