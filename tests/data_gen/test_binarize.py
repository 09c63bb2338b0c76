from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.videos import binarize
from data_gen.videos.audio_features import shift_sound
from data_gen.videos.binarize import box_rects, common_length, face_rects, landmark_statistics
from data_gen.videos.config import ProcessConfig
from utils.commons.schema import DataError
from utils.data.atomic import save_json, save_npy
from utils.data.person_store import PersonStore
from utils.data.picture_store import PictureWriter, encode_picture
from utils.media.audio import save_wav

SIZE = 64


def _no_progress(items: object, total: int | None = None) -> object:
    return items


def _processed(folder: Path, frames: int, *, pose_frames: int | None = None) -> Path:
    rng = np.random.default_rng(0)
    points = rng.uniform(16, 48, (frames, 68, 3)).astype(np.float32)
    valid = np.ones(frames, bool)
    valid[3] = False
    num = pose_frames or frames
    lm3d = rng.normal(0, 1, (num, 68, 3)).astype(np.float32)
    lm3d[3] = 100.0  # must not enter the statistics
    save_npy(folder / "landmarks/lm68.npy", points)
    save_npy(folder / "landmarks/valid.npy", valid)
    save_npy(folder / "head_pose/c2w.npy", np.tile(np.eye(4, dtype=np.float32), (num, 1, 1)))
    save_npy(folder / "head_pose/lm3d.npy", lm3d)
    pose = {"focal": 256.0, "cx": 32.0, "cy": 32.0, "height": SIZE, "width": SIZE, "segments": [[0, 11], [11, frames]]}
    save_json(folder / "head_pose/head_pose.json", pose)
    save_npy(folder / "audio_features/speech.npy", np.zeros((2 * frames, 5), np.float16))
    save_npy(folder / "audio_features/f0.npy", np.zeros(2 * frames, np.float32))
    save_json(folder / "audio_features/audio_features.json", {"speech_encoder": "toy", "speech_dim": 5})
    save_wav(folder / "ingest/audio.wav", np.linspace(-0.5, 0.5, frames * 640))
    save_json(folder / "ingest/stage.json", {"fingerprint": {"sources": {"x.mp4": "abc"}}})
    save_json(folder / "sync_check/sync_check.json", {"shift_frames": 0})
    (folder / "layers").mkdir()
    (folder / "layers/bg.png").write_bytes(encode_picture(np.zeros((SIZE, SIZE, 3), np.uint8), "png"))
    picture = encode_picture(np.zeros((SIZE, SIZE, 3), np.uint8), "png")
    with PictureWriter(folder / "layers/frames.arrow", ["gt", "masks", "torso"]) as writer:
        for _ in range(frames):
            writer.write({"gt": picture, "masks": picture, "torso": picture})
    return folder


def _binarize(processed: Path, out: Path) -> PersonStore:
    out.mkdir()
    binarize.run(ProcessConfig(video_id="x", image_size=SIZE), processed, out, _no_progress)  # type: ignore[arg-type]
    return PersonStore(out)


def test_a_person_store_holds_every_array_at_one_length(tmp_path: Path) -> None:
    store = _binarize(_processed(tmp_path / "p", 33), tmp_path / "x")
    assert len(store) == len(store.lm3d) == len(store.c2w) == len(store.lm2d) == len(store.frames) == 33
    assert store.speech.shape == (66, 5)
    assert store.manifest.train_ranges == [(0, 10), (11, 31)]
    assert store.manifest.test_ranges == [(10, 11), (31, 33)]
    assert store.manifest.source_sha256 == "abc"
    assert 3 not in store.indices("train")
    assert not (store.lip_rect[:, 2:] < 1).any()


def test_statistics_come_from_valid_training_frames_only(tmp_path: Path) -> None:
    store = _binarize(_processed(tmp_path / "p", 33), tmp_path / "x")
    chosen = np.asarray(store.lm3d)[store.indices("train")]
    np.testing.assert_allclose(store.lm3d_mean, chosen.mean(0), atol=1e-5)
    np.testing.assert_allclose(store.lm3d_std, chosen.std(0), atol=1e-5)
    assert np.abs(store.lm3d_mean).max() < 2


