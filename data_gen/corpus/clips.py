"""One clip of a corpus: landmarks without pose, speech features, pitch; cached in a file of its own."""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_gen.corpus.config import CorpusConfig
from modules.audio import SAMPLES_PER_FRAME, SpeechEncoder, build_speech_encoder, extract_f0
from utils.commons.schema import DataError
from utils.data.atomic import atomic_path, save_json
from utils.data.clip_store import Clip
from utils.media.audio import load_wav
from utils.media.video import probe, read_frames

SUFFIXES = (".mp4", ".mpg", ".mpeg", ".avi", ".mov", ".mkv", ".webm")
_VERSION = 1
_UNUSABLE = (DataError, OSError, ValueError, RuntimeError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class ClipFile:
    """Where a clip is and where its results go."""

    speaker: str
    path: Path
    cache: Path
    """``<processed>/<speaker>/<clip>.npz``; beside it ``<clip>.bad.json`` if the clip cannot be used."""

    @property
    def item_id(self) -> str:
        """``<speaker>_<clip>``."""
        return f"{self.speaker}_{self.path.stem}"

    @property
    def bad_note(self) -> Path:
        """The file that says why the clip cannot be used."""
        return self.cache.with_suffix(".bad.json")


def find_clips(folder: Path, processed: Path) -> list[ClipFile]:
    """Return the clips ``<speaker>/<clip>.<suffix>`` of a folder, sorted by speaker and name.

    Raises:
        FileNotFoundError: No such folder.
        DataError: No clip in it, or two clips of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; name a folder that holds <speaker>/<clip>.mp4")
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        loose = sum(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
        found = f"{loose} videos directly in it" if loose else "no video"
        raise DataError(f"{folder} holds {found}; expected one folder a speaker: <speaker>/<clip>.mp4")
    clips = [ClipFile(p.parent.name, p, processed / p.parent.name / f"{p.stem}.npz") for p in paths]
    twice = [a for a, b in itertools.pairwise(clips) if a.cache == b.cache]
    if twice:
        raise DataError(f"two videos are called {twice[0].path.parent / twice[0].path.stem}.*; rename or delete one")
    return clips


def fingerprint(clip: ClipFile, config: CorpusConfig) -> str:
    """Return what the cached result depends on, as text."""
    stat = clip.path.stat()
    keys = ("speech_encoder", "hubert_path", "landmarker", "focal_factor", "min_frames", "min_face_share")
    values = {key: getattr(config, key) for key in keys}
    return json.dumps(
        {"version": _VERSION, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, **values}, sort_keys=True
    )


def process_clip(clip: ClipFile, config: CorpusConfig, *, force: bool = False) -> str:
    """Cache the clip's arrays and return ``""``, or cache and return the reason why it cannot be used."""
    stamp = fingerprint(clip, config)
    if not force:
        known = cached_reason(clip, stamp)
        if known is not None:
            return known
    try:
        arrays = clip_arrays(clip.path, config)
    except _UNUSABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        clip.cache.unlink(missing_ok=True)
        save_json(clip.bad_note, {"fingerprint": stamp, "reason": reason})
        return reason
    with atomic_path(clip.cache) as temporary, temporary.open("wb") as file:
        np.savez(file, fingerprint=np.array(stamp), **arrays)
    clip.bad_note.unlink(missing_ok=True)
    return ""


def cached_reason(clip: ClipFile, stamp: str) -> str | None:
    """Return ``""`` if a good result is cached, the reason if the clip is known as bad, None if it is to be
    processed."""
    if clip.cache.exists():
        with np.load(clip.cache, allow_pickle=False) as stored:
            if str(stored["fingerprint"]) == stamp:
                return ""
    if clip.bad_note.exists():
        note = json.loads(clip.bad_note.read_text(encoding="utf-8"))
        if note["fingerprint"] == stamp:
            return str(note["reason"])
    return None


def load_clip(clip: ClipFile) -> Clip:
    """Return the cached arrays of a good clip."""
    with np.load(clip.cache, allow_pickle=False) as stored:
        return Clip(clip.item_id, clip.speaker, stored["lm3d"], stored["speech"], stored["f0"])


def clip_arrays(path: Path, config: CorpusConfig) -> dict[str, np.ndarray]:
    """Return ``lm3d`` [T,68,3] f32, ``speech`` [2T,C] f16 and ``f0`` [2T] f32 of a clip.

    Raises:
        DataError: Too short, no sound, or the face is missing too often.
    """
    from modules.face.head_pose import solve_head_pose  # after the cheap checks, in the worker

    info = probe(path)
    if not info.has_audio:
        raise DataError("no audio track")
    wav = load_wav(path)
    if float(np.abs(wav).max()) < 1e-4:
        raise DataError("the sound track is silent")
    track = _landmarker(config.landmarker).track(read_frames(path, fps=25))
    num_frames = len(track.points)
    if num_frames < config.min_frames:
        raise DataError(f"{num_frames} frames, fewer than min_frames {config.min_frames}")
    share = float(track.valid.mean())
    if share < config.min_face_share:
        raise DataError(f"a face in {share:.0%} of the frames, less than min_face_share {config.min_face_share:.0%}")
    size = (info.height, info.width)
    pose = solve_head_pose(track.points, track.valid, size, [(0, num_frames)], focal_factor=config.focal_factor)
    if not np.isfinite(pose.lm3d).all():
        raise DataError("the head pose could not be found")
    length = num_frames * SAMPLES_PER_FRAME
    wav = np.pad(wav[:length], (0, max(0, length - len(wav))))
    speech = _encoder(config.speech_encoder, config.hubert_path).encode(wav).astype(np.float16)
    return {"lm3d": pose.lm3d.astype(np.float32), "speech": speech, "f0": extract_f0(wav)}


@functools.cache
def _encoder(name: str, hubert_path: str) -> SpeechEncoder:
    return build_speech_encoder(name, hubert_path=hubert_path)


@functools.cache
def _landmarker(name: str) -> Any:
    from modules.face.landmarkers.base import build_landmarker

    return build_landmarker(name)
