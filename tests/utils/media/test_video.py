from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import drawn_frame, ffmpeg, frame_number, tone, write_clip
from utils.commons.schema import DataError
from utils.media.audio import load_wav, save_wav
from utils.media.video import VideoWriter, probe, read_frames


def test_frames_come_back_in_order_and_nearly_unchanged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=30)
    frames = list(read_frames(path))
    assert len(frames) == 30
    assert [round(frame_number(frame)) for frame in frames] == list(range(30))
    assert np.abs(frames[7].astype(int) - drawn_frame(7, 64, 48)).max() <= 6  # crf 4, chroma halved


@pytest.mark.parametrize(("start", "stop", "step"), [(0, 5, 1), (12, None, 1), (3, 20, 4), (29, None, 1)])
def test_a_range_of_frames_is_the_slice_of_all_frames(tmp_path: Path, start: int, stop: int | None, step: int) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=30)
    every = list(read_frames(path))[start:stop:step]
    some = list(read_frames(path, start=start, stop=stop, step=step))
    np.testing.assert_array_equal(np.array(some), np.array(every))


def test_crop_takes_the_named_box_and_repeats_the_edge_outside(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=3)
    whole = next(read_frames(path))
    inside = next(read_frames(path, crop=(10, 8, 20, 16)))
    assert np.abs(inside.astype(int) - whole[8:24, 10:30]).max() <= 2
    outside = next(read_frames(path, crop=(-8, 0, 32, 48)))
    assert outside.shape == (48, 32, 3)
    assert np.abs(outside[:, :8].astype(int) - whole[:, :1]).max() <= 6


@pytest.mark.parametrize("fps", [12.5, 30.0, 50.0, 24000 / 1001])
def test_any_rate_becomes_25_frames_a_second(tmp_path: Path, fps: float) -> None:
    count = round(1.2 * fps)
    path = write_clip(tmp_path / "a.mp4", frames=count, fps=fps)
    frames = [frame_number(frame) for frame in read_frames(path, fps=25)]
    assert abs(len(frames) - 30) <= 1
    times = np.array(frames) / fps
    assert np.abs(times - np.arange(len(frames)) / 25).max() < 1 / 25 + 1 / fps  # no drift


def test_variable_rate_keeps_time(tmp_path: Path) -> None:
    steady = write_clip(tmp_path / "a.mp4", frames=50)
    varying = tmp_path / "vfr.mp4"
    drop = "select=not(between(n\\,10\\,14)+between(n\\,30\\,39))"  # 15 of 50 frames missing, time stamps kept
    ffmpeg("-i", steady, "-vf", drop, "-fps_mode", "passthrough", "-c:v", "libx264", "-crf", "4", varying)
    assert probe(varying).num_frames == 35
    numbers = [round(frame_number(frame)) for frame in read_frames(varying, fps=25)]
    assert len(numbers) == 50
    assert numbers[9] == 9
    assert abs(numbers[20] - 20) <= 1
    assert abs(numbers[45] - 45) <= 1


def test_rotation_of_the_display_matrix_is_applied(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mp4", frames=5)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", turned)
    info = probe(turned)
    assert (info.width, info.height) == (48, 64)
    assert info.rotation in (90, 270)
    frame = next(read_frames(turned))
    upright = np.rot90(next(read_frames(plain)))
    assert frame.shape == (64, 48, 3)
    assert np.abs(frame.astype(int) - upright).mean() < 2


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mp4", frames=3)
    wide = tmp_path / "wide.mp4"
    ffmpeg("-i", plain, "-vf", "setsar=2", "-c:v", "libx264", wide)
    assert (probe(wide).width, probe(wide).height) == (128, 48)
    assert next(read_frames(wide)).shape == (48, 128, 3)


@pytest.mark.parametrize("samples", [16000, 48123, 1000])
def test_sound_is_exactly_as_long_as_given(tmp_path: Path, samples: int) -> None:
    wav = tone(4.0)[:samples]
    path = write_clip(tmp_path / "a.mp4", frames=50, audio=wav)
    back = load_wav(path)
    assert len(back) == samples
    assert np.corrcoef(back, wav)[0, 1] > 0.99


def test_sound_from_a_file_is_muxed(tmp_path: Path) -> None:
    save_wav(tmp_path / "voice.wav", tone(1.0))
    with VideoWriter(tmp_path / "a.mp4", size=(32, 32), audio=tmp_path / "voice.wav") as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert len(load_wav(tmp_path / "a.mp4")) == 16000


def test_an_odd_size_grows_by_a_repeated_column_and_row(tmp_path: Path) -> None:
    frame = drawn_frame(10, 33, 17)
    with VideoWriter(tmp_path / "a.mp4", size=(33, 17), crf=1) as writer:
        writer.write(frame)
    assert writer.size == (34, 18)
    back = next(read_frames(tmp_path / "a.mp4"))
    assert back.shape == (18, 34, 3)
    assert np.abs(back[-1].astype(int) - back[-2]).mean() < 2


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    def fail_midway() -> None:
        with VideoWriter(tmp_path / "a.mp4", size=(32, 32), audio=tone(1.0)) as writer:
            writer.write(np.zeros((32, 32, 3), np.uint8))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail_midway()
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", size=(32, 32))
    with pytest.raises(DataError, match="no frame was given"):
        writer.__enter__().__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"uint8 \[32, 32, 3\], got uint8 \[16, 32, 3\]"),
        VideoWriter(tmp_path / "a.mp4", size=(32, 32)) as writer,
    ):
        writer.write(np.zeros((16, 32, 3), np.uint8))


def _files(folder: Path) -> dict[str, Path]:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is not a video\n" * 50)
    (folder / "pdf.mp4").write_bytes(b"%PDF-1.4" + bytes(range(256)) * 8)
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 64)
    save_wav(folder / "sound.wav", tone(0.5))
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:d=1", "-frames:v", "1", folder / "picture.png")
    (folder / "picture.mp4").write_bytes((folder / "picture.png").read_bytes())
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.mp4", "is not a video but an empty file"),
        ("text.mp4", "is not a video but a text file"),
        ("pdf.mp4", "is not a video but a PDF document"),
        ("noise.mp4", "is not a video but of an unknown kind"),
        ("picture.mp4", "is not a video but a PNG picture"),
        ("sound.wav", "has no picture track: it is sound only"),
    ],
)
def test_what_is_not_a_video_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = _files(tmp_path)[name]
    with pytest.raises(DataError, match=message):
        probe(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no video at .*nowhere\.mp4; check the name"):
        probe(tmp_path / "nowhere.mp4")
    with pytest.raises(DataError, match="is a folder, not video"):
        probe(tmp_path)