def test_landmarks_that_stand_still_get_a_floor() -> None:
    _, std = landmark_statistics(np.ones((5, 68, 3)), np.ones(5, bool), [(0, 5)])
    np.testing.assert_array_equal(std, np.full((68, 3), 1e-3))
    with pytest.raises(DataError, match="only 1 training frames show a face"):
        landmark_statistics(np.ones((5, 68, 3)), np.arange(5) == 2, [(0, 5)])


def test_a_length_that_differs_a_little_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = _binarize(_processed(tmp_path / "p", 33, pose_frames=31), tmp_path / "x")
    assert len(store) == 31
    assert len(store.speech) == 62
    assert store.manifest.segments[-1][1] == 31
    assert "cut to 31" in caplog.text


def test_lengths_that_differ_much_are_refused() -> None:
    with pytest.raises(DataError, match=r"disagree about the number of frames \(c2w 97, lm68 100\)"):
        common_length({"lm68": 100, "c2w": 97})


def test_a_pose_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    processed = _processed(tmp_path / "p", 33)
    broken = np.load(processed / "head_pose/lm3d.npy")
    broken[5, 3] = np.nan
    save_npy(processed / "head_pose/lm3d.npy", broken)
    with pytest.raises(DataError, match="lm3d of p holds values that are not numbers"):
        _binarize(processed, tmp_path / "x")


def test_the_store_outlives_the_processed_folder(tmp_path: Path) -> None:
    import shutil

    processed = _processed(tmp_path / "p", 33)
    _binarize(processed, tmp_path / "x")
    shutil.rmtree(processed)
    store = PersonStore(tmp_path / "x")
    assert store.gt(32).shape == (SIZE, SIZE, 3)
    assert store.background.shape == (SIZE, SIZE, 3)
    assert str(tmp_path / "p") not in json.dumps(store.manifest.model_dump())


def test_head_boxes_follow_the_specification() -> None:
    points = np.full((1, 68, 2), 100.0)
    points[0, 0], points[0, 16], points[0, 27], points[0, 8] = (60, 100), (141, 100), (100, 90), (101, 150)
    # center (100, 90); half width int(41 * 1.5) = 61, half height int(60 * 1.15) = 69
    np.testing.assert_array_equal(face_rects(points, 512, 512), [[39, 21, 122, 138]])
    np.testing.assert_array_equal(face_rects(points, 130, 120), [[39, 21, 80, 108]])  # cut off at the border


@given(st.integers(0, 10_000))
def test_boxes_hold_their_points_and_lie_in_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-30, 130, (4, 12, 2))
    for x, y, w, h in box_rects(points, 0.25, 100, 90):
        assert x >= 0 and y >= 0 and w >= 1 and h >= 1  # noqa: PT018
        assert x + w <= 90 and y + h <= 100  # noqa: PT018
    inner = rng.uniform(30, 60, (4, 12, 2))
    x, y, w, h = box_rects(inner, 0.25, 100, 90).T
    assert (inner[..., 0] >= x[:, None]).all() and (inner[..., 0] <= (x + w)[:, None]).all()  # noqa: PT018
    np.testing.assert_allclose(w, 1.25 * np.ptp(inner[..., 0], axis=1), atol=2)


def test_sound_is_shifted_by_whole_frames() -> None:
    wav = np.arange(1, 6401, dtype=np.float32)
    late = shift_sound(wav, 2)
    assert len(late) == len(wav)
    assert not late[:1280].any()
    np.testing.assert_array_equal(late[1280:], wav[:-1280])
    early = shift_sound(wav, -3)
    np.testing.assert_array_equal(early[:-1920], wav[1920:])
    assert not early[-1920:].any()
    np.testing.assert_array_equal(shift_sound(wav, 0), wav)
