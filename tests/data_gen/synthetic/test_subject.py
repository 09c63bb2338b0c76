"""The demo subject: its truth is true, its face is found and its lips obey its speech."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from data_gen.synthetic.identity import identity_of, identity_vertices
from data_gen.synthetic.landmarks import INNER_LIPS, landmark_indices
from data_gen.synthetic.render import FOCAL_PER_HEIGHT, project
from data_gen.synthetic.subject import FPS, SubjectResult, SubjectSpec, generate_subject
from data_gen.synthetic.visemes import visemes_of
from modules.face.morphable.head_asset import load_head

TEXT = "Papa, my mama bought a baby lamb. Bob and Pam hop among the palms."
MEDIAPIPE_68 = [
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
]  # fmt: skip


@functools.cache
def clip(identity: int = 0, seed: int = 3) -> SubjectResult:
    """A clip of 3 s, shared by the tests."""
    return generate_subject(SubjectSpec(seconds=3.0, size=192, identity=identity, seed=seed, text=TEXT))


def lip_gap_mm(lm3d: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Height of the opening between the inner lips in each frame, [T]."""
    inner = lm3d[:, INNER_LIPS]
    return 1000.0 * np.mean([inner[:, a, 1] - inner[:, b, 1] for a, b in ((1, 7), (2, 6), (3, 5))], axis=0)


def mediapipe_landmarks(frames: npt.NDArray[np.uint8]) -> list[Any]:
    """The 68 points of each frame in pixels, None where no face is found."""
    mp = pytest.importorskip("mediapipe")
    size = frames.shape[1]
    with mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, min_detection_confidence=0.5) as mesh:
        faces = [mesh.process(frame).multi_face_landmarks for frame in frames]
    return [np.array([[p.x, p.y] for p in f[0].landmark])[MEDIAPIPE_68] * size if f else None for f in faces]


def test_the_same_seed_gives_the_same_frames_and_the_same_sound() -> None:
    spec = SubjectSpec(seconds=0.4, size=96, seed=5)
    first, second = generate_subject(spec), generate_subject(spec)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.samples, second.samples)
    other = generate_subject(SubjectSpec(seconds=0.4, size=96, seed=6))
    assert (first.frames != other.frames).any()
    assert (first.samples != other.samples).any()


def test_the_sound_is_as_long_as_the_frames() -> None:
    result = clip()
    assert len(result.samples) * FPS == len(result.frames) * 16000


@pytest.mark.parametrize("identity", [0, 3])
def test_a_landmarker_finds_the_face_where_the_truth_says(identity: int) -> None:
    result = clip(identity)
    found = mediapipe_landmarks(result.frames)
    share = np.mean([f is not None for f in found])
    assert share >= 0.99
    eyes = np.linalg.norm(result.lm2d[:, 45] - result.lm2d[:, 36], axis=1).mean()
    error = np.stack([np.linalg.norm(f - t, axis=1) for f, t in zip(found, result.lm2d, strict=True) if f is not None])
    assert error.mean() / eyes < 0.06
    assert error[:, 36:].mean() / eyes < 0.035  # eyes and mouth


def test_the_landmarker_sees_the_mouth_open_as_the_truth_does() -> None:
    result = clip()
    found = mediapipe_landmarks(result.frames)
    seen = np.array([f[66, 1] - f[62, 1] for f in found if f is not None])
    true = np.array([t[66, 1] - t[62, 1] for f, t in zip(found, result.lm2d, strict=True) if f is not None])
    assert np.corrcoef(seen, true)[0, 1] > 0.85


def test_lips_meet_at_bilabials_and_part_at_open_vowels() -> None:
    result = clip()
    gap = lip_gap_mm(result.lm3d)
    closed, opened = [], []
    for phone in result.phones:
        frame = min(int((phone.start_s + phone.end_s) / 2 * FPS), len(gap) - 1)
        names = visemes_of(phone.phone)
        if names == ["closed"]:
            closed.append(gap[frame])
        elif names == ["a"] and phone.end_s - phone.start_s > 0.08 and phone.end_s < 3.0:
            opened.append(gap[frame])
    assert len(closed) >= 6
    assert len(opened) >= 3
    assert max(closed) < 0.8  # mm; the lips of the mesh overlap a little when pressed
    assert np.mean(opened) > 5.0
    assert min(opened) > 2.0


