"""Plain values and arrays come out of a pickle; anything else is refused and nothing is run."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from utils.commons.schema import DataError
from utils.data.plain_objects import DROPPED, load_plain

leaves = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text())
values = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner))
)
numbers = arrays.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.uint8, np.int64, np.bool_, ">f4"]),
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    elements=st.integers(0, 1),
)


def read(value: Any, protocol: int = 4, **options: Any) -> Any:
    return load_plain(io.BytesIO(pickle.dumps(value, protocol)), **options)


@given(value=values, protocol=st.sampled_from([3, 4]))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    assert read(value, protocol) == value


@given(array=numbers, protocol=st.sampled_from([3, 4]), order=st.sampled_from("CF"))
def test_arrays_come_back(array: np.ndarray, protocol: int, order: str) -> None:
    found = read({"a": np.asarray(array, order=order)}, protocol)["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_numbers_and_objects_of_numpy_come_back() -> None:
    boxed = np.empty((), object)
    boxed[()] = {"x": np.float64(2.5), "shared": [1]}
    assert read([boxed, np.int32(-3), np.array([1, "a"], object)]) == [{"x": 2.5, "shared": [1]}, -3, [1, "a"]]


def test_shared_objects_stay_shared() -> None:
    inner = [np.arange(3)]
    found = read({"a": inner, "b": inner})
    assert found["a"] is found["b"]


def test_large_arrays_that_are_not_wanted_are_let_go() -> None:
    value = {"small": np.zeros(4), "large": np.zeros((16, 1024)), "other": np.ones((3, 3000))}
    found = read(value, wanted=lambda shape: shape != (16, 1024))
    assert found["large"] is DROPPED
    assert found["small"].shape == (4,)
    assert found["other"].sum() == 9000


class Calls:
    """Asks to call a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


def test_nothing_is_called(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    for function, arguments in (
        (os.system, (f"touch {target}",)),
        (eval, (f"open({str(target)!r}, 'w')",)),
        (exec, (f"open({str(target)!r}, 'w')",)),
        (os.mkdir, (str(target),)),
        (getattr, ("os", "system")),
        (np.load, (str(target),)),
        (np.memmap, (str(target), np.uint8, "w+", 0, (10,))),
    ):
        for protocol in (3, 4):
            with pytest.raises(DataError, match="which no dataset needs; it may be an attack"):
                read({"a": Calls(function, *arguments)}, protocol)
    assert not target.exists()


def raw(text: bytes) -> Any:
    return load_plain(io.BytesIO(text))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"\x80\x03cnumpy\nndarray\n(K\x02tR.", "calls 'numpy.ndarray' in an unknown way"),
        (b"\x80\x03cnumpy\nndarray\n.", "no number, text or array"),
        (b"\x80\x03cnumpy\ndtype\n(X\x02\x00\x00\x00V8tR.", "elements of type 'V8'"),
        (b"\x80\x03}K\x01b.", "changes something that is no NumPy array"),
        (b"\x80\x03(I1\nI2\nios\nsystem\n.", "instruction"),
        (b"\x80\x03\x82\x01.", "instruction EXT1"),
        (b"\x80\x03P1\n.", "instruction PERSID"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.", "ends too early"),
        (b"\x80\x04h\x07.", "damaged"),
        (b"\x80\x04t.", "damaged"),
        (b"\x80\x04K\x01K\x02.", "ends in the middle"),
        (b"\x80\x04" + b"]" * 3 + b"aa", "damaged|too early"),
        (b"", "damaged|too early"),
        (b"hello, this is text", "damaged|instruction"),
    ],
)
def test_programs_written_by_hand_are_refused(text: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        raw(text)


def test_arrays_that_lie_about_their_size_are_refused() -> None:
    good = pickle.dumps(np.arange(7, dtype=np.uint8), 3)
    with pytest.raises(DataError, match="does not hold as many numbers as it says"):
        raw(good.replace(b"K\x07\x85", b"K\x09\x85"))


def test_every_truncation_is_refused() -> None:
    whole = pickle.dumps({"a": np.arange(5), "b": [1, "x", 2.5]}, 4)
    for end in range(len(whole) - 1):
        with pytest.raises(DataError):
            raw(whole[:end])


PLAIN = {dict, list, tuple, set, str, bytes, int, float, bool, type(None), type(DROPPED), np.ndarray}


def kinds_in(value: Any) -> set[type]:
    """Return the types of a value and of all it holds; numbers of numpy count as the numbers they are."""
    kind = type(value.item()) if isinstance(value, np.generic) else type(value)
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return {kind}.union(*map(kinds_in, inner)) if isinstance(value, dict | list | tuple | set) else {kind}


@given(st.data())
def test_altered_bytes_never_do_more_than_be_refused(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps({"a": np.arange(5), "b": [1, "x", 2.5]}, 3))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = raw(bytes(whole))
    except DataError:
        return
    assert kinds_in(found) <= PLAIN, "an object that is neither plain nor an array came out"


def test_bombs_of_shared_tuples_take_no_time() -> None:
    bomb: Any = (np.arange(2),)
    for _ in range(60):
        bomb = (bomb, bomb)
    read({"a": bomb})
    for _ in range(10):
        bomb = (bomb, bomb)
    with pytest.raises(DataError, match="nested too deeply"):
        read({"a": bomb})


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError, match="nested too deeply"):
        read(endless)
