"""Read a checkpoint that another program wrote: tensors and plain values only, whatever the file holds."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._weights_only_unpickler import UnpicklingError

from utils.commons.schema import DataError

MAX_BYTES = 4 << 30
"""Largest checkpoint file that is read."""
_DAMAGE = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


def read_foreign_checkpoint(path: Path, what: str) -> dict[str, Any]:
    """Return the dict a checkpoint file holds; nothing in the file is run.

    Args:
        path: A file of ``torch.save``, in the old format or as a zip.
        what: Its name in errors.

    Raises:
        DataError: Too large, damaged, no checkpoint, or it holds something beside tensors and plain values.
    """
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{what} is larger than {MAX_BYTES >> 30} GB; no such checkpoint is known")
    if zipfile.is_zipfile(path):
        _check_zip(path, what)
    try:
        content = _load(path)
    except UnpicklingError as error:
        raise DataError(f"{what} holds more than tensors and plain values: {_reason(error)}; it is not read") from error
    except _DAMAGE as error:
        raise DataError(f"{what} is damaged or no checkpoint ({_reason(error)}); download it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{what} holds a {type(content).__name__} and no checkpoint")
    return content


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        with torch.serialization.safe_globals(_numpy_numbers()):  # a validation figure may be a NumPy number
            return torch.load(path, map_location="cpu", weights_only=True)


def _numpy_numbers() -> list[Any]:
    """Return what describes a NumPy number, under the names old and new versions of NumPy wrote."""
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    kinds = (np.float32, np.float64, np.int32, np.int64, np.bool_)
    return [*((scalar, name) for name in names), np.dtype, *{type(np.dtype(kind)) for kind in kinds}]


def _check_zip(path: Path, what: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"{what} would unpack to more than {MAX_BYTES >> 30} GB; it is not read")
    except zipfile.BadZipFile as error:
        raise DataError(f"{what} is damaged ({error}); download it again") from error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    found = re.search(r"[Uu]nsupported (?:GLOBAL |global: GLOBAL |class |operand )\S+", text)
    return found[0] if found else text.split(". ")[0][:160]


def child_tensors(content: dict[str, Any], what: str) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each child network of ``content['state_dict']``, flat or nested, by the child's name.

    Raises:
        DataError: There is no state_dict, or it holds something else than tensors.
    """
    state = content.get("state_dict")
    if not isinstance(state, dict) or not state:
        raise DataError(f"{what} has no 'state_dict' with networks; it is no GeneFace checkpoint")
    children: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if isinstance(value, dict):
            children.setdefault(str(name), {}).update(value)
        else:
            child, _, key = str(name).partition(".")
            children.setdefault(child, {})[key] = value
    for child, tensors in children.items():
        for key, value in tensors.items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                raise DataError(f"{what}: {child}.{key} is a {type(value).__name__} and no tensor")
    return children
