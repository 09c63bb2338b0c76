"""Read dictionaries and arrays that someone else pickled, without unpickling them.

A pickle is a program. Here its instructions are interpreted by a machine that knows only containers, numbers, texts and
NumPy arrays: nothing is imported, nothing is called, whatever the file says. Large arrays that nobody wants are let go
as soon as they are read, so memory does not grow with them.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from utils.commons.schema import DataError

_ARRAYS = frozenset({"numpy.ndarray", "imageio.core.util.Array"})
_RECONSTRUCT = frozenset({"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"})
_SCALAR = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
_DTYPE = "numpy.dtype"
GLOBALS = _ARRAYS | _RECONSTRUCT | _SCALAR | {_DTYPE}
"""The names a file may use; none of them is ever imported."""
_KINDS = frozenset({"b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8", "O8"})
_LARGE = 1 << 14
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_MAX_DEPTH = 64
DROPPED = object()
"""Stands for an array that was let go."""

Wanted = Callable[[tuple[int, ...]], bool]


class _Global(str):
    """The name of something in a module."""


class _DType:
    """A NumPy element type, while it is being described."""

    def __init__(self, kind: str) -> None:
        if kind not in _KINDS:
            raise DataError(f"it holds elements of type {kind!r}; only numbers are read")
        self.kind, self.order = kind, "="

    def set_state(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "=", "|"):
            raise DataError(f"an element type has the byte order {order!r}")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.kind if self.order != "|" else self.kind)


class _Array:
    """An array, while it is being described."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.value: Any = None

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise DataError("an array is described in an unknown way")
        _, shape, kind, is_fortran, raw = state
        if not isinstance(kind, _DType) or not _is_shape(shape):
            raise DataError("an array is described in an unknown way")
        if kind.kind == "O8":
            self.value = _object_array(shape, raw)
            return
        if not isinstance(raw, bytes) or len(raw) != int(np.prod(shape, dtype=object)) * kind.dtype().itemsize:
            raise DataError(f"an array of shape {list(shape)} does not hold as many numbers as it says")
        if len(raw) > _LARGE and not self.wanted(shape):
            self.value = DROPPED
            return
        flat = np.frombuffer(raw, kind.dtype())
        self.value = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)


def _object_array(shape: tuple[int, ...], items: Any) -> Any:
    """Return the only item of an array of no dimensions, the list of those of one dimension."""
    if not isinstance(items, list) or len(items) != int(np.prod(shape, dtype=object)) or len(shape) > 1:
        raise DataError(f"an array of objects of shape {list(shape)} is not read")
    return items if shape else items[0]


class _Guard:
    """A file that never reads more than it has."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        start = file.tell()
        self.end = file.seek(0, 2)
        file.seek(start)

    def read(self, size: int) -> bytes:
        if size > _LARGE and size > self.end - self.file.tell():
            raise DataError("it ends too early")
        return self.file.read(size)

    def readline(self) -> bytes:
        return self.file.readline(1 << 16)

    def tell(self) -> int:
        return self.file.tell()


class _Machine:
    """The stack and the memory of a pickle program."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(_Guard(file)):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                if len(self.stack) != 1:
                    raise DataError("it ends in the middle of something")
                return self.stack[0]
            self._step(opcode.name, argument)
        raise DataError("it ends too early")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _MACHINE:
            _MACHINE[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise DataError(f"it holds the instruction {name}, which no dataset needs")

    def pop_mark(self) -> list[Any]:
        position = self.marks.pop()
        items = self.stack[position:]
        del self.stack[position:]
        return items

    def make_tuple(self, count: int) -> None:
        items = self.stack[len(self.stack) - count :] if count else []
        if len(items) != count:
            raise DataError("it is damaged")
        del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(items))

    def put(self, key: int) -> None:
        value = self.stack[-1]
        parts = value if isinstance(value, tuple) else (value,)
        is_large = any(isinstance(part, bytes) and len(part) > _LARGE for part in parts)
        self.memo[key] = DROPPED if is_large else value  # the bytes of an array are used once

    def get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def name(self, module: Any, attribute: Any) -> None:
        full = f"{module}.{attribute}"
        if full not in GLOBALS:
            raise DataError(f"it asks for {full!r}, which no dataset needs; it may be an attack")
        self.stack.append(_Global(full))

    def stack_name(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.name(module, attribute)

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise DataError("it calls something that is no NumPy array")
        if function in _RECONSTRUCT and arguments and arguments[0] in _ARRAYS:
            self.stack.append(_Array(self.wanted))
        elif function == _DTYPE and arguments and isinstance(arguments[0], str):
            self.stack.append(_DType(arguments[0]))
        elif function in _SCALAR and len(arguments) == 2:
            self.stack.append(_scalar(*arguments))
        else:
            raise DataError(f"it calls {str(function)!r} in an unknown way")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Array | _DType):
            raise DataError("it changes something that is no NumPy array")
        target.set_state(state)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise DataError("it is damaged")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise DataError("it is damaged")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise DataError(f"it has a key of type {type(key).__name__}")
            target[key] = value

    def pop(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]


