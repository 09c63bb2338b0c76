"""Stage ``head_pose``: the camera of every frame around a still head, and landmarks without pose."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from data_gen.videos.frames import num_threads, ordered_map
from modules.face.head_pose import FOCAL_FACTOR, HeadPose, solve_head_pose, with_motion
from modules.face.photometric import Alignment, PhotometricAligner, joined
from modules.face.pose_smoother import smooth_poses
from utils.data.atomic import save_json, save_npy
from utils.geometry.rotations import world_to_camera_from_c2w
from utils.media.video import read_frames

logger = logging.getLogger(__name__)
_TEXTURE_FRAMES = 120


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write c2w.npy, lm3d.npy, shape.npy and head_pose.json."""
    points = np.load(processed_dir / "landmarks" / "lm478.npy", allow_pickle=False)
    valid = np.load(processed_dir / "landmarks" / "valid.npy", allow_pickle=False)
    facts = json.loads((processed_dir / "landmarks" / "landmarks.json").read_text(encoding="utf-8"))
    segments = [(int(start), int(end)) for start, end in facts["segments"]]
    size = (config.image_size, config.image_size)
    pose = solve_head_pose(points, valid, size, segments, focal_factor=config.focal_factor or FOCAL_FACTOR)
    if config.pose_refine == "photometric":
        alignments = _align(config, processed_dir / "ingest" / "video.mp4", pose, valid, progress)
        logger.info("frames agree with the face's texture by %.3f", np.mean([one.correlation for one in alignments]))
        pose = with_motion(pose, points, smooth_poses(*joined(alignments, valid), segments))
    save_npy(out_dir / "c2w.npy", pose.c2w)
    save_npy(out_dir / "lm3d.npy", pose.lm3d)
    save_npy(out_dir / "shape.npy", pose.shape.astype(np.float32))
    save_json(out_dir / "head_pose.json", _facts(config, pose, valid, segments))


def _align(
    config: ProcessConfig, video: Path, pose: HeadPose, valid: np.ndarray, progress: Progress
) -> list[Alignment]:
    rotation, translation = world_to_camera_from_c2w(pose.c2w)
    aligner = PhotometricAligner(pose.shape, pose.intrinsics)
    step = -(-len(valid) // _TEXTURE_FRAMES)
    used = np.arange(0, len(valid), step)
    frames = (frame for frame, usable in zip(read_frames(video, step=step), valid[used], strict=True) if usable)
    used = used[valid[used]]
    aligner.learn(frames, rotation[used], translation[used])
    items = zip(read_frames(video), rotation, translation, strict=True)
    aligned = ordered_map(lambda item: aligner.align(*item), items, num_threads(config.num_workers))
    return list(progress(aligned, total=len(valid)))


def _facts(
    config: ProcessConfig, pose: HeadPose, valid: np.ndarray, segments: list[tuple[int, int]]
) -> dict[str, object]:
    camera = pose.intrinsics
    return {
        "focal": camera.focal,
        "cx": camera.cx,
        "cy": camera.cy,
        "height": camera.height,
        "width": camera.width,
        "pose_refine": config.pose_refine,
        "reprojection_px": round(float(pose.reprojection_px[valid].mean()), 4),
        "segments": segments,
    }
