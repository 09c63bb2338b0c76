from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import drawn_frame
from utils.commons.schema import DataError
from utils.media.clip import read_clip
from utils.media.video import VideoWriter, read_frames


@pytest.fixture(scope="module", params=["yuv444p", "yuv420p"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 colored frames with key frames every 25."""
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    coding = ("-g", "25")
    with VideoWriter(path, size=(64, 48), crf=4, pixel_format=request.param, preset="medium", coding=coding) as writer:
        for index in range(150):
            frame = np.roll(drawn_frame(index % 40, 64, 48), index, axis=1)
            frame[:16, :, 1], frame[16:32, :, 2] = 200 - index, 30 + index
            writer.write(frame)
    return path


def test_frames_are_those_of_the_ffmpeg_program(clip: Path) -> None:
    frames, others = np.array(list(read_clip(clip))), np.array(list(read_frames(clip)))
    assert frames.shape == others.shape == (150, 48, 64, 3)
    assert np.abs(frames.astype(int) - others).max() <= 1  # rounding of the color conversion


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [(0, None, 1), (1, 30, 1), (23, 27, 1), (24, 60, 1), (25, None, 1), (31, 149, 7), (0, None, 32), (5, 148, 47)],
)
def test_any_part_is_the_slice_of_all_frames(clip: Path, start: int, stop: int | None, step: int) -> None:
    every = np.array(list(read_clip(clip)))
    np.testing.assert_array_equal(np.array(list(read_clip(clip, start=start, stop=stop, step=step))),
                                  every[start:stop:step])  # fmt: skip


def test_an_empty_part_and_one_beyond_the_end_have_no_frames(clip: Path) -> None:
    assert list(read_clip(clip, start=5, stop=5)) == []
    assert list(read_clip(clip, start=500)) == []


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="process the video first"):
        next(read_clip(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"text\.mp4 cannot be decoded .* with --force"):
        next(read_clip(tmp_path / "text.mp4"))
