"""Evaluation of a small person end to end, and of videos whose figures are known."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import evaluate, evaluation
from inference.config import InferConfig
from inference.evaluation import PersonTest, compare_videos, evaluate_person
from inference.pipeline import TalkingHead
from inference.report import markdown_table
from inference.scoring import Watched, motion_row, watch
from modules.face.landmarkers.base import LandmarkTrack
from modules.face.landmarks68 import MESH_OF_68
from utils.commons.schema import ConfigError
from utils.media.video import VideoWriter

LIGHT = (slice(20, 40), slice(20, 40))


class BrightnessLandmarker:
    """Sees a still face whose mouth opens with the brightness of the picture; a black picture shows no face."""

    def track(self, frames: Iterable[np.ndarray], cuts: Iterable[int] = ()) -> LandmarkTrack:
        points, valid = [], []
        for frame in frames:
            mesh = np.zeros((478, 3), np.float32)
            face = np.random.default_rng(0).uniform(60, 190, (68, 3)).astype(np.float32)
            face[36], face[45], face[62] = (60, 80, 0), (190, 80, 0), (125, 150, 0)
            face[66] = face[62] + [0, float(frame.mean()) / 4, 0]
            mesh[MESH_OF_68] = face * (frame.shape[0] / 256)
            points.append(mesh)
            valid.append(frame.max() > 0)
        return LandmarkTrack(np.stack(points), np.array(valid), np.full(len(valid), 1, np.int32))


@pytest.fixture(autouse=True)
def _brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "build_landmarker", lambda name: BrightnessLandmarker())


def video(path: Path, levels: np.ndarray, size: int = 64) -> Path:
    with VideoWriter(path, size=(size, size), crf=1, pixel_format="yuv444p") as writer:
        for level in levels:
            writer.write(np.full((size, size, 3), level, np.uint8))
    return path


def test_a_person_is_evaluated_with_all_rows_and_files(root: Path, tmp_path: Path) -> None:
    head = TalkingHead(config=InferConfig(video_id="tim", device="cpu"))
    wav = root / "data" / "raw" / "val_wavs" / "demo.wav"
    report = evaluate_person(head, landmarker="x", max_frames=3, wav=wav, out=tmp_path)
    report.save(tmp_path)
    rows = json.loads((tmp_path / "metrics.json").read_text())["rows"]
    titles = ["true video", "true landmarks", "frozen mouth", "own sound", "own sound, landmarks", "sound demo"]
    assert list(rows) == titles
    assert rows["true video"]["lip_corr"] == pytest.approx(1)
    assert rows["true video"]["lmd"] == 0
    assert 3 < rows["true landmarks"]["psnr"] < 40
    assert {"psnr_head", "psnr_lips", "psnr_eyes", "ssim", "eye_corr", "closure"} <= set(rows["own sound"])
    assert {"sync_lag", "sync_r", "lip_corr"} <= set(rows["own sound, landmarks"])
    assert (tmp_path / "demo.mp4").exists()
    assert cv2.imread(str(tmp_path / "figure.png")).shape[1] == 1200
    assert "| frozen mouth |" in (tmp_path / "table.md").read_text()


def test_the_true_landmarks_reproduce_a_perfect_renderer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that returns the true pictures scores what the figures promise."""
    head = TalkingHead(config=InferConfig(video_id="tim", device="cpu"))
    store = head.store

    class Perfect:
        size = (store.manifest.height, store.manifest.width)
        speech_kinds: frozenset[str] = frozenset()

        def conditions(self, lm3d: np.ndarray) -> np.ndarray:
            return lm3d

        def render(self, conditions: np.ndarray, t: int, c2w: np.ndarray) -> np.ndarray:
            return store.gt(t)

    monkeypatch.setattr(head, "renderer", Perfect())
    test = PersonTest(head, BrightnessLandmarker(), 0)
    true = test.true_video()
    test.rendered("perfect", np.array(store.lm3d), true)
    row = test.report.rows["perfect"]
    assert row["psnr"] == row["psnr_head"] == row["psnr_lips"] == pytest.approx(100)
    assert (row["lmd"], row["lip_corr"]) == (0, pytest.approx(1))
    assert row["jitter"] == test.report.rows["true video"]["jitter"]


