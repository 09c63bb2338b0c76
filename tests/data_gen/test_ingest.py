from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from data_gen.videos import ingest
from data_gen.videos.config import ProcessConfig
from data_gen.videos.faces import FaceBox
from data_gen.videos.ingest import Crop, choose_crop, read_cuts
from tests.support.clips import tone, write_clip
from utils.commons.schema import DataError
from utils.data.atomic import save_json
from utils.data.paths import raw_video
from utils.media.audio import load_wav
from utils.media.video import VideoInfo, probe

T = TypeVar("T")
CONFIG = ProcessConfig(video_id="x", image_size=64)


def _info(width: int, height: int) -> VideoInfo:
    return VideoInfo(width, height, 25.0, 1000, 40.0, True, "h264", 0, 25.0)


def _steady(x: float, y: float, height: float) -> list[FaceBox]:
    return [FaceBox(x, y, height, 0.8 * height)] * 10


def _silent(items: Iterable[T], total: int | None = None) -> Iterable[T]:
    return items


@pytest.mark.parametrize("share", [0.36, 0.5, 0.64])
def test_a_well_framed_square_is_kept(share: float) -> None:
    assert choose_crop(_steady(250, 250, share * 512), _info(512, 512), CONFIG) == Crop(0, 0, 512)


def test_a_far_face_is_framed_with_head_and_shoulders() -> None:
    crop = choose_crop(_steady(620, 750, 210), _info(1080, 1920), CONFIG)
    assert 2.2 <= crop.side / 210 <= 2.6
    assert abs(crop.x + crop.side / 2 - 620) <= 1
    assert 0.42 <= (750 - crop.y) / crop.side < 0.5  # slightly above the middle


@pytest.mark.parametrize(("x", "y"), [(60, 80), (1240, 700), (640, 360)])
def test_the_crop_stays_in_the_picture(x: float, y: float) -> None:
    crop = choose_crop(_steady(x, y, 240), _info(1280, 720), CONFIG)
    assert crop.x >= 0
    assert crop.y >= 0
    assert crop.x + crop.side <= 1280
    assert crop.y + crop.side <= 720


def test_a_close_face_takes_the_whole_height() -> None:
    assert choose_crop(_steady(640, 360, 500), _info(1280, 720), CONFIG).side == 720


def test_a_face_that_moves_far_gets_a_wider_crop() -> None:
    still = choose_crop(_steady(600, 360, 100), _info(1280, 720), CONFIG)
    moving = [replace(box, center_x=600 + 80 * (-1) ** i) for i, box in enumerate(_steady(600, 360, 100))]
    assert choose_crop(moving, _info(1280, 720), CONFIG).side > still.side + 80


def test_crop_choices_are_obeyed() -> None:
    faces = _steady(250, 250, 256)
    always = choose_crop(faces, _info(512, 512), CONFIG.model_copy(update={"crop": "always", "crop_scale": 1.6}))
    assert always.side == 408
    never = choose_crop(_steady(100, 100, 50), _info(640, 480), CONFIG.model_copy(update={"crop": "never"}))
    assert never == Crop(80, 0, 480)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    return tmp_path


def _ingest(workspace: Path, faces: list[FaceBox]) -> Path:
    save_json(workspace / "p" / "preflight" / "preflight.json", {"faces": [[asdict(face)] for face in faces]})
    out = workspace / "out"
    out.mkdir()
    ingest.run(CONFIG, workspace / "p", out, _silent)
    return out


@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.0])
def test_sound_is_exactly_as_long_as_the_pictures(workspace: Path, seconds: float) -> None:
    raw = raw_video("x")
    write_clip(raw, frames=60, size=(160, 120), fps=30, audio=tone(seconds))
    out = _ingest(workspace, _steady(80, 60, 30))
    facts = json.loads((out / "ingest.json").read_text())
    info = probe(out / "video.mp4")
    assert (info.width, info.height, info.fps) == (64, 64, 25)
    assert abs(facts["num_frames"] - 50) <= 1
    assert info.num_frames == facts["num_frames"]
    wav = load_wav(out / "audio.wav")
    assert len(wav) == facts["num_frames"] * 640
    assert np.abs(wav[: int(min(seconds, 1.9) * 16000)]).max() > 0.1
    assert seconds >= 2 or not np.abs(wav[17000:]).max() > 0.01
    assert not (out / "cuts.json").exists()


def test_known_cuts_are_passed_on_at_25_frames_a_second(workspace: Path) -> None:
    raw = raw_video("x")
    write_clip(raw, frames=60, size=(64, 64), fps=30, audio=tone(2.0))
    raw.with_name("x.cuts.json").write_text(json.dumps({"fps": 30, "cut_frames": [0, 30, 12, 90]}))
    out = _ingest(workspace, _steady(32, 32, 32))
    assert json.loads((out / "cuts.json").read_text()) == {"cut_frames": [10, 25]}


@pytest.mark.parametrize("text", ["[1, 2]", '{"cuts": []}', "nonsense", '{"cut_frames": ["a"]}'])
def test_a_broken_list_of_cuts_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.cuts.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.cuts\.json is not a list of cuts .*or delete it"):
        read_cuts(tmp_path / "x.cuts.json", 100)


def test_a_face_outside_the_crop_is_told(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_clip(raw_video("x"), frames=30, size=(320, 120), audio=tone(1.2))
    faces = [*_steady(60, 60, 40), FaceBox(300, 60, 40, 32)]
    out = _ingest(workspace, faces)
    assert "leaves the picture in 1 of 11" in caplog.text
    assert len(json.loads((out / "ingest.json").read_text())["warnings"]) == 1
