"""Encoded pictures in one Arrow IPC file: written frame by frame, read at random through a memory map.

Each column holds one encoded picture a row (JPEG 4:4:4 for photographs, PNG for masks and RGBA). Training memory does
not grow with the number of frames: only the bytes of the frame asked for are read.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import pyarrow as pa

from utils.commons.schema import DataError
from utils.data.atomic import atomic_path

_BATCH_ROWS = 32


def encode_picture(picture: np.ndarray, codec: str) -> bytes:
    """Encode uint8 RGB [H,W,3], RGBA [H,W,4], two channels [H,W,2] or gray [H,W] as ``"jpeg"`` (RGB only) or ``"png"``."""
    if codec == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        ok, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    else:  # the library's own choice of level and filter: less than half the time of level 1 asked for, smaller files
        ok, data = cv2.imencode(".png", _to_cv(picture))
    if not ok:
        raise DataError(f"cannot encode a picture of shape {picture.shape} as {codec}")
    return bytes(data)


def decode_picture(data: bytes | memoryview) -> np.ndarray:
    """Undo :func:`encode_picture`; three-channel PNGs whose blue is 0 come back as stored (see ``num_channels``)."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DataError("a stored picture cannot be decoded; process the video again")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB if picture.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return picture


def _to_cv(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture
    if picture.shape[2] == 2:  # PNG has no two-channel 8-bit layout in OpenCV: the third channel is empty
        first, second = cv2.split(picture)
        return cv2.merge([np.zeros_like(first), second, first])
    return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)


class PictureWriter:
    """Write pictures row by row; the file appears at ``path`` only when the block ends without error."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, list(columns)
        self._temporary = path.with_name(f".{path.name}.part")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = pa.schema([(name, pa.binary()) for name in self.columns])
        self._sink = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._rows: list[Mapping[str, bytes]] = []
        return self

    def write(self, row: Mapping[str, bytes]) -> None:
        """Append one row of encoded pictures, one for each column."""
        self._rows.append(row)
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            arrays = [pa.array([row[name] for row in self._rows], pa.binary()) for name in self.columns]
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
            self._rows = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._sink.close()
        if kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)


def join_pictures(parts: Sequence[Path], path: Path) -> None:
    """Write the rows of several files into one, in order; it is the file that one writer would have made.

    All parts but the last must hold a multiple of 32 rows.
    """
    with atomic_path(path) as temporary, contextlib.ExitStack() as stack:
        writer = None
        for part in parts:
            with pa.OSFile(str(part)) as source, pa.ipc.open_file(source) as reader:
                if writer is None:
                    writer = stack.enter_context(pa.ipc.new_file(str(temporary), reader.schema))
                for index in range(reader.num_record_batches):
                    writer.write_batch(reader.get_batch(index))


class PictureStore:
    """Read pictures at random; ``store.read("gt", 12)`` decodes one frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        if not self.path.exists():
            raise FileNotFoundError(f"no {self.path}; process the video first")
        self._reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        counts = [self._reader.get_batch(i).num_rows for i in range(self._reader.num_record_batches)]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read_bytes(self, column: str, index: int) -> memoryview:
        """Return the encoded bytes of row ``index``."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)} in {self.path}")
        batch = int(np.searchsorted(self._starts, index, side="right")) - 1
        row = index - int(self._starts[batch])
        return memoryview(self._reader.get_batch(batch).column(column)[row].as_buffer())

    def read(self, column: str, index: int) -> np.ndarray:
        """Return the decoded picture, uint8, RGB(A) order."""
        return decode_picture(self.read_bytes(column, index))

    def __getstate__(self) -> dict[str, Path]:  # memory maps cannot cross to a worker process: reopen there
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path = state["path"]
        self._open()
