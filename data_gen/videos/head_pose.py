"""Stage ``head_pose``: the camera of every frame around a still head, and landmarks without pose."""

from __future__ import annotations

import json
import logging
from dataclasses import fields
from pathlib import Path

import numpy as np

from data_gen.chunks import load_arrays, one_opencv_thread, run_chunks, save_arrays
from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face.appearance import HeadAppearance, expression_codes
from modules.face.head_pose import HeadPose, solve_head_pose, with_motion
from modules.face.photometric import Alignment, PhotometricAligner, joined
from modules.face.pose_smoother import smooth_poses
from modules.face.pose_solver import Poses
from modules.face.tracker.fit import fit_clip, mediapipe_head, point_model
from modules.face.tracker.result import head_pose_of
from utils.commons.threads import num_threads
from utils.data.atomic import save_json, save_npy
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import world_to_camera_from_c2w
from utils.media.clip import read_clip

logger = logging.getLogger(__name__)
_TEXTURE_FRAMES = 120


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write c2w.npy, lm3d.npy, shape.npy, head_pose.json; from the morphable head expression.npy and identity.npy."""
    points = np.load(processed_dir / "landmarks" / "lm478.npy", allow_pickle=False)
    valid = np.load(processed_dir / "landmarks" / "valid.npy", allow_pickle=False)
    facts = json.loads((processed_dir / "landmarks" / "landmarks.json").read_text(encoding="utf-8"))
    segments = [(int(start), int(end)) for start, end in facts["segments"]]
    pose = _from_landmarks(config, points, valid, segments)
    if config.pose_refine == "photometric":
        alignments = _align(config, processed_dir / "ingest" / "video.mp4", pose, valid, out_dir, progress)
        logger.info("frames agree with the face's texture by %.3f", np.mean([one.correlation for one in alignments]))
        pose = with_motion(pose, points, smooth_poses(*joined(alignments, valid), segments))
    save_npy(out_dir / "c2w.npy", pose.c2w)
    save_npy(out_dir / "lm3d.npy", pose.lm3d)
    save_npy(out_dir / "shape.npy", pose.shape.astype(np.float32))
    if pose.expression is not None and pose.identity is not None:
        save_npy(out_dir / "expression.npy", pose.expression)
        save_npy(out_dir / "identity.npy", pose.identity)
    save_npy(out_dir / "reprojection_px.npy", pose.reprojection_px.astype(np.float32))
    save_json(out_dir / "head_pose.json", _facts(config, pose, valid, segments))


def _from_landmarks(
    config: ProcessConfig, points: np.ndarray, valid: np.ndarray, segments: list[tuple[int, int]]
) -> HeadPose:
    """Return poses and pose-free landmarks as the chosen tracker finds them."""
    size = config.image_size
    if config.tracker == "rigid":
        return solve_head_pose(points, valid, (size, size), segments, focal_factor=config.focal_factor)
    camera = Intrinsics(config.focal_factor * size, size / 2, size / 2, size, size)
    head = mediapipe_head()
    fit = fit_clip(head, points, valid, camera, threads=num_threads(config.num_workers))
    pose = head_pose_of(fit, point_model(head), points, camera)
    if config.pose_refine == "none" and pose.information is not None:
        trust = np.where(valid, 1.0, 1e-4)[:, None, None]
        motion = Poses(*world_to_camera_from_c2w(pose.c2w))
        pose = with_motion(pose, points, smooth_poses(motion, trust * pose.information, segments))
    return pose


def _align(
    config: ProcessConfig, video: Path, pose: HeadPose, valid: np.ndarray, out_dir: Path, progress: Progress
) -> list[Alignment]:
    rotation, translation = world_to_camera_from_c2w(pose.c2w)
    codes = expression_codes(pose.lm3d, valid)
    face, head = PhotometricAligner(pose.shape, pose.intrinsics), HeadAppearance(pose.shape, pose.intrinsics)
    step = -(-len(valid) // _TEXTURE_FRAMES)
    used = np.arange(0, len(valid), step)
    frames = [frame for frame, usable in zip(read_clip(video, step=step), valid[used], strict=True) if usable]
    used = used[valid[used]]
    threads = num_threads(config.num_workers)
    with one_opencv_thread():
        face.learn(frames, rotation[used], translation[used], threads=threads)
        some = [face.align(*item) for item in zip(frames, rotation[used], translation[used], strict=True)]
        head.learn(frames, some, codes[used], threads=threads)
    names = [part.name for part in fields(Alignment)]

    def align(start: int, stop: int, path: Path) -> None:
        part = slice(start, stop)
        given = zip(
            read_clip(video, start=start, stop=stop), rotation[part], translation[part], codes[part], strict=True
        )
        aligned = [head.align(frame, face.align(frame, turn, shift), code) for frame, turn, shift, code in given]
        save_arrays(path, {name: np.array([getattr(one, name) for one in aligned]) for name in names})

    found = load_arrays(run_chunks(out_dir, len(valid), align, threads=threads, progress=progress))
    return [Alignment(**{name: found[name][index] for name in names}) for index in range(len(valid))]


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
        "tracker": config.tracker,
        "pose_refine": config.pose_refine,
        "reprojection_px": round(float(pose.reprojection_px[valid].mean()), 4),
        "segments": segments,
    }
