"""Frames are rendered ahead in a thread, in order, and errors come out where they are waited for."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from inference.render_video import ahead, render_video
from tests.inference.conftest import FlatRenderer
from utils.commons.schema import DataError
from utils.media.audio import load_wav
from utils.media.video import probe, read_frames


def frames(count: int, log: list[int], *, fail_at: int = -1) -> Iterator[np.ndarray]:
    for number in range(count):
        if number == fail_at:
            raise DataError("broken frame")
        log.append(number)
        yield np.full((2, 2, 3), number, np.uint8)


def test_all_frames_arrive_in_order() -> None:
    assert [int(frame[0, 0, 0]) for frame in ahead(frames(100, []), 4)] == list(range(100))


def test_the_thread_does_not_run_away_from_the_encoder() -> None:
    made: list[int] = []
    reader = ahead(frames(1000, made), 4)
    next(reader)
    time.sleep(0.3)
    assert len(made) <= 7  # one read, four waiting, one in hand, one more begun
    reader.close()


def test_leaving_early_ends_the_thread() -> None:
    reader = ahead(frames(1000, []), 4)
    next(reader)
    reader.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("renderer")]


def test_an_error_in_the_thread_is_raised_after_the_good_frames() -> None:
    reader = ahead(frames(10, [], fail_at=3), 2)
    assert [int(next(reader)[0, 0, 0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="broken frame"):
        next(reader)


def test_a_failing_renderer_leaves_no_file(tmp_path: Path) -> None:
    class Failing(FlatRenderer):
        def render(self, conditions: np.ndarray, t: int, c2w: np.ndarray) -> np.ndarray:
            if t == 5:
                raise DataError("broken frame")
            return super().render(conditions, t, c2w)

    lm3d, c2w = np.zeros((10, 68, 3)), np.zeros((10, 4, 4))
    with pytest.raises(DataError, match="broken frame"):
        render_video(Failing(), lm3d, c2w, tmp_path / "v.mp4", audio=np.zeros(6400, np.float32))
    assert not list(tmp_path.iterdir())


def test_video_holds_the_frames_and_exactly_the_sound(tmp_path: Path) -> None:
    sound = np.sin(np.arange(16000) / 5).astype(np.float32) * 0.3
    out = render_video(FlatRenderer(), np.zeros((25, 68, 3)), np.zeros((25, 4, 4)), tmp_path / "v.mp4", audio=sound)
    info = probe(out)
    assert (info.num_frames, info.fps, info.width, info.height) == (25, 25, 64, 48)
    assert [round(float(frame.mean())) for frame in read_frames(out)][::12] == pytest.approx([0, 12, 24], abs=2)
    assert len(load_wav(out)) == pytest.approx(16000, abs=640)


def test_video_says_that_it_is_synthetic(tmp_path: Path) -> None:
    sound = np.zeros(6400, np.float32)
    out = render_video(FlatRenderer(), np.zeros((10, 68, 3)), np.zeros((10, 4, 4)), tmp_path / "v.mp4", audio=sound)
    with av.open(str(out)) as container:
        assert "Synthetic media" in container.metadata["comment"]
