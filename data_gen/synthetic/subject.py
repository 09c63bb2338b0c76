"""One clip of a demo subject: sound, motion and frames, with the exact truth of each.

    result = generate_subject(SubjectSpec(seconds=2.0, size=128, seed=1))      # all in memory, for tests
    write_subject(SubjectSpec(), Path("data/raw/videos/demo.mp4"))             # streamed to disk, any length

Notation: T frames at 25 Hz, A = 52 actions, H = W = size.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from data_gen.synthetic import motion, visemes
from data_gen.synthetic.identity import identity_of
from data_gen.synthetic.render import FOCAL_PER_HEIGHT, Frame, Pose, Renderer, load_person, paint_background
from data_gen.synthetic.sentences import draw_sentences
from modules.audio import synthetic_speech as speech
from modules.face.morphable.head_asset import load_head
from utils.data.atomic import atomic_dir
from utils.media.audio import save_wav
from utils.media.video import VideoWriter

FPS, CRF = 25, 16
SIZE_RANGE = (64, 1024)


@dataclass(frozen=True)
class SubjectSpec:
    """What to film; the same values give the same samples and the same frames."""

    seconds: float = 30.0
    """Length; rounded to whole frames."""
    size: int = 256
    """Height and width, pixels."""
    identity: int = 0
    """Which person; any number from 0."""
    voice: str | None = None
    """Language and variant such as `en-us+f2`; by default English with the identity's own variant."""
    seed: int = 0
    text: str | None = None
    """What to say, over and over; by default shuffled sentences of our own."""

    def __post_init__(self) -> None:
        if not self.seconds > 0 or round(self.seconds * FPS) < 1:
            raise ValueError(f"seconds must be greater than 0 and hold a frame, got {self.seconds}")
        if not SIZE_RANGE[0] <= self.size <= SIZE_RANGE[1] or self.size % 2:
            raise ValueError(f"size must be even and in {SIZE_RANGE[0]}..{SIZE_RANGE[1]}, got {self.size}")
        if self.identity < 0:
            raise ValueError(f"identity must be 0 or more, got {self.identity}")
        if self.text is not None and not self.text.strip():
            raise ValueError("text must not be empty")
        speech.check_voice(self.voice or "en-us")

    @property
    def num_frames(self) -> int:
        """T."""
        return round(self.seconds * FPS)

    @property
    def full_voice(self) -> str:
        """The voice with its variant: the identity's own unless one was named."""
        voice = self.voice or "en-us"
        return voice if "+" in voice else f"{voice}+{identity_of(self.identity).voice_variant}"


@dataclass(frozen=True)
class Performance:
    """All that is decided before the first pixel is drawn."""

    utterance: speech.Utterance
    text: str
    actions: npt.NDArray[np.float32]
    """[T, A]"""
    head: motion.HeadMotion


@dataclass(frozen=True)
class SubjectResult:
    """A clip in memory with its truth."""

    frames: npt.NDArray[np.uint8]
    """[T, H, W, 3] RGB."""
    labels: npt.NDArray[np.uint8]
    """[T, H, W]: 0 background, 1 head, 2 torso."""
    samples: npt.NDArray[np.float32]
    """[T * 640], 16 kHz."""
    phones: tuple[speech.Phone, ...]
    actions: npt.NDArray[np.float32]
    """[T, A]"""
    c2w: npt.NDArray[np.float32]
    """[T, 4, 4]"""
    lm3d: npt.NDArray[np.float32]
    """[T, 68, 3]"""
    lm2d: npt.NDArray[np.float32]
    """[T, 68, 2]"""
    focal: float
    background: npt.NDArray[np.uint8]
    """[H, W, 3]"""


def speak(seconds: float, voice: str, seed: int, text: str | None = None) -> tuple[speech.Utterance, str]:
    """Speech of exactly `seconds` and the words in it: sentences with short pauses between."""
    rng = np.random.default_rng([seed, 1])
    count = int(seconds / 1.4) + 2
    language = voice.partition("+")[0]
    sentences = [text] * count if text else draw_sentences(rng, language, count)
    words_per_minute = int(rng.integers(150, 176))
    pauses = rng.uniform(0.25, 0.7, count)
    pauses[0] = min(0.35, 0.2 * seconds)
    made: list[speech.Utterance] = []
    used, length = 0, 0.0
    for utterance in speech.synthesize(sentences, voice, words_per_minute):
        if length >= seconds:
            break
        made.append(utterance)
        length += pauses[used] + len(utterance.samples) / speech.SAMPLE_RATE_HZ
        used += 1
    return speech.join(made, [float(p) for p in pauses[:used]], seconds), " ".join(sentences[:used])


def perform(spec: SubjectSpec) -> Performance:
    """The sound and the motion of a clip."""
    names, t = load_head().actions.names, spec.num_frames
    utterance, text = speak(t / FPS, spec.full_voice, spec.seed, spec.text)
    person = identity_of(spec.identity)
    mouth = visemes.mouth_channels(utterance.phones, t, FPS)
    rng = np.random.default_rng([spec.seed, spec.identity, 2])
    stressed = [(p.start_s + p.end_s) / 2 for p in utterance.phones if "ˈ" in p.phone]
    emphasis = motion.emphasis_of(stressed, t, FPS)
    head = motion.head_motion(rng, t, FPS, emphasis)
    actions = visemes.mouth_actions(mouth, names, person.articulation)
    actions += motion.face_actions(rng, t, FPS, names, emphasis).astype(np.float32)
    return Performance(utterance, text, np.clip(actions, 0, 1).astype(np.float32), head)


