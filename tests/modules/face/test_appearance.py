from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modules.face.appearance import HeadAppearance, expression_codes
from modules.face.photometric import Alignment
from modules.face.pose_solver import Poses
from tests.modules.face.synthetic_head import CAMERA, SIZE, head_motion, open_head_shape, paint_face
from utils.geometry.rotations import matrix_from_vector, mean_rotation, vector_from_matrix

Footage = tuple[Poses, list[Alignment], list[np.ndarray]]
FRAMES = 24
CODES = np.column_stack([np.ones(FRAMES), np.sin(np.arange(FRAMES))])


def given_at(poses: Poses) -> list[Alignment]:
    """Return poses believed to about half a degree and half a millimetre."""
    belief = np.diag(np.r_[np.full(3, np.radians(0.5)), np.full(3, 5e-4)] ** -2.0)
    return [
        Alignment(turn, shift, belief, np.zeros(0), 1.0)
        for turn, shift in zip(poses.rotation, poses.translation, strict=True)
    ]


def poses_of(found: list[Alignment]) -> Poses:
    return Poses(np.stack([one.rotation for one in found]), np.stack([one.translation for one in found]))


@pytest.fixture(scope="module")
def footage() -> Footage:
    """Return truth, poses off by a third of a degree, and a face that moves before a patterned wall."""
    truth, rng = head_motion(FRAMES), np.random.default_rng(5)
    wall = rng.integers(0, 255, (SIZE // 4, SIZE // 4, 1)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    painted = [paint_face(truth, open_head_shape(), t) for t in range(FRAMES)]
    frames = [np.where(picture == 40, wall, picture) for picture in painted]
    turned = matrix_from_vector(rng.normal(0, np.radians(0.3), (FRAMES, 3))) @ truth.rotation
    return truth, given_at(Poses(turned, truth.translation)), frames


@pytest.fixture(scope="module")
def learned(footage: Footage) -> HeadAppearance:
    _, given, frames = footage
    head = HeadAppearance(open_head_shape(), CAMERA)
    head.learn(frames, given, CODES)
    return head


def wobble(found: list[Alignment], truth: Poses) -> float:
    """Return degrees of error that no fixed stretch of all turns explains: from afar, half the turn before twice the
    depth looks the same."""
    middle = mean_rotation(truth.rotation)
    constant = mean_rotation(np.swapaxes(truth.rotation, 1, 2) @ poses_of(found).rotation)
    apart = poses_of(found).rotation @ np.swapaxes(truth.rotation @ constant, 1, 2)
    error = np.degrees(vector_from_matrix(apart))
    turns = np.column_stack([vector_from_matrix(truth.rotation @ middle.T), np.ones(len(error))])
    rest = error - turns @ np.linalg.lstsq(turns, error, rcond=None)[0]
    return float(np.linalg.norm(rest, axis=1).mean())


def test_poses_agree_better_with_each_other(footage: Footage, learned: HeadAppearance) -> None:
    truth, given, frames = footage
    found = [learned.align(*item) for item in zip(frames, given, CODES, strict=True)]
    assert wobble(found, truth) < 0.4 * wobble(given, truth)


def test_places_on_the_wall_drop_out(footage: Footage, learned: HeadAppearance) -> None:
    x, y, _ = learned._points.T
    assert len(x) > 1000
    assert np.mean((x / 0.075) ** 2 + (y / 0.1) ** 2 < 1.1) > 0.9


def test_a_frame_that_shows_no_head_keeps_the_pose_given(footage: Footage, learned: HeadAppearance) -> None:
    _, given, frames = footage
    noise = np.random.default_rng(0).integers(0, 255, frames[0].shape).astype(np.uint8)
    assert learned.align(noise, given[0], CODES[0]) is given[0]
    covered = replace(given[0], correlation=0.1)
    assert learned.align(frames[0], covered, CODES[0]) is covered


def test_codes_tell_expressions_apart_and_the_first_has_variance_one() -> None:
    rng = np.random.default_rng(0)
    lm3d = 0.01 * rng.standard_normal((50, 68, 3))
    opening = rng.standard_normal(50)
    lm3d[:, 57, 1] += opening
    valid = np.ones(50, bool)
    valid[7], lm3d[7] = False, 100.0
    codes = expression_codes(lm3d, valid)
    assert codes.shape == (50, 13)
    np.testing.assert_array_equal(codes[:, 0], 1.0)
    assert abs(np.corrcoef(codes[valid, 1], opening[valid])[0, 1]) > 0.99
    assert codes[valid, 1].var() == pytest.approx(1.0, rel=1e-6)


def test_a_head_that_never_moves_and_a_clip_that_hardly_shows_it_teach_nothing(footage: Footage) -> None:
    _, given, frames = footage
    still = HeadAppearance(open_head_shape(), CAMERA)
    still.learn([frames[0]] * FRAMES, [given[0]] * FRAMES, CODES)
    assert still.align(frames[0], given[0], CODES[0]) is given[0]
    hidden = HeadAppearance(open_head_shape(), CAMERA)
    hidden.learn(frames, [replace(one, correlation=0.2) for one in given], CODES)
    assert hidden.align(frames[0], given[0], CODES[0]) is given[0]
