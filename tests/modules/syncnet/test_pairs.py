"""Which windows make aligned and wrong pairs."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.syncnet.pairs import PairDraw, cut_pairs, draw_pairs, draw_starts
from utils.commons.runtime import seeded_generator


def _draw(
    lengths: list[int], speakers: list[int], seed: int, count: int = 64, win: int = 5, foreign: float = 0.25
) -> PairDraw:
    return draw_pairs(
        torch.tensor(lengths), torch.tensor(speakers), count=count, win=win, shifts=(2, 5), foreign=foreign,
        generator=seeded_generator(seed),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(5, 40), min_size=1, max_size=6), seed=st.integers(0, 10**6), data=st.data())
def test_every_window_lies_in_its_clip_and_labels_tell_the_truth(
    lengths: list[int], seed: int, data: st.DataObject
) -> None:
    speakers = data.draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))
    draw = _draw(lengths, speakers, seed)
    all_lengths = torch.tensor(lengths)
    for clip, start in ((draw.mouth_clip, draw.mouth_start), (draw.speech_clip, draw.speech_start)):
        assert (start >= 0).all()
        assert (start + 5 <= all_lengths[clip]).all()
    same = (draw.mouth_clip == draw.speech_clip) & (draw.mouth_start == draw.speech_start)
    assert torch.equal(same, draw.labels == 1)
    near = (draw.mouth_clip == draw.speech_clip) & (draw.labels == 0)
    assert ((draw.mouth_start - draw.speech_start).abs()[near] >= 2).all()


def test_a_quarter_of_the_wrong_pairs_has_a_foreign_voice() -> None:
    draw = _draw([60] * 8, [0, 0, 1, 1, 2, 2, 3, 3], seed=1, count=8000)
    speakers = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    wrong = draw.labels == 0
    foreign = speakers[draw.mouth_clip] != speakers[draw.speech_clip]
    assert 0.47 < wrong.float().mean() < 0.53
    assert 0.22 < foreign[wrong].float().mean() < 0.28
    shift = (draw.mouth_start - draw.speech_start).abs()[wrong & ~foreign]
    assert 0.5 < (shift <= 5).float().mean() < 0.65


def test_the_same_seed_draws_the_same_pairs() -> None:
    first, again, other = (_draw([30, 40], [0, 1], seed) for seed in (3, 3, 4))
    assert torch.equal(first.speech_start, again.speech_start)
    assert not torch.equal(first.speech_start, other.speech_start)


def test_cut_pairs_takes_the_frames_that_belong_together() -> None:
    speech = torch.arange(2 * 20 * 1.0).reshape(2, 20, 1)
    y = torch.arange(2 * 10 * 204.0).reshape(2, 10, 204)
    sound, mouth = cut_pairs(speech, y, torch.tensor([1]), torch.tensor([3]), 5)
    assert torch.equal(sound[0, :, 0], speech[1, 6:16, 0])
    assert torch.equal(mouth[0], y[1, 3:8, 144:])


def test_starts_stay_inside_real_frames_and_skip_short_clips() -> None:
    items, starts = draw_starts(torch.tensor([4, 9, 12]), 50, 6, seeded_generator(0))
    assert set(items.tolist()) == {1, 2}
    assert (starts + 6 <= torch.tensor([4, 9, 12])[items]).all()
    assert len(draw_starts(torch.tensor([4]), 50, 6, seeded_generator(0))[0]) == 0
