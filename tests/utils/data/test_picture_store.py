"""Pictures come back as written, at random, and a broken write leaves nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.commons.schema import DataError
from utils.data.picture_store import PictureStore, PictureWriter, decode_picture, encode_picture


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(7, 9), (7, 9, 3), (5, 4, 4)]).flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_png_is_lossless(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_picture(encode_picture(picture, "png")), picture)


@settings(max_examples=10, deadline=None)
@given(hnp.arrays(np.uint8, (6, 5, 2)))
def test_two_channel_masks_keep_their_channels(masks: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_picture(encode_picture(masks, "png"))[..., :2], masks)


def test_jpeg_is_nearly_lossless_on_smooth_pictures() -> None:
    ramp = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    error = decode_picture(encode_picture(ramp, "jpeg")).astype(float) - ramp
    assert np.abs(error).mean() < 1.0  # quality 97, no chroma subsampling


def _write(path: Path, count: int) -> None:
    with PictureWriter(path, ["gt", "masks"]) as writer:
        for i in range(count):
            picture = np.full((4, 4), i % 256, np.uint8)
            writer.write({"gt": encode_picture(picture, "png"), "masks": encode_picture(255 - picture, "png")})


def test_rows_are_read_at_random_across_record_batches(tmp_path: Path) -> None:
    _write(tmp_path / "a.arrow", 70)
    store = PictureStore(tmp_path / "a.arrow")
    assert len(store) == 70
    for index in (69, 0, 31, 32, 33):
        assert store.read("gt", index)[0, 0] == index
        assert store.read("masks", index)[0, 0] == 255 - index
    with pytest.raises(IndexError, match="frame 70 of 70"):
        store.read("gt", 70)


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), PictureWriter(tmp_path / "a.arrow", ["gt"]):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_store_reopens_in_a_worker_process(tmp_path: Path) -> None:
    _write(tmp_path / "a.arrow", 3)
    copy = pickle.loads(pickle.dumps(PictureStore(tmp_path / "a.arrow")))
    assert copy.read("gt", 2)[0, 0] == 2


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="process the video first"):
        PictureStore(tmp_path / "none.arrow")
    with pytest.raises(DataError, match="cannot be decoded"):
        decode_picture(b"no picture")
