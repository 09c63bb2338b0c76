"""The stages from a raw video to a person's dataset, in order."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from data_gen.stages import Progress, RunStage, Stage, run_stages
from data_gen.videos.config import ProcessConfig
from data_gen.videos.report import publish
from utils.data.paths import binary_video, processed_video, raw_video


def process_video(config: ProcessConfig, *, stage: str | None = None, force: bool = False) -> list[str]:
    """Make ``data/binary/videos/<id>`` from ``data/raw/videos/<id>.mp4`` and return the stages that ran."""
    folder = processed_video(config.video_id)
    done = run_stages(video_stages(), config, folder, only=stage, force=force)
    publish(folder)
    return done


def video_stages() -> list[Stage]:
    """Return the pipeline of a person's video."""
    return [*_picture_stages(), *_dataset_stages()]


def _picture_stages() -> list[Stage]:
    """Return what looks at the raw video and at its faces."""
    return [
        Stage(
            "preflight",
            ("preflight.json",),
            _late("preflight"),
            keys=("video_id", "image_size", "crop_scale", "min_duration_s", "min_face_px"),
            sources=_raw,
        ),
        Stage(
            "ingest",
            ("video.mp4", "audio.wav", "ingest.json"),
            _late("ingest"),
            inputs=("preflight",),
            keys=("video_id", "image_size", "crop", "crop_scale", "crop_center"),
            sources=_raw,
        ),
        Stage(
            "landmarks",
            ("lm478.npy", "lm68.npy", "valid.npy", "landmarks.json"),
            _late("landmarks"),
            inputs=("ingest",),
            keys=("landmarker",),
            in_chunks=True,
        ),
        Stage(
            "sync_check",
            ("sync_check.json",),
            _late("sync_check"),
            inputs=("ingest", "landmarks"),
            keys=("fix_sync",),
            version=2,
        ),
        Stage(
            "head_pose",
            ("c2w.npy", "lm3d.npy", "head_pose.json"),
            _late("head_pose"),
            inputs=("ingest", "landmarks"),
            keys=("focal_factor", "pose_refine", "tracker"),
            in_chunks=True,
            version=10,
        ),
    ]


def _dataset_stages() -> list[Stage]:
    """Return what makes layers, speech features and the dataset."""
    return [
        Stage(
            "segmentation",
            ("masks.arrow",),
            _late("segmentation"),
            inputs=("ingest", "landmarks"),
            keys=("segmenter", "segmenter_weights"),
            in_chunks=True,
            version=3,
        ),
        Stage(
            "layers",
            ("bg.png", "frames.arrow"),
            _late("layers"),
            inputs=("ingest", "landmarks", "segmentation"),
            in_chunks=True,
            version=2,
        ),
        Stage(
            "report",
            ("report.html", "findings.json"),
            _late("report"),
            inputs=("preflight", "ingest", "landmarks", "sync_check", "head_pose", "segmentation", "layers"),
        ),
        Stage(
            "audio_features",
            ("speech.npy", "f0.npy", "audio_features.json"),
            _late("audio_features"),
            inputs=("ingest", "sync_check"),
            keys=("speech_encoder", "hubert_path"),
        ),
        Stage(
            "binarize",
            ("manifest.json", "frames.arrow", "audio.wav"),
            _late("binarize"),
            inputs=("ingest", "landmarks", "sync_check", "head_pose", "layers", "audio_features"),
            keys=("video_id", "landmark_smoothing"),
            folder=lambda config: binary_video(config.video_id),
        ),
    ]


def _raw(config: ProcessConfig) -> list[Path]:
    raw = raw_video(config.video_id)
    return [raw, raw.with_name(f"{raw.stem}.cuts.json")]


def _late(name: str) -> RunStage:
    """Return ``data_gen.videos.<name>.run``, imported when it is called: listing stages loads no heavy library."""

    def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
        function: Callable[..., None] = importlib.import_module(f"data_gen.videos.{name}").run
        function(config, processed_dir, out_dir, progress)

    return run
