"""Reads what the stages left of one clip and measures it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from data_gen.tracking_bench import figures
from data_gen.tracking_bench.footage import Case
from modules.face.head_pose import project_lm3d
from modules.face.landmarks68 import EYE_CORNERS
from utils.data.paths import processed_video
from utils.data.picture_store import PictureStore
from utils.geometry.cameras import Intrinsics

Figures = dict[str, float]
_VISIBLE_JUMP = 0.03
"""A join is visible where the face jumps by this share of the eye distance."""
_EVERY = 5
"""Masks are compared in every fifth frame."""


def _array(folder: Path, name: str) -> np.ndarray:
    array: np.ndarray = np.load(folder / f"{name}.npy", allow_pickle=False)
    return array


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def self_consistency(video_id: str) -> Figures:
    """Return the figures that need no truth."""
    folder = processed_video(video_id)
    c2w, lm3d = _array(folder / "head_pose", "c2w"), _array(folder / "head_pose", "lm3d")
    valid, points = _array(folder / "landmarks", "valid"), _array(folder / "landmarks", "lm68")[..., :2]
    pose = _json(folder / "head_pose" / "head_pose.json")
    camera = Intrinsics(*(pose[key] for key in ("focal", "cx", "cy", "height", "width")))
    apart = np.linalg.norm(project_lm3d(lm3d, c2w, camera) - points, axis=-1)[valid]
    return {
        "reprojection_px": float(apart.mean()),
        "rigid_reprojection_px": float(pose["reprojection_px"]),
        "rest_jitter_deg": figures.rest_jitter(c2w, [(int(a), int(b)) for a, b in pose["segments"]]),
        "leakage": figures.leakage(lm3d[valid]),
    }


def against_truth(case: Case) -> Figures:
    """Return the figures of a synthetic clip."""
    folder = processed_video(case.video_id)
    facts = _json(case.truth / "truth.json")
    pose = _json(folder / "head_pose" / "head_pose.json")
    true_lm3d = _array(case.truth, "lm3d")
    lm3d = _array(folder / "head_pose", "lm3d")
    result = figures.pose_errors(_array(folder / "head_pose", "c2w"), _array(case.truth, "c2w"))
    result |= {"focal_error": abs(pose["focal"] / facts["focal"] - 1)}
    result |= figures.mouth_figures(lm3d, true_lm3d)
    masks = PictureStore(folder / "segmentation" / "masks.arrow")
    labels = np.load(case.truth / "labels.npy", mmap_mode="r", allow_pickle=False)
    overlaps = [figures.mask_overlap(labels[i], masks.read("masks", i)) for i in range(0, len(masks), _EVERY)]
    result["head_iou"], result["torso_iou"] = (float(value) for value in np.mean(overlaps, axis=0))
    return result | self_consistency(case.video_id)


def cuts_against(video_id: str, truth: Path) -> Figures:
    """Return how well the cuts listed in the file ``truth`` were found without it."""
    folder = processed_video(video_id)
    segments = _json(folder / "landmarks" / "landmarks.json")["segments"]
    points = _array(folder / "landmarks", "lm478")[..., :2]
    true = [int(cut) for cut in _json(truth)["cut_frames"] if 0 < int(cut) < len(points)]
    unit = np.median(np.linalg.norm(points[:, EYE_CORNERS[1]] - points[:, EYE_CORNERS[0]], axis=1))
    jump = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=1) / unit
    visible = [cut for cut in true if jump[cut - 1] > _VISIBLE_JUMP]
    return figures.cut_figures([int(start) for start, _ in segments[1:]], true, visible)


def costs(video_id: str) -> Figures:
    """Return seconds of the whole processing and its highest peak of memory."""
    timings = _json(processed_video(video_id) / "timings.json")
    seconds = sum(stage["seconds"] for stage in timings.values())
    return {"seconds": seconds, "peak_memory_mb": max(stage["peak_memory_mb"] for stage in timings.values())}