def test_a_still_test_split_is_warned_of(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    head = TalkingHead(config=InferConfig(video_id="tim", device="cpu"))
    still = np.array(head.store.lm3d)
    still[head.store.indices("test")] = still[0]
    monkeypatch.setattr(head.store, "lm3d", still)
    with caplog.at_level(logging.WARNING):
        PersonTest(head, BrightnessLandmarker(), 0)
    assert "lip figures say little" in caplog.text


def test_two_videos_are_compared_frame_by_frame(tmp_path: Path) -> None:
    levels = (100 + 50 * np.sin(np.arange(30) / 3)).astype(int)
    true = video(tmp_path / "a.mp4", levels)
    same = compare_videos(true, true, landmarker="x", max_frames=0)
    assert same.rows["other"]["psnr"] > 60
    assert same.rows["other"]["lip_corr"] == pytest.approx(1)
    lighter = compare_videos(true, video(tmp_path / "b.mp4", levels + 26), landmarker="x", max_frames=20)
    assert lighter.facts["frames"] == 20
    assert lighter.rows["other"]["psnr"] == pytest.approx(-20 * np.log10(26 / 255), abs=0.6)
    other_way = compare_videos(true, video(tmp_path / "c.mp4", 200 - levels), landmarker="x", max_frames=0)
    assert other_way.rows["other"]["lip_corr"] < -0.99


def test_videos_of_other_size_and_length_are_compared_over_what_they_share(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    levels = np.arange(10, 40)
    with caplog.at_level(logging.WARNING):
        report = compare_videos(
            video(tmp_path / "a.mp4", levels), video(tmp_path / "b.mp4", levels[:20], 96), landmarker="x", max_frames=0
        )
    assert report.facts["frames"] == 20
    assert "resized" in caplog.text


def test_small_pictures_are_enlarged_for_the_landmarker_and_measured_in_their_own_pixels() -> None:
    seen = watch((np.full((64, 64, 3), 80, np.uint8) for _ in range(3)), BrightnessLandmarker())
    assert seen is not None
    assert seen.points[0, 45, 0] - seen.points[0, 36, 0] == pytest.approx(130 / 4)


def test_a_video_without_a_face_has_no_landmark_figures() -> None:
    assert motion_row(None, None, pieces=[(0, 3)], speaking=None) == {"faces": 0.0}


def test_amplitude_tells_a_timid_mouth_that_correlation_cannot() -> None:
    points = np.zeros((20, 68, 2))
    points[:, 45, 0] = 100
    points[:, 66, 1] = 10 + 5 * np.sin(np.arange(20))
    timid = points.copy()
    timid[:, 66, 1] = 10 + np.sin(np.arange(20))
    row = motion_row(Watched(timid, 1.0), Watched(points, 1.0), pieces=[(0, 20)], speaking=None)
    assert row["lip_corr"] == pytest.approx(1)
    assert row["lip_amplitude"] == pytest.approx(0.2)


def test_the_table_shows_what_exists_and_a_dash_elsewhere() -> None:
    table = markdown_table({"true": {"jitter": 0.01}, "own": {"psnr": 30.123, "jitter": float("nan")}})
    assert table.splitlines() == [
        "| | psnr dB | jitter |", "|---|---|---|", "| true | - | 0.01000 |", "| own | 30.12 | - |",
    ]  # fmt: skip


@pytest.mark.parametrize("argv", [[], ["--video_id", "tim", "--compare", "a.mp4", "b.mp4"]])
def test_exactly_one_thing_is_evaluated(argv: list[str]) -> None:
    with pytest.raises(ConfigError, match="give either --video_id"):
        evaluate.main(argv)


def test_the_command_prints_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = video(tmp_path / "a.mp4", np.arange(10, 30))
    evaluate.main(["--compare", str(true), str(true), "--out", str(tmp_path / "out")])
    assert "| other |" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figure.png", "metrics.json", "table.md"]
