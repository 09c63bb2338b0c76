"""How fast a trained person is drawn, by stage, backend, tier and size, and how long a whole video takes."""

from __future__ import annotations

import itertools
import logging
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from inference.config import InferConfig
from inference.pipeline import TalkingHead
from inference.render_video import render_video
from modules.audio import SAMPLES_PER_FRAME
from modules.nerf.renderers.frame_renderer import FrameRenderer
from modules.registry import names
from utils.commons.experiment import short
from utils.commons.schema import ConfigError
from utils.media.audio import load_wav

_FIRST_PIECE, _SECOND = 8000, 16000
logger = logging.getLogger(__name__)


@dataclass
class DrawRow:
    """Medians over frames of one way to draw."""

    backend: str
    tier: str
    size: int
    ms: float
    """A whole frame from landmarks to 8 bits."""
    frames_per_second: float
    samples: int
    stages: dict[str, float] = field(default_factory=dict)
    """Milliseconds: ``state`` (from landmarks), and what the backend tells apart."""


@dataclass(frozen=True)
class VideoRow:
    """Wall time of a whole video, models in memory."""

    tier: str
    backend: str
    size: int
    sound_seconds: float
    first_frame_seconds: float
    """From the first half second of sound to the first picture of a stream."""
    landmarks_seconds: float
    """Sound to filtered landmarks."""
    drawing_seconds: float
    """Landmarks to mp4, drawing and encoding side by side."""

    @property
    def seconds(self) -> float:
        return self.landmarks_seconds + self.drawing_seconds


@dataclass(frozen=True)
class LandmarksRow:
    """Time and memory from a sound file to landmarks, models in memory."""

    sound_seconds: float
    decoding_seconds: float
    """File to 16 kHz."""
    predicting_seconds: float
    """Sound to landmark deviations."""
    filtering_seconds: float
    times_real_time: float
    """Length of the sound over all three."""
    memory_before_gb: float
    """Largest memory of the process when the models had been used on one second."""
    memory_after_gb: float


def landmarks_row(config: InferConfig, wav: Path, *, sound_seconds: float) -> LandmarksRow:
    """Return what it takes to predict landmarks for the first ``sound_seconds`` of a file (0 = all of it)."""
    head = TalkingHead(config=config.model_copy(update={"infer_max_frames": round(sound_seconds * 25)}))
    head.check_experiments(renderer=False)
    second = head.load_speech(wav)[:_SECOND]
    head.filtered(head.landmarks(second), second, head.path(len(second) // SAMPLES_PER_FRAME))
    before, times = peak_memory_gb(), [time.perf_counter()]
    speech = head.load_speech(wav)
    times.append(time.perf_counter())
    deviations = head.landmarks(speech)
    times.append(time.perf_counter())
    head.filtered(deviations, speech, head.path(len(deviations)))
    times.append(time.perf_counter())
    decoding, predicting, filtering = (round(b - a, 3) for a, b in itertools.pairwise(times))
    return LandmarksRow(
        sound_seconds=round(len(speech) / 16000, 2),
        decoding_seconds=decoding,
        predicting_seconds=predicting,
        filtering_seconds=filtering,
        times_real_time=round(len(speech) / 16000 / (times[-1] - times[0]), 1),
        memory_before_gb=before,
        memory_after_gb=peak_memory_gb(),
    )


def draw_rows(config: InferConfig, *, sizes: Sequence[int], tiers: Sequence[str], frames: int) -> list[DrawRow]:
    """Return medians of ``frames`` test frames after two to warm up, for every backend, tier and size."""
    rows = []
    for backend in names("backend"):
        for tier in tiers:
            for size in sizes:
                keys = {"renderer_backend": backend, "tier": tier, "infer_image_size": size}
                rows.append(draw_row(TalkingHead(config=config.model_copy(update=keys)), frames))
                logger.info("%s", asdict(rows[-1]))
    return rows


def draw_row(head: TalkingHead, frames: int) -> DrawRow:
    """Return the medians of one person as configured."""
    renderer, store = _fast_renderer(head), head.store
    test = store.indices("test") if len(store.indices("test")) else store.indices("train")
    picked = test[np.arange(frames + 2) % len(test)]
    conditions = renderer.conditions(np.asarray(store.lm3d)[picked])
    seconds, stages, samples = [], [], []
    for number, frame in enumerate(picked):
        start = time.perf_counter()
        renderer.render(conditions, number, store.c2w[frame])
        seconds.append(time.perf_counter() - start)
        assert renderer.backend is not None
        inside = dict(renderer.backend.seconds)
        stages.append({"state": renderer.state_seconds, **inside})
        samples.append(renderer.backend.samples)
    middle = statistics.median(seconds[2:])
    return DrawRow(
        head.config.renderer_backend,
        head.config.tier,
        renderer.size[0],
        ms=round(1000 * middle, 1),
        frames_per_second=round(1 / middle, 1),
        samples=int(statistics.median(samples[2:])),
        stages={k: round(1000 * statistics.median(s[k] for s in stages[2:]), 1) for k in stages[-1]},
    )


def _fast_renderer(head: TalkingHead) -> FrameRenderer:
    if not isinstance(head.renderer, FrameRenderer):
        raise ConfigError(f"{short(head.config.head_dir)} is a vanilla head, which no backend draws")
    return head.renderer


def video_row(config: InferConfig, wav: Path, out: Path, *, sound_seconds: float) -> VideoRow:
    """Return the wall time of a video with that much sound (repeated if the file is shorter)."""
    speech = load_wav(wav)
    number = round(sound_seconds * 25) * SAMPLES_PER_FRAME
    speech = np.resize(speech, number)
    head = TalkingHead(config=config)
    head.check_experiments()
    next(head.stream([speech]))  # the models are loaded before the clock starts
    start = time.perf_counter()
    next(head.stream([speech[:_FIRST_PIECE]]))
    first_frame = time.perf_counter() - start
    start = time.perf_counter()
    deviations = head.landmarks(speech)
    path = head.path(len(deviations))
    lm3d = head.filtered(deviations, speech, path)
    middle = time.perf_counter()
    render_video(_fast_renderer(head), lm3d, path.c2w, out, audio=speech, crf=config.infer_crf)
    return VideoRow(
        tier=config.tier,
        backend=config.renderer_backend,
        size=head.renderer.size[0],
        sound_seconds=round(len(speech) / 16000, 2),
        first_frame_seconds=round(first_frame, 2),
        landmarks_seconds=round(middle - start, 2),
        drawing_seconds=round(time.perf_counter() - middle, 2),
    )


def peak_memory_gb() -> float:
    """Return the largest memory this process held, in gigabytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
