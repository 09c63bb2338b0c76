"""The first look at a raw video: refuse in plain words what cannot work, warn of what will work badly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from data_gen.videos.faces import FaceBox, sample_faces
from data_gen.videos.report import write_refusal
from utils.commons.schema import DataError
from utils.data.atomic import save_json
from utils.data.paths import raw_video
from utils.media.audio import load_wav
from utils.media.video import VideoInfo, probe

logger = logging.getLogger(__name__)
_MIN_FACE_SHARE = 0.5
_MAX_SECOND_FACE_SHARE = 0.2
_COMPARABLE = 0.5
"""A second face counts when it is at least this share of the first one's height."""
_SILENT_RMS = 1e-4


@dataclass(frozen=True)
class Finding:
    """One thing to know about a video."""

    level: Literal["fatal", "warning"]
    code: str
    text: str


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write ``preflight.json`` with the findings, the video's facts and the faces seen.

    Raises:
        DataError: A fatal finding.
    """
    path = raw_video(config.video_id)
    if not path.exists():
        raise FileNotFoundError(
            f"no video at {path}; copy one there: bash scripts/new_video.sh <file.mp4> {config.video_id}"
        )
    info = probe(path)
    findings = check_container(info, config)
    _refuse(config, processed_dir, findings)
    findings += check_sound(load_wav(path), info)
    faces = sample_faces(path, info)
    findings += check_faces(faces, info, config)
    _refuse(config, processed_dir, findings)
    log_warnings(path, findings)
    boxes = [[asdict(box) for box in boxes] for boxes in faces]
    save_json(
        out_dir / "preflight.json", {"findings": [asdict(f) for f in findings], "source": asdict(info), "faces": boxes}
    )


def check_container(info: VideoInfo, config: ProcessConfig) -> list[Finding]:
    """Return what the file's header tells."""
    findings = []
    if not info.has_audio:
        findings.append(
            Finding("fatal", "no_audio", "it has no audio track; give a video with the person's own speech")
        )
    if info.duration_s < config.min_duration_s:
        least = f"{config.min_duration_s:g} s (min_duration_s)"
        text = f"it lasts {info.duration_s:.1f} s; give at least {least}, better minutes"
        findings.append(Finding("fatal", "too_short", text))
    if abs(info.fps - 25) > 0.1 or abs(info.nominal_fps - info.fps) > 0.5:
        varies = " on average" if abs(info.nominal_fps - info.fps) > 0.5 else ""
        text = f"it has {info.fps:.4g} frames per second{varies}; frames are dropped or repeated to get 25"
        findings.append(Finding("warning", "fps", text))
    return findings


def check_sound(wav: np.ndarray, info: VideoInfo) -> list[Finding]:
    """Return what is wrong with the sound, [N] at 16 kHz."""
    rms = float(np.sqrt(np.mean(np.square(wav))))
    if rms < _SILENT_RMS:
        return [Finding("fatal", "silent", "its sound track is silent; give a video with the person's own speech")]
    seconds = len(wav) / 16000
    if seconds < info.duration_s - 0.5:
        text = f"the sound ends after {seconds:.1f} s of {info.duration_s:.1f} s; the rest is taken as silence"
        return [Finding("warning", "short_sound", text)]
    return []


def check_faces(faces: Sequence[Sequence[FaceBox]], info: VideoInfo, config: ProcessConfig) -> list[Finding]:
    """Return what is wrong with the faces of the sampled frames, largest first in each."""
    seen = [boxes for boxes in faces if boxes]
    if len(seen) < _MIN_FACE_SHARE * max(1, len(faces)):
        share = f"{len(seen)} of {len(faces)} sampled frames"
        text = f"a face is seen in {share}; give a video of one person facing the camera"
        return [Finding("fatal", "no_face", text)]
    findings = []
    crowded = sum(len(boxes) > 1 and boxes[1].height >= _COMPARABLE * boxes[0].height for boxes in seen)
    if crowded > _MAX_SECOND_FACE_SHARE * len(faces):
        text = f"several faces are seen in {crowded} of {len(faces)} sampled frames; cut the video to one person"
        findings.append(Finding("fatal", "several_faces", text))
    height = float(np.median([boxes[0].height for boxes in seen]))
    if height < config.min_face_px:
        text = f"the face is {height:.0f} pixels high; at least {config.min_face_px:g} are needed (min_face_px)"
        findings.append(Finding("fatal", "small_face", text))
    elif height * config.crop_scale < 0.75 * config.image_size:
        text = (
            f"the face is {height:.0f} pixels high; pictures of {config.image_size} will be enlarged and soft "
            "(a smaller image_size trains faster and looks the same)"
        )
        findings.append(Finding("warning", "low_resolution", text))
    if len(seen) < 0.95 * len(faces):
        share = f"{len(faces) - len(seen)} of {len(faces)} sampled frames"
        text = f"no face is seen in {share}; these are left out of training"
        findings.append(Finding("warning", "face_lost", text))
    return findings


def _refuse(config: ProcessConfig, processed_dir: Path, findings: Sequence[Finding]) -> None:
    fatal = [finding for finding in findings if finding.level == "fatal"]
    if fatal:
        write_refusal(processed_dir, config.video_id, [asdict(finding) for finding in fatal])
        raise DataError(f"{config.video_id}.mp4 cannot be used: {'; '.join(finding.text for finding in fatal)}")


def log_warnings(path: Path, findings: Sequence[Finding]) -> None:
    """Log every warning once."""
    for finding in findings:
        if finding.level == "warning":
            logger.warning("%s: %s", path.name, finding.text)
