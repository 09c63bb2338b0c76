"""Landmarks and poses to a video with sound: frames are rendered one by one and piped to ffmpeg, memory stays flat."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.sharing import frames_of_ranks
from modules.nerf.renderers.base import PersonRenderer
from utils.commons import distributed
from utils.media.video import VideoWriter

FPS = 25
SYNTHETIC = "Synthetic media: the face in this video was generated from sound (GeneFace, rebuilt)."
"""Written into every video's metadata, so that whoever looks can tell."""
_AHEAD = 8
"""Rendered frames that may wait for the encoder."""


def render_video(
    renderer: PersonRenderer,
    lm3d: np.ndarray,
    c2w: np.ndarray,
    out: Path,
    *,
    audio: np.ndarray | Path,
    crf: int = 18,
    title: str = "rendering",
    frames: Iterator[np.ndarray] | None = None,
) -> Path:
    """Write an mp4 of the landmarks, one frame each, with the sound as given; the file appears whole or not at all.

    Args:
        renderer: The person.
        lm3d: Absolute landmarks, cm, [T,68,3].
        c2w: Poses, [T,4,4].
        out: The mp4.
        audio: Sound at 16 kHz [N], or a file whose first sound track is taken.
        crf: Quality of the video.
        title: Words beside the progress bar.
        frames: The pictures, where something else than ``renderer`` in this process draws them.
    """
    height, width = renderer.size
    frames = ahead(render_frames(renderer, lm3d, c2w) if frames is None else frames, _AHEAD)
    if distributed.rank_and_size()[0]:
        collections.deque(frames, maxlen=0)
        return out
    with VideoWriter(out, size=(width, height), fps=FPS, audio=audio, crf=crf, comment=SYNTHETIC) as writer:
        for frame in tqdm(frames, total=len(lm3d), desc=title, unit="frame"):
            writer.write(frame)
    return out


def render_frames(renderer: PersonRenderer, lm3d: np.ndarray, c2w: np.ndarray) -> Iterator[np.ndarray]:
    """Yield one picture uint8 [H,W,3] for each frame of landmarks [T,68,3] in cm and poses [T,4,4].

    Under torchrun the ranks share the work, and rank 0 alone yields.
    """
    conditions = renderer.conditions(lm3d)
    yield from frames_of_ranks(lambda t: renderer.render(conditions, t, c2w[t]), len(lm3d), renderer.size)


def ahead(frames: Iterator[np.ndarray], most: int) -> Iterator[np.ndarray]:
    """Yield the same frames, made in a thread that runs up to ``most`` frames ahead.

    An error in the thread is raised here; leaving the loop early stops the thread.
    """
    ready: queue.Queue[np.ndarray | None] = queue.Queue(most)
    stopped = threading.Event()

    def put(item: np.ndarray | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def produce() -> None:
        for frame in frames:
            put(frame)
            if stopped.is_set():
                return

    with concurrent.futures.ThreadPoolExecutor(1, "renderer") as pool:
        produced = pool.submit(produce)
        produced.add_done_callback(lambda _: put(None))
        try:
            while (item := ready.get()) is not None:
                yield item
            produced.result()
        finally:
            stopped.set()
