"""A corpus of lip motion without pictures: many voices and languages on the open head, with exact landmarks.

A clip costs its speech features only, so an hour of clips is a matter of minutes. Speakers draw a face, a voice, a
language and how widely they articulate; sound is altered as other rooms and microphones would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_gen.synthetic import subject
from data_gen.synthetic.identity import identity_of, identity_vertices
from data_gen.synthetic.landmarks import landmark_indices
from data_gen.synthetic.render import HEAD_ORIGIN
from modules.audio import SAMPLES_PER_FRAME, build_speech_encoder, extract_f0
from modules.audio.augment import augment, resample_motion
from modules.audio.synthetic_speech import VOICES, variants
from modules.face.morphable.head_asset import FloatArray, HeadAsset, load_head
from utils.commons.schema import ConfigError
from utils.data.clip_store import Clip, write_corpus
from utils.data.paths import binary_corpus

_CM = 100.0
_VAL_EVERY = 20
KEPT_FOR_TESTS = frozenset({"f3", "m5"})
"""Voice variants that articulation is tested with; no model is trained on them."""


@dataclass(frozen=True)
class MotionCorpusSpec:
    """What the corpus holds; the same values give the same clips."""

    name: str
    """Folder below data/binary."""
    speakers: int = 40
    clips_per_speaker: int = 8
    seconds_per_clip: float = 5.0
    seed: int = 0
    speech_encoder: str = "moonshine+mel"
    augment: bool = True
    """Alter the sound of every second clip."""
    num_workers: int = 1

    def __post_init__(self) -> None:
        for name in ("speakers", "clips_per_speaker", "num_workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")


def write_motion_corpus(spec: MotionCorpusSpec) -> None:
    """``data/binary/<name>`` holds the clips, ready for training."""
    import joblib

    parallel = joblib.Parallel(n_jobs=spec.num_workers, backend="loky", return_as="generator")
    made = parallel(joblib.delayed(speaker_clips)(spec, number) for number in range(spec.speakers))

    def rows() -> Iterator[tuple[str, Clip]]:
        for clips in made:
            for clip in clips:
                rank = int.from_bytes(hashlib.sha256(clip.item_id.encode()).digest()[:4], "big")
                yield ("train" if rank % _VAL_EVERY else "val"), clip

    write_corpus(binary_corpus(spec.name), rows(), name=spec.name, encoder=spec.speech_encoder, landmarker="synthetic")


def speaker_clips(spec: MotionCorpusSpec, number: int) -> list[Clip]:
    """Return all clips of one speaker."""
    rng = np.random.default_rng([spec.seed, number, 11])
    usable = [name for name in variants() if name not in KEPT_FOR_TESTS]
    language = list(VOICES)[int(rng.integers(len(VOICES)))] if rng.random() < 0.6 else "en-us"
    voice = f"{language}+{usable[int(rng.integers(len(usable)))]}"
    size = float(rng.uniform(0.7, 1.15))
    encoder = build_speech_encoder(spec.speech_encoder)
    clips = []
    for index in range(spec.clips_per_speaker):
        wav, lm3d = performed(spec, number, voice, size, index)
        if spec.augment and index % 2:
            changed = augment(wav, rng)
            frames = int(len(changed.wav) // SAMPLES_PER_FRAME)
            wav, lm3d = changed.wav[: frames * SAMPLES_PER_FRAME], resample_motion(lm3d, changed.speed, frames)
        speech = encoder.encode(wav).astype(np.float16)
        speaker = f"{spec.name}_{number:03d}"
        clips.append(Clip(f"{speaker}_{index:03d}", speaker, lm3d.astype(np.float32), speech, extract_f0(wav)))
    return clips


def performed(
    spec: MotionCorpusSpec, number: int, voice: str, size: float, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sound [640 T] at 16 kHz and landmarks [T,68,3] in cm of one clip.

    Args:
        spec: Of the corpus.
        number: Of the speaker, who has the face of this identity.
        voice: Language and variant.
        size: Scale of the speaker's motion.
        index: Of the clip.
    """
    seed = spec.seed * 1_000_003 + number * 1009 + index
    subject_spec = subject.SubjectSpec(seconds=spec.seconds_per_clip, identity=number, voice=voice, seed=seed)
    performance = subject.perform(subject_spec)
    neutral, moves = face_of(number)
    motion = np.tensordot(performance.actions, moves, axes=1)
    return performance.utterance.samples, _CM * (neutral + size * motion)


def face_of(identity: int) -> tuple[FloatArray, FloatArray]:
    """Return the landmarks [68,3] of an identity at rest and their displacement [A,68,3] by each action, metres."""
    head: HeadAsset = load_head()
    where = landmark_indices(head)
    neutral = identity_vertices(head, identity_of(identity))
    return neutral[where] - HEAD_ORIGIN, head.actions.matrix(len(head.vertices))[:, where]
