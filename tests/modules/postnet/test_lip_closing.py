"""Lips meet at dips of the predicted opening, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from modules.postnet.lip_closing import LipClosing, closing_weight
from modules.postnet.model import PostNet, PostNetConfig
from modules.postnet.opening_map import OpeningMap
from tests.support.tiny_corpus import tiny_clip

FRAMES = 400


@pytest.fixture(scope="module")
def person() -> tuple[torch.Tensor, torch.Tensor, OpeningMap]:
    """Return motion [400,204] that closes for three frames each second, the neutral shape and its map."""
    lm3d = torch.from_numpy(tiny_clip(1, 0, FRAMES, 4).lm3d.reshape(FRAMES, -1))
    neutral = lm3d.mean(0)
    opening_map = OpeningMap()
    opening_map.fit(lm3d - neutral, lm3d - neutral, neutral)
    opening = opening_map.opening(lm3d - neutral)
    closed = torch.arange(FRAMES) % 25
    step = torch.where(((closed - 12).abs() <= 1), 0.01 - opening, torch.zeros(FRAMES))
    return lm3d - neutral + step[:, None] * opening_map.direction, neutral, opening_map


def _predicted(true: torch.Tensor, opening_map: OpeningMap) -> torch.Tensor:
    """Return the motion of a prediction that dips where lips meet, and never closes."""
    opening = opening_map.opening(true)
    dip = 0.06 + 0.01 * (torch.arange(FRAMES) % 25 - 12).abs()
    timid = torch.where(opening < 0.02, dip, opening.clamp(min=0.08))
    return true + (timid - opening)[:, None] * opening_map.direction


def _fitted(true: torch.Tensor, neutral: torch.Tensor, predicted: torch.Tensor, opening_map: OpeningMap) -> LipClosing:
    closing = LipClosing()
    closing.fit(
        predicted, predicted, true, neutral=neutral, opening=opening_map.opening, direction=opening_map.direction
    )
    return closing


def test_missed_closings_are_found_and_other_frames_stay(person: tuple[torch.Tensor, torch.Tensor, OpeningMap]) -> None:
    true, neutral, opening_map = person
    predicted = _predicted(true, opening_map)
    closing = _fitted(true, neutral, predicted, opening_map)
    opening = opening_map.opening(predicted)
    result = closing(predicted[None], opening[None], opening[None], opening_map.direction)[0]
    shut = opening_map.opening(true) < 0.02
    assert (opening_map.opening(result)[shut] < 0.02).float().mean() > 0.95
    away = (torch.arange(FRAMES) % 25 - 12).abs() > 3
    torch.testing.assert_close(result[away], predicted[away], atol=0, rtol=0)
    torch.testing.assert_close(result[:, 51:144], predicted[:, 51:144], atol=0, rtol=0)


def test_dips_that_mean_nothing_are_left_alone(person: tuple[torch.Tensor, torch.Tensor, OpeningMap]) -> None:
    true, neutral, opening_map = person
    elsewhere = _predicted(true, opening_map).roll(9, 0)  # dips in wide open frames
    assert float(_fitted(true, neutral, elsewhere, opening_map).threshold) == 0
    assert float(_fitted(true, neutral, true, opening_map).threshold) == 0  # nothing is missing


def test_a_mouth_that_never_moves_stays_as_predicted(person: tuple[torch.Tensor, torch.Tensor, OpeningMap]) -> None:
    true, neutral, opening_map = person
    open_mouth = (true[0] + 0.3 * opening_map.direction).expand(FRAMES, -1)
    closing = _fitted(open_mouth, neutral, open_mouth, opening_map)
    opening = opening_map.opening(open_mouth)[None]
    torch.testing.assert_close(closing(open_mouth[None], opening, opening, opening_map.direction)[0], open_mouth)


def test_a_dip_is_shut_for_three_frames_with_soft_edges() -> None:
    opening = torch.full((1, 30), 0.1)
    opening[0, 10], opening[0, 11] = 0.03, 0.04
    opening[0, 20] = 0.06
    weight = closing_weight(opening, torch.tensor(0.05))[0]
    assert weight.tolist() == [0.0] * 8 + [0.25, 1, 1, 1, 0.25] + [0.0] * 17
    assert not closing_weight(opening, torch.zeros(())).any()


def test_frames_far_from_the_borders_do_not_depend_on_them() -> None:
    opening = torch.rand(1, 80, generator=torch.Generator().manual_seed(0)) * 0.1
    whole, part = (closing_weight(o, torch.tensor(0.04)) for o in (opening, opening[:, 20:60]))
    torch.testing.assert_close(whole[:, 26:54], part[:, 6:34])


def test_a_post_net_without_the_key_has_no_such_numbers() -> None:
    keys = {"person_ridge_share": 0.5, "speech_dim": 8, "person_opening_map": True}
    old, new = (PostNet(PostNetConfig(**keys, person_lip_closing=flag)) for flag in (False, True))
    assert set(new.state_dict()) - set(old.state_dict()) == {"lip_closing.threshold", "lip_closing.touch"}
    x, speech = torch.randn(1, 12, 204), torch.randn(1, 24, 8)
    torch.testing.assert_close(old.mapped(x), new.mapped(x))  # unfitted, it shuts nothing
    assert new(x, speech=speech).shape == x.shape
