"""Work in threads keeps its order, its bounds and its errors."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from utils.commons.schema import DataError
from utils.commons.threads import ordered_map


def test_threads_keep_the_order_and_hold_few_items() -> None:
    taken: list[int] = []

    def source() -> Iterable[int]:
        for i in range(50):
            taken.append(i)
            yield i

    results = ordered_map(lambda i: i * i, source(), threads=2)
    assert next(iter(results)) == 0
    assert len(taken) <= 7
    assert list(results) == [i * i for i in range(1, 50)]


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail(item: int) -> int:
        raise DataError("broken frame")

    with pytest.raises(DataError, match="broken frame"):
        list(ordered_map(fail, range(3), threads=2))
