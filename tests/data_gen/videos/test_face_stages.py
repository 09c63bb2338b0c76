"""The four face stages on a drawn clip with a landmarker and a segmenter that know the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from data_gen.videos import head_pose, landmarks, layers, segmentation
from data_gen.videos.config import ProcessConfig
from modules.face.head_pose import project_lm3d
from modules.face.landmarkers.base import LandmarkTrack
from tests.modules.face.synthetic_head import CAMERA, SIZE, head_motion, observe, paint_face, smooth_head_shape
from tests.support.drawn_stages import BandSegmenter
from utils.commons.schema import DataError
from utils.data.atomic import save_json
from utils.data.picture_store import PictureStore, decode_picture
from utils.geometry.rotations import angle_between, mean_rotation, world_to_camera_from_c2w
from utils.media.video import VideoWriter

NUM_FRAMES = 40
SHAPE = smooth_head_shape()
MOTION = head_motion(NUM_FRAMES)


class TrueLandmarker:
    lost = frozenset({7})

    def find(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = (), *, warm_up: int = 0) -> LandmarkTrack:
        count = sum(1 for _ in frames)
        valid = np.array([t not in self.lost for t in range(count)])
        points = observe(SHAPE, MOTION, noise_px=0.2)[:count].astype(np.float32)
        return LandmarkTrack(points, valid, np.where(np.arange(count) % 25 == 0, 1, -1).astype(np.int32))


def plain(items: Iterable, total: int | None = None) -> Iterable:
    return items


@pytest.fixture
def processed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(landmarks, "build_landmarker", lambda name: TrueLandmarker())
    monkeypatch.setattr(segmentation, "build_segmenter", lambda name, weights: BandSegmenter())
    (tmp_path / "ingest").mkdir()
    with VideoWriter(tmp_path / "ingest" / "video.mp4", size=(SIZE, SIZE), crf=4) as writer:
        for t in range(NUM_FRAMES):
            writer.write(paint_face(MOTION, SHAPE, t))
    save_json(tmp_path / "ingest" / "ingest.json", {"num_frames": NUM_FRAMES})
    return tmp_path


def run(stage: object, folder: Path, config: ProcessConfig) -> Path:
    out = folder / stage.__name__.rsplit(".", 1)[-1]
    out.mkdir()
    stage.run(config, folder, out, plain)
    return out


def test_stages_hand_on_to_each_other(processed: Path) -> None:
    config = ProcessConfig(video_id="drawn", image_size=SIZE, num_workers=2, tracker="rigid")
    save_json(processed / "ingest" / "cuts.json", {"cut_frames": [5]})
    marks = run(landmarks, processed, config)
    valid = np.load(marks / "valid.npy")
    assert not valid[:5].any()  # too short a segment
    assert not valid[7]
    assert valid[8:].all()
    poses = run(head_pose, processed, config)
    c2w, lm3d = np.load(poses / "c2w.npy"), np.load(poses / "lm3d.npy")
    rotation, _ = world_to_camera_from_c2w(c2w)
    constant = mean_rotation(np.swapaxes(MOTION.rotation, 1, 2)[valid] @ rotation[valid])
    assert angle_between(MOTION.rotation @ constant, rotation)[valid].mean() < 0.2
    back = project_lm3d(lm3d, c2w, CAMERA)
    assert np.abs(back - np.load(marks / "lm68.npy")[..., :2])[valid].mean() < 0.5
    facts = json.loads((poses / "head_pose.json").read_text())
    assert facts["focal"] == CAMERA.focal
    assert facts["segments"] == [[0, 5], [5, NUM_FRAMES]]
    masks = PictureStore(run(segmentation, processed, config) / "masks.arrow")
    drawn = run(layers, processed, config)
    frames = PictureStore(drawn / "frames.arrow")
    assert len(masks) == len(frames) == NUM_FRAMES
    np.testing.assert_array_equal(frames.read("masks", 9), masks.read("masks", 9))
    assert frames.read("torso", 9)[250, 120, 3] == 255
    assert frames.read("torso", 9).shape == (SIZE, SIZE, 4)
    truth = paint_face(MOTION, SHAPE, 9)[60:150, 80:180].astype(int)
    assert np.abs(frames.read("gt", 9)[60:150, 80:180] - truth).mean() < 4
    assert np.abs(decode_picture((drawn / "bg.png").read_bytes())[:15].astype(int) - 40).max() < 6


def test_landmark_poses_alone_can_be_asked_for(processed: Path) -> None:
    config = ProcessConfig(video_id="drawn", image_size=SIZE, pose_refine="none", focal_factor=3.0)
    run(landmarks, processed, config)
    facts = json.loads((run(head_pose, processed, config) / "head_pose.json").read_text())
    assert facts["pose_refine"] == "none"
    assert facts["focal"] == 3.0 * SIZE


def test_a_face_seldom_seen_is_refused(processed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrueLandmarker, "lost", frozenset(range(30)))
    with pytest.raises(DataError, match="a face was found in only 25% of 40 frames"):
        run(landmarks, processed, ProcessConfig(video_id="drawn", image_size=SIZE))
