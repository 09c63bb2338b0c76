"""Rendered pictures judged: landmarks freed from the pose, articulation as seen, a judge of the right kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from inference import articulation_trial
from inference.articulation_trial import articulation_row
from inference.config import InferConfig
from inference.pipeline import TalkingHead
from inference.scoring import Watched
from inference.video_judge import VideoJudge, without_pose
from modules.face.head_pose import project_lm3d
from modules.face.landmarkers.base import LandmarkTrack
from modules.face.landmarks68 import MESH_OF_68
from modules.nerf.bounds import intrinsics_of
from modules.syncnet.model import SyncNet, SyncNetConfig
from utils.commons.checkpoint import save_checkpoint
from utils.commons.schema import DataError
from utils.metrics.lipsync import lip_opening


class OpeningRenderer:
    """Draws how far the lips are open as a gray level."""

    size = (16, 16)
    speech_kinds: frozenset[str] = frozenset()

    def conditions(self, lm3d: np.ndarray) -> np.ndarray:
        opening = lip_opening(lm3d)
        return np.round(255 * (opening - opening.min()) / np.ptp(opening)).astype(np.uint8)

    def render(self, conditions: np.ndarray, t: int, c2w: np.ndarray) -> np.ndarray:
        return np.full((*self.size, 3), conditions[t], np.uint8)


class GrayLandmarker:
    """Sees lips as far apart as the picture is light."""

    def track(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = ()) -> LandmarkTrack:
        points = []
        for frame in frames:
            face = np.zeros((68, 3), np.float32)
            face[45, 0], face[66, 1] = 100, float(frame.mean())
            mesh = np.zeros((478, 3), np.float32)
            mesh[MESH_OF_68] = face
            points.append(mesh)
        return LandmarkTrack(np.stack(points), np.ones(len(points), bool), np.full(len(points), 1, np.int32))


@pytest.fixture
def head(root: Path) -> TalkingHead:
    return TalkingHead(config=InferConfig(video_id="tim", device="cpu", infer_crf=1))


def syncnet(folder: Path, speech_dim: int) -> str:
    config = SyncNetConfig(
        speech_dim=speech_dim, sync_win_frames=5, syncnet_audio_channels=(8, 8, 8), syncnet_mouth_channels=(8, 8, 8, 8)
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(folder, 1, SyncNet(config).state_dict(), {}, keep=1)
    return str(folder)


def test_pixels_give_the_landmarks_back_whatever_the_pose(head: TalkingHead) -> None:
    store = head.store
    lm3d, camera = np.array(store.lm3d[:8]), intrinsics_of(store, 512)
    lm3d[..., 2] = store.lm3d_neutral[:, 2]
    c2w = np.asarray(store.c2w[:8])
    neutral = np.broadcast_to(store.lm3d_neutral, lm3d.shape)
    seen = without_pose(project_lm3d(neutral, c2w, camera), c2w, camera, store.lm3d_neutral)
    np.testing.assert_allclose(seen, neutral, atol=1e-4)
    moved = without_pose(project_lm3d(lm3d, c2w, camera), c2w, camera, store.lm3d_neutral)
    np.testing.assert_allclose(
        moved[..., :2], lm3d[..., :2], atol=0.02
    )  # the depth under a turned head is a little off


def test_a_faithful_video_articulates_as_its_landmarks_do(head: TalkingHead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(articulation_trial, "VOICES", ("it+f4",))
    monkeypatch.setattr(head, "renderer", OpeningRenderer())

    def landmarks(wav: np.ndarray) -> np.ndarray:
        deviations = head.landmarks(wav)
        return head.filtered(deviations, wav, head.path(len(deviations)))

    seen, expected = VideoJudge(head, "").articulation(GrayLandmarker()), articulation_row(landmarks)
    for name in ("artic_open", "artic_close"):
        assert seen[name] == pytest.approx(expected[name], abs=0.05), "gray levels and h264 round a little"
    assert seen["artic_round"] == 0.5, "this mouth has no width"


def test_a_judge_scores_frames_of_the_clip_and_nothing_without_a_face(tmp_path: Path, head: TalkingHead) -> None:
    store = head.store
    judge = VideoJudge(head, syncnet(tmp_path, store.manifest.speech_dim))
    frames = np.arange(40, 80)
    camera = intrinsics_of(store, head.renderer.size[0])
    points = project_lm3d(np.asarray(store.lm3d)[frames], np.asarray(store.c2w)[frames], camera)
    row = judge.own(Watched(points, 1.0), frames, [(0, len(frames))])
    assert 0 <= row["sync_conf"] <= 1
    assert judge.own(None, frames, [(0, len(frames))]) == {}
    assert VideoJudge(head, "").own(Watched(points, 1.0), frames, [(0, len(frames))]) == {}


def test_a_judge_of_other_features_is_refused(tmp_path: Path, head: TalkingHead) -> None:
    with pytest.raises(DataError, match="name a SyncNet trained with the same speech_encoder"):
        VideoJudge(head, syncnet(tmp_path, 12))
