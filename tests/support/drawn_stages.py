"""The per-frame stages on a drawn clip, in chunks of 32 frames, with a landmarker and a segmenter that need no network.

As a program (``python -m tests.support.drawn_stages <folder> <stage>...``) each stage is run by a process that kills
itself in the middle of the second chunk, then by one that goes on; the frames the second one read are counted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_gen import chunks
from data_gen.stages import run_stages
from data_gen.videos import head_pose, landmarks, layers, segmentation
from data_gen.videos.config import ProcessConfig
from data_gen.videos.pipeline import video_stages
from modules.face.landmarkers.base import Landmarker, LandmarkTrack
from modules.face.segments import thumbnail
from tests.modules.face.synthetic_head import SIZE, head_motion, observe, paint_face, smooth_head_shape
from utils.data.atomic import save_json
from utils.media.clip import read_clip
from utils.media.video import VideoWriter

NUM_FRAMES, CHUNK, KILLED_AT = 48, 32, 45
STAGES = ("landmarks", "head_pose", "segmentation", "layers")
SHAPE, MOTION = smooth_head_shape(), head_motion(NUM_FRAMES)


class RecognisingLandmarker(Landmarker):
    """Knows the frames by sight."""

    def __init__(self, pictures: list[np.ndarray]) -> None:
        self.known = np.array([thumbnail(picture) for picture in pictures])
        self.points = observe(SHAPE, MOTION, noise_px=0.2).astype(np.float32)

    def find(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = (), *, warm_up: int = 0) -> LandmarkTrack:
        numbers = [int(np.abs(self.known - thumbnail(frame)).mean(axis=(1, 2, 3)).argmin()) for frame in frames]
        count = len(numbers) - warm_up
        return LandmarkTrack(self.points[numbers[warm_up:]], np.ones(count, bool), np.ones(count, np.int32))


class BandSegmenter:
    """Takes all above the chin for head."""

    def learn(self, frames: Iterable[np.ndarray], points: np.ndarray) -> None:
        assert sum(1 for _ in frames) == len(points)

    def masks(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        masks = np.zeros((SIZE, SIZE, 2), np.uint8)
        chin = int(points[152, 1])
        masks[20:chin, 60:200, 0] = 255
        masks[chin:, 90:170, 1] = 255
        return masks


@dataclass
class WatchedReader:
    """Reads clips and counts the frames stages go through one by one."""

    killed_at: int = 1 << 31
    count: int = 0

    def __call__(self, path: Path, *, stop: int | None = None, **part: int) -> Iterator[np.ndarray]:
        for frame in read_clip(path, stop=stop, **part):
            self.count += stop is not None  # a chunk, not a sample of the whole clip
            if self.count == self.killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield frame


@dataclass
class DrawnClip:
    """A folder of processed stages whose ``ingest`` is a drawn face."""

    folder: Path
    reader: WatchedReader = field(default_factory=WatchedReader)

    def draw(self) -> None:
        """Make the clip."""
        (self.folder / "ingest").mkdir(parents=True)
        with VideoWriter(self.folder / "ingest" / "video.mp4", size=(SIZE, SIZE), crf=4, coding=("-g", "8")) as writer:
            for t in range(NUM_FRAMES):
                writer.write(paint_face(MOTION, SHAPE, t))
        save_json(self.folder / "ingest" / "ingest.json", {"num_frames": NUM_FRAMES})
        save_json(self.folder / "ingest" / "stage.json", {"run_id": "drawn", "fingerprint": {}})

    def replacements(self) -> list[tuple[Any, str, Any]]:
        """Return what to set so that stages need no network and use small chunks."""
        pictures = list(read_clip(self.folder / "ingest" / "video.mp4"))
        return [
            (chunks, "CHUNK_FRAMES", CHUNK),
            (landmarks, "_CHUNK_FRAMES", CHUNK),
            (head_pose, "_TEXTURE_FRAMES", 8),
            (landmarks, "build_landmarker", lambda name: RecognisingLandmarker(pictures)),
            (segmentation, "build_segmenter", lambda name, weights: BandSegmenter()),
            *((module, "read_clip", self.reader) for module in (landmarks, head_pose, segmentation, layers)),
        ]

    def run(self, stage: str, num_workers: int) -> None:
        """Run one stage."""
        config = ProcessConfig(video_id="drawn", image_size=SIZE, num_workers=num_workers, tracker="rigid")
        run_stages(video_stages(), config, self.folder, only=stage)


def _in_own_process(clip: DrawnClip, stage: str, num_workers: int) -> int:
    """Run a stage and return how its process ended, as ``os.wait`` tells it."""
    child = os.fork()
    if child == 0:
        clip.run(stage, num_workers)
        (clip.folder / f"{stage}.read.json").write_text(json.dumps(clip.reader.count))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(folder: str, *stages: str) -> None:
    """Kill each stage and let it go on."""
    for stage in stages:
        for killed_at, num_workers, end in ((KILLED_AT, 1, signal.SIGKILL), (1 << 31, 2, 0)):
            clip = DrawnClip(Path(folder), WatchedReader(killed_at))
            for owner, name, value in clip.replacements():
                setattr(owner, name, value)
            assert _in_own_process(clip, stage, num_workers) == end, (stage, num_workers)


if __name__ == "__main__":
    main(*sys.argv[1:])
