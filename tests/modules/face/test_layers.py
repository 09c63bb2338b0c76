"""Masks, background and torso on drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest

from modules.face.background import clean_background, fill_holes, masked_median
from modules.face.head_region import HairColors, above_jaw, strays
from modules.face.landmarks68 import EYE_CORNERS
from modules.face.segmenters.base import build_segmenter
from modules.face.segmenters.mediapipe import Guide, steepen
from modules.face.torso_layer import over_background, torso_layer
from tests.modules.face.synthetic_head import SIZE, footage
from tests.support.real_data import real_clip
from utils.commons.schema import ConfigError
from utils.media.video import read_frames


def test_line_along_the_jaw_parts_face_from_neck() -> None:
    points = footage(1).points[0]
    above = above_jaw(points, SIZE, SIZE)
    nose, chin = points[1, :2], points[152, :2]
    assert above[int(nose[1]), int(nose[0])] == 1
    assert above[int(chin[1] - 6), int(chin[0])] == 1
    assert above[int(chin[1] + 8), int(chin[0])] == 0
    assert above[int(points[EYE_CORNERS[0], 1]), 3] == 1  # hair and ears beside the face
    assert above[int(chin[1]), 3] == 0  # the shoulder


def test_line_turns_with_the_head() -> None:
    points = footage(1).points[0].copy()
    center = points[:, :2].mean(axis=0)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    points[:, :2] = (points[:, :2] - center) @ turn.T + center
    above = above_jaw(points, SIZE, SIZE)
    assert above[:, 10].sum() < above[:, SIZE - 10].sum() - 40


def drawn_person() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frame, mesh points and person mask: dark long hair, skin, a blue coat, on gray."""
    points = footage(1).points[0][:, :2]
    frame = np.full((SIZE, SIZE, 3), 128, np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    chin, eyes = points[152], points[list(EYE_CORNERS)]
    x, y = eyes.mean(axis=0)
    hair = (np.abs(columns - x) < 78) & (rows > y - 80) & (rows < chin[1] + 40)
    coat = (rows > chin[1] + 12) & (np.abs(columns - x) < 55)
    skin = ((columns - x) / 55) ** 2 + ((rows - y - 10) / 75) ** 2 < 1
    neck = (np.abs(columns - x) < 30) & (rows > y) & (rows < chin[1] + 40)
    for mask, color in ((hair, (40, 25, 15)), (coat, (40, 60, 160)), (neck, (200, 150, 120)), (skin, (205, 155, 125))):
        frame[mask] = color
    return frame, points, (hair | coat | skin | neck).astype(np.float32)


def test_hair_beside_the_neck_belongs_to_the_head_and_the_coat_does_not() -> None:
    frame, points, person = drawn_person()
    colors = HairColors()
    colors.learn([frame], [points], [person])
    hanging = colors.hanging(frame, points, person)
    chin = points[152]
    row = int(chin[1] + 6)
    assert hanging[row, int(chin[0] - 66)] == 1
    assert hanging[row, int(chin[0] + 66)] == 1
    assert hanging[int(chin[1] + 30), int(chin[0])] == 0
    assert hanging[SIZE - 4].sum() == 0


def test_short_hair_leaves_the_line_along_the_jaw_alone() -> None:
    frame, points, person = drawn_person()
    level = int(points[EYE_CORNERS[0], 1])
    short = person.copy()
    beside = frame[..., 0] == 40
    beside[:level] = False
    beside &= frame[..., 2] == 15
    short[beside] = 0
    frame[beside] = 128
    colors = HairColors()
    colors.learn([frame], [points], [short])
    assert not colors.hanging(frame, points, short).any()


def test_guide_makes_a_vague_border_as_sharp_as_the_edge_of_the_picture() -> None:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame[:, 130:] = 220
    vague = np.tile(np.clip((np.arange(SIZE, dtype=np.float32) - 122) / 16, 0, 1), (SIZE, 1))
    sharp = steepen(Guide(frame).sharpen(vague))
    assert vague[100, 130] - vague[100, 129] < 0.1
    assert sharp[100, 130] - sharp[100, 129] > 0.4


def test_median_takes_only_what_was_free() -> None:
    pictures = np.array([10, 20, 200], np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    free = np.ones((3, 4, 4), bool)
    free[2] = False
    free[:, 0, 0] = False
    median, seen = masked_median(pictures, free)
    assert median[2, 2].tolist() == [10, 10, 10]
    assert not seen[0, 0]
    assert seen.sum() == 15


def test_filling_leaves_no_hole_and_keeps_what_is_known() -> None:
    picture = np.zeros((64, 48, 3), np.uint8)
    picture[:, :24], picture[:, 24:] = 100, 200
    known = np.ones((64, 48), bool)
    known[10:60, 5:40] = False
    picture[~known] = 0
    filled = fill_holes(picture, known)
    np.testing.assert_array_equal(filled[known], picture[known])
    assert filled[~known].min() >= 99
    assert filled[~known].max() <= 201
    assert filled[30, 8].mean() < filled[30, 36].mean()


def test_background_behind_a_moving_person_is_recovered() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    frames, alphas = [], []
    for left in range(0, 40, 4):
        alpha = np.zeros((64, 64), np.uint8)
        alpha[20:, left : left + 20] = 255
        frames.append(np.where(alpha[..., None] > 0, 0, truth).astype(np.uint8))
        alphas.append(alpha)
    background, seen = clean_background(frames, alphas)
    assert seen.all()
    np.testing.assert_array_equal(background, truth)


def neck_and_head(height: int = 128) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros((height, height, 2), np.uint8)
    masks[height // 8 : height // 2, height // 4 : 3 * height // 4, 0] = 255
    masks[height // 2 :, 3 * height // 8 : 5 * height // 8, 1] = 255
    frame = np.full((height, height, 3), 90, np.uint8)
    frame[masks[..., 1] > 0] = (200, 150, 120)
    return frame, masks


def test_torso_goes_on_under_the_chin_without_a_hole() -> None:
    frame, masks = neck_and_head()
    torso = torso_layer(frame, masks)
    middle = torso[:, 64, 3]
    assert (middle[64 - 12 :] == 255).all()
    assert middle[:40].max() == 0
    assert (torso[60, 64, :3] > 100).all()
    assert torso[53, 64, 0] < torso[62, 64, 0]  # darker upwards
    assert torso[torso[..., 3] == 0].max() == 0


def test_torso_without_a_head_above_it_is_not_continued() -> None:
    frame, masks = neck_and_head()
    masks[..., 0] = 0
    torso = torso_layer(frame, masks)
    np.testing.assert_array_equal(torso[..., 3], masks[..., 1])


def test_strays_are_what_the_torso_has_lost() -> None:
    torso = np.zeros((20, 20), np.uint8)
    torso[10:, 5:15] = 255  # the torso
    torso[3:5, 2] = 255  # an end of hair
    torso[3:5, 3] = 40  # and its soft border
    torso[18:, 18:] = 255  # a sleeve that comes in from below
    assert np.argwhere(strays(torso)).tolist() == [[3, 2], [3, 3], [4, 2], [4, 3]]


def test_background_is_replaced_and_the_person_untouched() -> None:
    frame, masks = neck_and_head()
    background = np.full_like(frame, 7)
    picture = over_background(frame, masks, background)
    person = masks.max(axis=-1) > 0
    np.testing.assert_array_equal(picture[person], frame[person])
    assert (picture[~person] == 7).all()


def test_unknown_segmenter_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown segmenter 'bisnet'; did you mean 'bisenet'"):
        build_segmenter("bisnet")


def test_masks_of_a_real_frame_part_head_torso_and_background() -> None:
    from modules.face import build_landmarker

    frames = list(read_frames(real_clip("video/obama_oval_20s_sync.mp4"), stop=3, size=(256, 256)))
    points = build_landmarker("mediapipe").track(frames).points
    segmenter = build_segmenter("mediapipe")
    segmenter.learn(frames, points)
    masks = segmenter.masks(frames[2], points[2])
    again = segmenter.masks(frames[2], points[2])
    np.testing.assert_array_equal(masks, again)
    nose, chin = points[2, 1, :2].astype(int), points[2, 152, :2].astype(int)
    assert masks[nose[1], nose[0]].tolist() == [255, 0]
    assert masks[chin[1] + 12, chin[0]].tolist() == [0, 255]
    assert masks[10, 10].tolist() == [0, 0]
    assert masks.max(axis=(0, 1)).tolist() == [255, 255]
    assert masks.sum(axis=-1, dtype=int).max() <= 255