def _make_renderer(spec: SubjectSpec) -> tuple[Renderer, npt.NDArray[np.uint8]]:
    person = load_person(spec.identity, 512 if spec.size <= 256 else 1024)
    background = paint_background(person.identity, spec.size, spec.identity)
    return Renderer(person, spec.size, background), background


def draw_frames(performance: Performance, renderer: Renderer) -> Iterator[Frame]:
    """Every frame in order."""
    head = performance.head
    for actions, rotvec, shift, sway in zip(performance.actions, head.rotvec, head.shift, head.sway, strict=True):
        yield renderer.draw(actions, Pose(rotvec, shift, sway))


def generate_subject(spec: SubjectSpec) -> SubjectResult:
    """The clip and its truth in memory; for short clips."""
    performance = perform(spec)
    renderer, background = _make_renderer(spec)
    frames = list(draw_frames(performance, renderer))
    return SubjectResult(
        frames=np.stack([f.image for f in frames]), labels=np.stack([f.labels for f in frames]),
        samples=performance.utterance.samples, phones=performance.utterance.phones, actions=performance.actions,
        c2w=np.stack([f.c2w for f in frames]).astype(np.float32),
        lm3d=np.stack([f.lm3d for f in frames]).astype(np.float32),
        lm2d=np.stack([f.lm2d for f in frames]).astype(np.float32), focal=renderer.focal, background=background,
    )  # fmt: skip


class TruthWriter:
    """Puts the truth of a clip into a folder frame by frame; memory does not grow with the pictures."""

    def __init__(self, folder: Path, spec: SubjectSpec) -> None:
        self.folder = folder
        t, s = spec.num_frames, spec.size
        shapes: dict[str, tuple[int, ...]] = {"c2w": (t, 4, 4), "lm3d": (t, 68, 3), "lm2d": (t, 68, 2)}
        self.arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self.labels = np.lib.format.open_memmap(folder / "labels.npy", mode="w+", dtype=np.uint8, shape=(t, s, s))

    def add(self, index: int, frame: Frame) -> None:
        """Keep the truth of one frame."""
        self.labels[index] = frame.labels
        for name, array in self.arrays.items():
            array[index] = getattr(frame, name)

    def finish(self, spec: SubjectSpec, performance: Performance, background: npt.NDArray[np.uint8]) -> None:
        """Write what is not there yet."""
        self.labels.flush()
        for name, array in (self.arrays | {"actions": performance.actions}).items():
            np.save(self.folder / f"{name}.npy", array, allow_pickle=False)
        cv2.imwrite(str(self.folder / "bg.png"), background[..., ::-1])
        facts = {
            "fps": FPS, "size": spec.size, "focal": FOCAL_PER_HEIGHT * spec.size,
            "cx": spec.size / 2, "cy": spec.size / 2,
            "identity": spec.identity, "voice": spec.full_voice, "seed": spec.seed, "text": performance.text,
            "action_names": list(load_head().actions.names), "label_names": ["background", "head", "torso"],
            "phones": [{"phone": p.phone, "start_s": round(p.start_s, 5), "end_s": round(p.end_s, 5),
                        "release_s": round(p.release_s, 5)} for p in performance.utterance.phones],
        }  # fmt: skip
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (self.folder / "truth.json").write_text(text, encoding="utf-8")


def write_subject(spec: SubjectSpec, path: Path, *, with_truth: bool = True, show_progress: bool = True) -> None:
    """`path` is an mp4 of the clip and, with `with_truth`, `<stem>.truth/` beside it holds its truth."""
    performance = perform(spec)
    renderer, background = _make_renderer(spec)
    with contextlib.ExitStack() as stack:
        truth = None
        if with_truth:
            truth = TruthWriter(stack.enter_context(atomic_dir(path.with_name(f"{path.stem}.truth"))), spec)
        size, sound = (spec.size, spec.size), performance.utterance.samples
        video = stack.enter_context(VideoWriter(path, size=size, fps=FPS, audio=sound, crf=CRF, preset="veryfast"))
        frames = draw_frames(performance, renderer)
        bar = tqdm(frames, total=spec.num_frames, desc=path.name, unit="frame", disable=not show_progress)
        for index, frame in enumerate(bar):
            video.write(frame.image)
            if truth:
                truth.add(index, frame)
        if truth:
            truth.finish(spec, performance, background)


def write_speech(path: Path, *, voice: str, seed: int, text: str | None, seconds: float | None) -> None:
    """`path` is a 16 kHz wav of a voice alone: of `text` once, or of `seconds` of our sentences."""
    if text is not None and seconds is None:
        samples = speech.synthesize([text], voice)[0].samples
    else:
        samples = speak(seconds or 10.0, voice, seed, text)[0].samples
    save_wav(path, samples)
