"""Gaps, cuts and the landmarker on real footage."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from modules.face import build_landmarker, to_landmarks68
from modules.face.landmarkers.base import fill_gaps
from modules.face.landmarkers.face_alignment import bend
from modules.face.segments import find_cuts, long_enough, segments_of
from tests.modules.face.synthetic_head import footage
from tests.support.real_data import real_clip
from utils.commons.schema import ConfigError, DataError
from utils.media.video import read_frames


def test_gaps_are_interpolated_in_place_and_ends_held() -> None:
    values = np.array([9, 1, 9, 9, 4, 9], np.float32)[:, None]
    valid = np.array([False, True, False, False, True, False])
    np.testing.assert_allclose(fill_gaps(values, valid)[:, 0], [1, 1, 2, 3, 4, 4])


def test_no_face_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="no face was found in any of 3 frames"):
        fill_gaps(np.zeros((3, 478, 3)), np.zeros(3, bool))


def test_segments_cover_the_clip() -> None:
    assert segments_of([75, 150, 150, 0, 999], 200) == [(0, 75), (75, 150), (150, 200)]


def test_short_segments_are_of_no_use() -> None:
    usable = long_enough([(0, 4), (4, 30)], 30)
    assert usable.tolist() == [False] * 4 + [True] * 26


def thumbnails(num_frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (1, 16, 16, 3)) + rng.normal(0, 0.5, (num_frames, 16, 16, 3))


def test_a_jump_cut_in_the_same_scene_is_found() -> None:
    points, pictures = footage(60).points, thumbnails(60)
    points[33:, :, 0] += 12
    pictures[33:] += np.linspace(-9, 9, 16)[:, None]
    assert find_cuts(points, pictures) == [33]


def test_a_moving_head_is_no_cut() -> None:
    assert find_cuts(footage(60).points, thumbnails(60)) == []


def test_a_flash_of_light_without_a_jump_is_no_cut() -> None:
    pictures = thumbnails(60)
    pictures[40:] += 12
    assert find_cuts(footage(60).points, pictures) == []


def test_unknown_landmarker_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mediapipe'"):
        build_landmarker("mediapip")


def test_landmarks_of_a_real_face_lie_where_a_face_has_them() -> None:
    frames = list(read_frames(real_clip("video/obama_oval_20s_sync.mp4"), stop=12))
    frames[5] = np.zeros_like(frames[5])
    track = build_landmarker("mediapipe").track(frames)
    assert track.valid.tolist() == [True] * 5 + [False] + [True] * 6
    assert track.num_faces[0] == 1
    points = to_landmarks68(track.points)[..., :2]
    np.testing.assert_allclose(points[5], (points[4] + points[6]) / 2, atol=0.1)
    face = points[8]
    assert face[36, 0] < face[39, 0] < face[42, 0] < face[45, 0]  # eyes, image-left first
    assert face[27, 1] < face[30, 1] < face[33, 1] < face[51, 1] < face[57, 1] < face[8, 1]
    assert face[:, 0].min() >= face[0:3, 0].min() - 1
    assert face[0, 0] < face[8, 0] < face[16, 0]


def test_a_part_of_a_clip_has_the_landmarks_of_a_run_through_the_whole() -> None:
    frames = list(read_frames(real_clip("video/obama_oval_20s_sync.mp4"), stop=60))
    landmarker = build_landmarker("mediapipe")
    whole, part = landmarker.track(frames), landmarker.find(frames[25:], [15], warm_up=10)
    assert part.valid.all()
    assert np.flatnonzero(part.num_faces >= 0).tolist() == [0]  # looked for in the part's first frame
    apart = np.abs(part.points - whole.points[35:])[..., :2].max(axis=(1, 2))
    assert apart[:15].max() < 0.5  # pixels; the noise of tracking itself is a tenth
    assert apart[15] > 0.5  # tracking began anew


def test_missing_face_alignment_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(ConfigError, match="pip install face-alignment"):
        build_landmarker("face_alignment")


def test_mesh_is_bent_through_the_other_landmarkers_points() -> None:
    mesh = footage(1).points[0]
    target = to_landmarks68(mesh)[:, :2] + [2.0, -1.0]
    bent = bend(mesh, target)
    np.testing.assert_allclose(to_landmarks68(bent)[:, :2], target)
    np.testing.assert_allclose(bent[:, :2], mesh[:, :2] + [2.0, -1.0], atol=0.05)
    np.testing.assert_array_equal(bent[:, 2], mesh[:, 2])
