"""Speech to landmarks, measured on a person's own sound, foreign voices, synthetic phones and left-out speakers.

Candidates stand side by side: the generic model, a plain average of it with the person's ridge map (hard to beat where
there is little video), the person's postnet, and what the filters make of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from inference.articulation_trial import articulation_row
from inference.audio_to_landmarks import SpeechToMotion
from inference.camera_path import CameraPath
from inference.landmark_scores import (
    PersonMouth,
    judged_row,
    motion_row,
    person_mouth,
    pieces_of,
    timing_row,
    truth_row,
)
from inference.pipeline import TalkingHead
from inference.scoring import Row
from inference.voice_activity import speech_activity
from modules.audio import build_speech_encoder, extract_f0, frames_of
from modules.audio2motion.model import Audio2MotionVAE
from modules.audio2motion.windowed import infer_windowed
from modules.postnet.ridge import SpeechRidge
from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet
from utils.commons.checkpoint import latest_step
from utils.commons.schema import ConfigError
from utils.data.clip_motion import SpeechKind, check_same_speech, speech_of_experiment
from utils.data.clip_store import Clip, ClipStore
from utils.data.paths import under_work_root
from utils.data.person_store import PersonStore
from utils.media.audio import load_wav
from utils.metrics.landmark import silence_leak
from utils.metrics.lipsync import lip_opening

logger = logging.getLogger(__name__)

Predictor = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(speech [2T,C], f0 [2T], T) to deviations [T,68,3] in cm."""
_RIDGE_PENALTY, _RIDGE_SHARE, _RIDGE_PIECE = 1000.0, 0.5, 1000


@dataclass
class LandmarkTest:
    """A person's data and what is measured on them."""

    head: TalkingHead
    judge: SyncNet | None
    rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        store = self.head.store
        self.store: PersonStore = store
        self.mouth: PersonMouth = person_mouth(store)
        self.wav = load_wav(store.audio_path)
        self.frames = store.indices("test")
        self.segments = store.manifest.segments
        self.pieces = pieces_of(self.frames, self.segments)
        self.speaking = speech_activity(self.wav, len(store))
        self.true = np.array(store.lm3d, np.float32)
        self.own_leak = silence_leak(lip_opening(self.true), self.speaking, self.segments)
        self.rows["true"] = self._own_row(self.true)

    def _beside_own_leak(self, leak: float) -> float:
        """Return it over the person's own; NaN where the person's mouth is perfectly still in pauses."""
        return leak / self.own_leak if self.own_leak else float("nan")

    def own(self, title: str, predictor: Predictor, *, filters: bool) -> None:
        """Measure a predictor on the test frames of the person's own sound; timing over the whole clip."""
        store = self.store
        deviations = predictor(np.asarray(store.speech), np.asarray(store.f0), len(store))
        lm3d = deviations + store.lm3d_neutral
        if filters:
            path = CameraPath(np.arange(len(store)), np.asarray(store.c2w))
            lm3d = self.head.filtered(deviations, self.wav, path)
        self.rows[title] = self._own_row(lm3d)

    def _own_row(self, lm3d: np.ndarray) -> Row:
        frames, store = self.frames, self.store
        pred, true = lm3d[frames], self.true[frames]
        row = truth_row(pred, true, pieces=self.pieces, speaking=self.speaking[frames], mouth=self.mouth)
        row["leak_ratio"] = self._beside_own_leak(row["silence_leak"])
        row |= timing_row(lm3d, self.wav, self.segments)
        if self.judge is not None:
            row |= judged_row(self.judge, np.asarray(store.speech), lm3d - store.lm3d_neutral, self.segments)
        return row

    def foreign(self, title: str, predictor: Predictor, wav: np.ndarray, *, filters: bool) -> None:
        """Measure a predictor on a voice it never heard."""
        encoder = build_speech_encoder(self.store.manifest.speech_encoder)
        speech, frames = encoder.encode(wav), frames_of(len(wav))
        deviations = predictor(speech, extract_f0(wav), frames)
        lm3d = deviations + self.store.lm3d_neutral
        if filters:
            lm3d = self.head.filtered(deviations, wav, self.head.path(frames))
        pieces = [(0, frames)]
        row = motion_row(lm3d, pieces=pieces, speaking=speech_activity(wav, frames), mouth=self.mouth)
        row["leak_ratio"] = self._beside_own_leak(row["silence_leak"])
        row |= timing_row(lm3d, wav)
        if self.judge is not None:
            row |= judged_row(self.judge, speech, lm3d - self.store.lm3d_neutral, pieces)
        self.rows[title] = row

    def articulation(self, title: str, predictor: Predictor) -> None:
        """Add the articulation figures to a row."""
        encoder = build_speech_encoder(self.store.manifest.speech_encoder)

        def landmarks(wav: np.ndarray) -> np.ndarray:
            return predictor(encoder.encode(wav), extract_f0(wav), frames_of(len(wav))) + self.store.lm3d_neutral

        self.rows[title] = self.rows[title] | articulation_row(landmarks)


def vae_predictor(vae: Audio2MotionVAE) -> Predictor:
    """Return the generic model's most likely motion as a predictor."""

    @torch.inference_mode()
    def predict(speech: np.ndarray, f0: np.ndarray, num_frames: int) -> np.ndarray:
        rows, pitch = (torch.from_numpy(np.array(a, np.float32))[None] for a in (speech, f0))
        motion = infer_windowed(vae, rows, f0=pitch if vae.config.use_pitch else None, temperature=0.0)
        return motion[0].float().numpy().reshape(num_frames, 68, 3)

    return predict