def test_lips_rest_closed_before_the_first_sound() -> None:
    result = clip()
    assert result.phones[0].start_s > 0.2
    assert abs(lip_gap_mm(result.lm3d)[0]) < 1.5


def test_the_mouth_moves_at_the_time_of_the_sound() -> None:
    result = generate_subject(SubjectSpec(seconds=6.0, size=64, seed=1, text="Pa. Ba. Ma. Papa. Mama."))
    gap = lip_gap_mm(result.lm3d)
    loud = np.sqrt((result.samples.reshape(len(gap), -1) ** 2).mean(axis=1))
    lags = range(-6, 7)
    match = [np.corrcoef(np.roll(gap, lag), loud)[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 1


def test_projecting_the_3d_landmarks_gives_the_2d_landmarks() -> None:
    result = clip()
    size = result.frames.shape[1]
    assert result.focal == FOCAL_PER_HEIGHT * size
    for t in (0, 30, 74):
        pixels = project(result.lm3d[t], result.c2w[t], result.focal, (size / 2, size / 2))
        np.testing.assert_allclose(pixels, result.lm2d[t], atol=0.01)


def test_the_camera_looks_at_the_head_from_arms_length_with_a_rotation() -> None:
    c2w = clip().c2w
    rotation = c2w[:, :3, :3]
    product = rotation @ rotation.transpose(0, 2, 1)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(c2w[:, :3, 3], axis=1), 0.70, atol=0.03)
    assert (c2w[:, 2, 2] > 0.95).all()  # looks down -Z at the face


def test_head_moves_within_natural_limits_but_moves() -> None:
    c2w = generate_subject(SubjectSpec(seconds=8.0, size=64, seed=2)).c2w
    yaw = np.degrees(np.arctan2(c2w[:, 0, 2], c2w[:, 2, 2]))
    pitch = np.degrees(np.arcsin(np.clip(-c2w[:, 1, 2], -1, 1)))
    assert np.abs(yaw).max() < 11
    assert np.abs(pitch).max() < 7
    assert np.ptp(yaw) > 3
    assert np.abs(np.diff(yaw)).max() < 1.5  # degrees a frame


def test_labels_hold_a_head_above_a_torso_before_a_background() -> None:
    labels = clip().labels
    assert set(np.unique(labels)) == {0, 1, 2}
    rows = np.arange(labels.shape[1])[None, :, None]
    for frame in labels[::20]:
        head, torso = ((rows[0] * (frame == k)).sum() / (frame == k).sum() for k in (1, 2))
        assert head < torso
    assert 0.1 < (labels == 1).mean() < 0.4
    assert (labels[:, :4] == 0).all()


def test_no_background_shows_between_chin_and_collar() -> None:
    result = clip()
    for t in range(0, 75, 10):
        x, chin = result.lm2d[t, 8].astype(int)
        below = result.labels[t, chin - 5 :, x - 6 : x + 7]
        assert (below != 0).all()


def test_a_frame_differs_from_its_background_where_the_person_is_only() -> None:
    result = clip()
    outside = result.labels[0] == 0
    edge = np.zeros_like(outside)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            edge |= np.roll(~outside, (dy, dx), (0, 1))
    difference = np.abs(result.frames[0].astype(int) - result.background.astype(int)).max(axis=2)
    assert (difference[~edge] > 2).mean() < 0.002  # but for the tips of single hairs
    assert (difference[~outside] > 8).mean() > 0.8


def test_people_have_different_faces() -> None:
    head = load_head()
    rows = landmark_indices(head)
    faces = [identity_vertices(head, identity_of(i))[rows] for i in range(8)]
    for i in range(8):
        for j in range(i):
            assert np.linalg.norm(faces[i] - faces[j], axis=1).mean() > 0.001
