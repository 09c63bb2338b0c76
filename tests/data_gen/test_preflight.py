from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_gen.videos.config import ProcessConfig
from data_gen.videos.faces import FaceBox, find_faces, sample_faces
from data_gen.videos.preflight import check_container, check_faces, check_sound
from tests.support.clips import drawn_frame, tone
from tests.support.real_data import real_clip
from utils.media.video import VideoInfo, probe, read_frames

CONFIG = ProcessConfig(video_id="x")
INFO = VideoInfo(1280, 720, 25.0, 1000, 40.0, True, "h264", 0, 25.0)
FACE = FaceBox(600, 300, 250, 200)


def _codes(findings: list) -> list[str]:
    return [f"{finding.level} {finding.code}" for finding in findings]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"has_audio": False}, ["fatal no_audio"]),
        ({"duration_s": 5.9}, ["fatal too_short"]),
        ({"fps": 30.0, "nominal_fps": 30.0}, ["warning fps"]),
        ({"fps": 25.0, "nominal_fps": 30.0}, ["warning fps"]),
        ({"fps": 25.05, "nominal_fps": 25.0}, []),
    ],
)
def test_facts_of_the_file_are_judged(change: dict[str, object], expected: list[str]) -> None:
    assert _codes(check_container(replace(INFO, **change), CONFIG)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([[FACE]] * 24, []),
        ([[]] * 24, ["fatal no_face"]),
        ([[FACE]] * 11 + [[]] * 13, ["fatal no_face"]),
        ([[FACE]] * 20 + [[]] * 4, ["warning face_lost"]),
        ([[FACE, replace(FACE, height=130)]] * 6 + [[FACE]] * 18, ["fatal several_faces"]),
        ([[FACE, replace(FACE, height=130)]] * 4 + [[FACE]] * 20, []),
        ([[FACE, replace(FACE, height=100)]] * 24, []),  # a small face far behind
        ([[replace(FACE, height=59)]] * 24, ["fatal small_face"]),
        ([[replace(FACE, height=100)]] * 24, ["warning low_resolution"]),
    ],
)
def test_faces_are_judged(faces: list[list[FaceBox]], expected: list[str]) -> None:
    assert _codes(check_faces(faces, INFO, CONFIG)) == expected


def test_sound_is_judged() -> None:
    assert check_sound(tone(40.0), INFO) == []
    assert _codes(check_sound(np.zeros(16000 * 40, np.float32), INFO)) == ["fatal silent"]
    assert _codes(check_sound(tone(20.0), INFO)) == ["warning short_sound"]


def test_every_fatal_text_says_what_to_do() -> None:
    findings = check_container(replace(INFO, has_audio=False, duration_s=1), CONFIG)
    findings += check_faces([[FACE, FACE]] * 24, INFO, CONFIG) + check_faces([[]] * 24, INFO, CONFIG)
    assert len(findings) == 4
    assert all("give" in finding.text or "cut" in finding.text for finding in findings)


def test_pictures_without_a_face_have_none() -> None:
    assert find_faces([drawn_frame(10, 320, 240)] * 2) == [[], []]


def test_the_face_of_a_real_clip_is_measured() -> None:
    path = real_clip("video/obama_oval_20s_sync.mp4")
    faces = sample_faces(path, probe(path), 6)
    assert [len(boxes) for boxes in faces] == [1] * len(faces)
    assert all(abs(boxes[0].height - 230) < 25 for boxes in faces)


def test_a_small_face_in_a_tall_picture_is_found() -> None:
    path = real_clip("video/halfbody_portrait_hevc.mp4")
    faces = sample_faces(path, probe(path), 4)
    assert all(len(boxes) == 1 and 190 < boxes[0].height < 240 for boxes in faces)


def test_two_persons_side_by_side_are_two_faces() -> None:
    frame = next(read_frames(real_clip("video/obama_oval_20s_sync.mp4")))
    both = np.concatenate([frame, frame[:, ::-1]], axis=1)
    assert [len(boxes) for boxes in find_faces([both])] == [2]


def test_a_bird_has_no_face() -> None:
    path = real_clip("video/noface_cockatoo.mp4")
    faces = sample_faces(path, probe(path), 8)
    assert _codes(check_faces(faces, INFO, CONFIG)) == ["fatal no_face"]