def ridge_predictor(store: PersonStore) -> Predictor:
    """Return the person's linear map from speech to motion, fitted on the training ranges."""
    ridge = SpeechRidge(store.manifest.speech_dim, 204)

    def pieces() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        found = []
        for start, end in store.manifest.train_ranges:
            for low in range(start, end, _RIDGE_PIECE):
                high = min(end, low + _RIDGE_PIECE)
                speech = np.array(store.speech[2 * low : 2 * high], np.float32)
                motion = (np.array(store.lm3d[low:high], np.float32) - store.lm3d_neutral).reshape(high - low, -1)
                valid = np.array(store.valid[low:high], np.float32)
                found.append((torch.from_numpy(speech), torch.from_numpy(motion), torch.from_numpy(valid)))
        return found

    ridge.fit(pieces(), _RIDGE_PENALTY)

    def predict(speech: np.ndarray, f0: np.ndarray, num_frames: int) -> np.ndarray:
        motion = ridge(torch.from_numpy(np.array(speech, np.float32))[None])
        return np.asarray(motion[0].numpy().reshape(num_frames, 68, 3))

    return predict


def average(first: Predictor, second: Predictor, share: float = _RIDGE_SHARE) -> Predictor:
    """Return ``share`` of the first and the rest of the second."""
    return lambda speech, f0, n: share * first(speech, f0, n) + (1 - share) * second(speech, f0, n)


def candidates(head: TalkingHead, generic_dir: str) -> dict[str, Predictor]:
    """Return what can be compared: by name, as far as the experiments exist.

    Raises:
        ConfigError: Neither a postnet nor ``generic_dir`` is there.
        DataError: The models were trained on other speech features.
    """
    has_postnet = latest_step(head.config.postnet_dir) is not None
    if not has_postnet and not generic_dir:
        raise ConfigError("no postnet is trained; train it, or name the generic model: --generic checkpoints/<...>")
    found: dict[str, Predictor] = {}
    motion = SpeechToMotion(head.config, head.store) if has_postnet else None
    if generic_dir:
        manifest = head.store.manifest
        data = SpeechKind(f"dataset {manifest.video_id}", manifest.speech_encoder, manifest.speech_dim)
        check_same_speech(data, speech_of_experiment(generic_dir))
        vae, _, _ = load_pretrained(Audio2MotionVAE, under_work_root(generic_dir))
    else:
        assert motion is not None
        vae = motion.vae
    found["generic"] = vae_predictor(vae)
    found["ridge"] = ridge_predictor(head.store)
    found["ridge average"] = average(found["ridge"], found["generic"])
    if motion is not None:
        found["postnet"] = motion.from_features
    return found


def evaluate_landmarks(
    head: TalkingHead, *, generic_dir: str, judge_dir: str, wavs: Sequence[Path], artic: bool
) -> dict[str, Row]:
    """Return the figures of all candidates on a person's own sound, and of the last one on foreign voices."""
    judge = load_judge(judge_dir)
    test = LandmarkTest(head, judge)
    found = candidates(head, generic_dir)
    best = list(found)[-1]
    for title, predictor in found.items():
        test.own(title, predictor, filters=False)
        if artic:
            test.articulation(title, predictor)
    test.own(f"{best}, filters", found[best], filters=True)
    for path in wavs:
        test.foreign(f"{best}, filters, {path.stem}", found[best], load_wav(path), filters=True)
    return test.rows


def evaluate_speakers(corpus: str, speakers: Sequence[str], *, generic_dir: str, judge_dir: str) -> dict[str, Row]:
    """Return the generic model's figures on speakers of a corpus, a speaker's clips joined, and their mean."""
    vae, _, _ = load_pretrained(Audio2MotionVAE, under_work_root(generic_dir))
    predictor, judge = vae_predictor(vae), load_judge(judge_dir)
    rows: dict[str, Row] = {}
    clips = [clip for split in ("train", "val") for clip in _clips(corpus, split)]
    for speaker in speakers or sorted({clip.speaker for clip, _ in clips}):
        own = [(clip, mean) for clip, mean in clips if clip.speaker == speaker]
        if not own:
            raise ConfigError(f"corpus {corpus} has no speaker {speaker!r}")
        ends = np.cumsum([len(clip.lm3d) for clip, _ in own]).tolist()
        pieces = list(zip([0, *ends[:-1]], ends, strict=True))
        true = np.concatenate([clip.lm3d for clip, _ in own])
        mean = own[0][1]
        pred = np.concatenate([predictor(clip.speech, clip.f0, len(clip.lm3d)) for clip, _ in own]) + mean
        silent = np.ones(len(true), bool)
        row = truth_row(pred, true, pieces=pieces, speaking=silent, mouth=None)
        if judge is not None:
            speech = np.concatenate([clip.speech for clip, _ in own])
            row |= judged_row(judge, speech, pred - mean, pieces)
            row["sync_conf_true"] = judged_row(judge, speech, true - mean, pieces).get("sync_conf", float("nan"))
        rows[speaker] = {name: value for name, value in row.items() if name not in ("silence_leak", "rest_opening")}
    rows["mean"] = mean_row(list(rows.values()))
    return rows


def mean_row(rows: Sequence[Row]) -> Row:
    """Return the mean of each figure over the rows where it exists."""
    found = {name: [row[name] for row in rows if np.isfinite(row.get(name, np.nan))] for name in rows[0]}
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def _clips(corpus: str, split: str) -> list[tuple[Clip, np.ndarray]]:
    """Return every clip with its speaker's mean landmarks [68,3]."""
    store = ClipStore(under_work_root("data/binary") / corpus, split)
    return [(store[index], store.speaker_mean(store[index].speaker)) for index in range(len(store))]


def load_judge(judge_dir: str) -> SyncNet | None:
    """Return the SyncNet of an experiment, or None for ``""``."""
    return load_pretrained(SyncNet, under_work_root(judge_dir))[0] if judge_dir else None
