"""Read clips this project wrote itself (:class:`utils.media.video.VideoWriter`): decoded here, from any frame on.

:func:`utils.media.video.read_frames` takes whatever people bring, through ffmpeg's converters and a pipe, and always
from the beginning. A clip of our own has a steady rate and no rotation; where its chroma is whole (yuv444p), the color
conversion is one matrix. Together a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from utils.commons.schema import DataError

if TYPE_CHECKING:
    import av.container
    import av.video.frame
    import av.video.stream

_REORDERED = 4
"""Frames by which the decoder's order may differ from that of display."""
_SEEK_STEP = 32
"""From this distance on it is cheaper to look for the next key frame than to decode all that lies between."""
_RGB_FROM_YUV = np.array([[1.164383, 0.0, 1.596027], [1.164383, -0.391762, -0.812968], [1.164383, 2.017232, 0.0]])
_MATRIX = np.column_stack([_RGB_FROM_YUV, -_RGB_FROM_YUV @ [16, 128, 128]])
"""BT.601, limited range, to RGB; what ffmpeg writes where nothing is said."""


def read_clip(path: Path, *, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[np.ndarray]:
    """Yield the frames ``start, start + step, ...`` below ``stop`` as RGB, uint8 [H,W,3].

    Several clips, or parts of one, may be read at once by different threads.

    Raises:
        FileNotFoundError: No such file.
        DataError: It cannot be decoded.
    """
    import av

    if not path.exists():
        raise FileNotFoundError(f"no {path}; process the video first")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # stages work on several parts at once
            for frame in _chosen(container, stream, range(start, 1 << 31 if stop is None else stop, step)):
                yield _to_rgb(frame)
    except av.FFmpegError as error:
        raise DataError(f"{path} cannot be decoded ({error}); process the video again with --force") from error


def _chosen(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, wanted: range
) -> Iterator[av.video.frame.VideoFrame]:
    """Yield the ``wanted`` frames that exist, by seeking where that saves decoding."""
    if wanted.step >= _SEEK_STEP:
        for index in wanted:
            found = next(_from(container, stream, index), None)
            if found is None:
                return
            yield found[1]
    elif wanted:
        for index, frame in _from(container, stream, wanted.start):
            if index >= wanted.stop:
                return
            if index in wanted:
                yield frame


def _from(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, start: int
) -> Iterator[tuple[int, av.video.frame.VideoFrame]]:
    """Yield the frames from number ``start`` on with their numbers."""
    assert stream.time_base is not None
    assert stream.average_rate is not None
    ticks = 1 / (stream.average_rate * stream.time_base)
    first = stream.start_time or 0
    if start > 0:
        container.seek(first + round(max(0, start - _REORDERED) * ticks), stream=stream)
    for frame in container.decode(stream):
        assert frame.pts is not None
        index = round((frame.pts - first) / ticks)
        if index >= start:
            yield index, frame


def _to_rgb(frame: av.video.frame.VideoFrame) -> np.ndarray:
    if frame.format.name != "yuv444p":
        other: np.ndarray = frame.to_ndarray(format="rgb24")
        return other
    planes = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : frame.width]
        for plane in frame.planes
    ]
    return cv2.transform(cv2.merge(planes), _MATRIX)