_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_MACHINE: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, _: m.make_tuple(0),
    "TUPLE1": lambda m, _: m.make_tuple(1),
    "TUPLE2": lambda m, _: m.make_tuple(2),
    "TUPLE3": lambda m, _: m.make_tuple(3),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_mark())),
    "APPEND": lambda m, _: m.append(m.pop(1)),
    "APPENDS": lambda m, _: m.append(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(m.pop(2)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "BINPUT": lambda m, key: m.put(key),
    "LONG_BINPUT": lambda m, key: m.put(key),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "BINGET": lambda m, key: m.get(key),
    "LONG_BINGET": lambda m, key: m.get(key),
    "GLOBAL": lambda m, names: m.name(*str(names).split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.stack_name(),
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.build(),
}


def _scalar(kind: Any, raw: Any) -> Any:
    if not isinstance(kind, _DType) or kind.kind == "O8" or not isinstance(raw, bytes):
        raise DataError("a number is described in an unknown way")
    return np.frombuffer(raw, kind.dtype())[0].item()


def load_plain(file: BinaryIO, *, wanted: Wanted = lambda shape: True) -> Any:
    """Return what a pickle describes: dicts, lists, tuples, texts, numbers and arrays (views of read-only bytes).

    Args:
        file: Placed at the beginning of the pickle.
        wanted: Whether an array of this shape is to be kept, if it is large; else :data:`DROPPED` stands for it.

    Raises:
        DataError: The file is damaged, or holds anything else.
    """
    try:
        return _settle(_Machine(wanted).run(file), {}, 0)
    except DataError:
        raise
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"it is damaged ({(str(error).splitlines() or [type(error).__name__])[0]})") from error


def _settle(value: Any, done: dict[int, Any], depth: int) -> Any:
    """Return the value with finished arrays in place of their descriptions; dicts and lists are changed in place."""
    if depth > _MAX_DEPTH:
        raise DataError("it is nested too deeply")
    if isinstance(value, _Global | _DType):
        raise DataError("it holds something that is no number, text or array")
    if not isinstance(value, _Array | dict | list | tuple):
        return value
    if id(value) not in done:
        done[id(value)] = (value, _settle_items(value, done, depth + 1))  # the value stays alive, or its id is reused
    return done[id(value)][1]


def _settle_items(
    value: _Array | dict[Any, Any] | list[Any] | tuple[Any, ...], done: dict[int, Any], depth: int
) -> Any:
    if isinstance(value, _Array):
        return _settle(value.value, done, depth)
    if isinstance(value, tuple):
        return tuple(_settle(item, done, depth) for item in value)
    for key in value if isinstance(value, dict) else range(len(value)):
        value[key] = _settle(value[key], done, depth)
    return value
