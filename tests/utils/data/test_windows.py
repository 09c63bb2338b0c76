"""Context windows follow one rule: centered, edge frames repeated."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.data.person_store import split_ranges
from utils.data.windows import window_indices


@given(length=st.integers(1, 40), size=st.integers(1, 16))
def test_a_window_holds_its_own_frame_at_the_center(length: int, size: int) -> None:
    windows = window_indices(length, size)
    assert windows.shape == (length, size)
    assert torch.equal(windows[:, size // 2], torch.arange(length))


@given(length=st.integers(1, 40), size=st.integers(1, 16))
def test_neighbours_step_by_one_or_stay_at_the_edge(length: int, size: int) -> None:
    steps = window_indices(length, size).diff(dim=1)
    assert bool(((steps == 0) | (steps == 1)).all())


def test_windows_of_the_specification() -> None:
    assert window_indices(100, 8, center=torch.tensor([50])).tolist() == [[46, 47, 48, 49, 50, 51, 52, 53]]
    assert window_indices(100, 5, center=torch.tensor([0])).tolist() == [[0, 0, 0, 1, 2]]


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        window_indices(0, 5)


def _segments(lengths: list[int]) -> list[tuple[int, int]]:
    ends = torch.tensor(lengths).cumsum(0).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_the_split_covers_every_frame_once(lengths: list[int]) -> None:
    train, test = split_ranges(_segments(lengths))
    assert sorted(frame for start, end in train + test for frame in range(start, end)) == list(range(sum(lengths)))


def test_one_piece_of_footage_is_split_in_time() -> None:
    assert split_ranges([(0, 110)]) == ([(0, 100)], [(100, 110)])


def test_every_one_of_few_segments_is_split_in_time() -> None:
    assert split_ranges([(0, 110), (110, 132)]) == ([(0, 100), (110, 130)], [(100, 110), (130, 132)])


@given(st.lists(st.integers(20, 100), min_size=11, max_size=40))
def test_of_many_segments_whole_ones_at_the_end_are_held_out(lengths: list[int]) -> None:
    segments = _segments(lengths)
    train, test = split_ranges(segments)
    assert train + test == segments
    assert sum(lengths) / 11 <= sum(end - start for start, end in test) <= sum(lengths) / 11 + max(lengths) + 1
