"""Stage ``head_pose``: the camera of every frame around a still head, and landmarks without pose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face.head_pose import FOCAL_FACTOR, HeadPose, solve_head_pose
from utils.data.atomic import save_json, save_npy


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write c2w.npy, lm3d.npy, shape.npy and head_pose.json."""
    points = np.load(processed_dir / "landmarks" / "lm478.npy", allow_pickle=False)
    valid = np.load(processed_dir / "landmarks" / "valid.npy", allow_pickle=False)
    facts = json.loads((processed_dir / "landmarks" / "landmarks.json").read_text(encoding="utf-8"))
    segments = [(int(start), int(end)) for start, end in facts["segments"]]
    size = (config.image_size, config.image_size)
    pose = solve_head_pose(points, valid, size, segments, focal_factor=config.focal_factor or FOCAL_FACTOR)
    save_npy(out_dir / "c2w.npy", pose.c2w)
    save_npy(out_dir / "lm3d.npy", pose.lm3d)
    save_npy(out_dir / "shape.npy", pose.shape.astype(np.float32))
    save_json(out_dir / "head_pose.json", _facts(pose, valid, segments))


def _facts(pose: HeadPose, valid: np.ndarray, segments: list[tuple[int, int]]) -> dict[str, object]:
    camera = pose.intrinsics
    return {
        "focal": camera.focal,
        "cx": camera.cx,
        "cy": camera.cy,
        "height": camera.height,
        "width": camera.width,
        "reprojection_px": round(float(pose.reprojection_px[valid].mean()), 4),
        "segments": segments,
    }
