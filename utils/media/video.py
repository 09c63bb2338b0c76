"""Read and write videos frame by frame through ffmpeg pipes: memory does not grow with the length.

Pictures are uint8 RGB [H,W,3] as a viewer sees them: the display matrix (rotation) and the shape of pixels are applied.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from utils.commons.schema import DataError
from utils.data.atomic import atomic_path
from utils.media.audio import save_wav
from utils.media.ffmpeg import check_is_file, describe_file, ffmpeg_command, last_line

_PICTURE_FORMATS = ("_pipe", "image2", "tty", "gif", "apng")


@dataclass(frozen=True)
class VideoInfo:
    """Facts of a video file; width and height are those of the upright picture with square pixels."""

    width: int
    height: int
    fps: float
    """Mean frames per second."""
    num_frames: int
    """Frames the container announces, else estimated from the duration."""
    duration_s: float
    has_audio: bool
    codec: str
    rotation: int
    """Degrees the stored picture is turned for display; 0, 90, 180 or 270."""
    nominal_fps: float
    """The rate the container claims; differs from ``fps`` where the rate varies."""
    audio_codec: str = ""
    audio_rate: int = 0
    audio_channels: int = 0


def probe(path: Path | str) -> VideoInfo:
    """Return the facts of a video.

    Raises:
        FileNotFoundError: No such file.
        DataError: Not a video, no picture track, or no frame in it.
    """
    import av

    path = Path(path)
    check_is_file(path, "video")
    try:
        with av.open(str(path)) as container:
            if any(mark in container.format.name for mark in _PICTURE_FORMATS):
                raise DataError(f"{path} is not a video but {describe_file(path)}; give an mp4, mov, mkv, avi or webm")
            if not container.streams.video:
                kind = f"sound only ({container.format.name})" if container.streams.audio else describe_file(path)
                raise DataError(f"{path} has no picture track: it is {kind}; give a video")
            return _facts(container, path)
    except av.FFmpegError as error:
        raise DataError(
            f"{path} is not a video but {describe_file(path)}; give an mp4, mov, mkv, avi or webm"
        ) from error


def _facts(container: object, path: Path) -> VideoInfo:
    import av.container

    assert isinstance(container, av.container.InputContainer)
    stream = container.streams.video[0]
    frame = next(iter(container.decode(stream)), None)
    if frame is None:
        raise DataError(f"{path} has a picture track without a frame (0 s); give another file")
    duration = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    duration = duration or (container.duration or 0) / 1e6
    nominal = float(stream.guessed_rate or stream.average_rate or 25)
    num_frames = stream.frames or max(1, round(duration * nominal))
    fps = num_frames / duration if stream.frames and duration > 0 else nominal
    rotation = round(frame.rotation) % 360
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = round(frame.width * aspect), frame.height
    if rotation in (90, 270):
        width, height = height, width
    sound = container.streams.audio[0] if container.streams.audio else None
    return VideoInfo(
        width=width,
        height=height,
        fps=fps,
        num_frames=num_frames,
        duration_s=duration or num_frames / nominal,
        has_audio=sound is not None,
        codec=stream.codec_context.name,
        rotation=rotation,
        nominal_fps=nominal,
        audio_codec=sound.codec_context.name if sound else "",
        audio_rate=sound.rate if sound else 0,
        audio_channels=sound.channels if sound else 0,
    )


def read_frames(
    path: Path | str,
    *,
    start: int = 0,
    stop: int | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    crop: tuple[int, int, int, int] | None = None,
    step: int = 1,
) -> Iterator[np.ndarray]:
    """Yield the frames ``start, start + step, ...`` below ``stop`` as RGB, upright, one at a time.

    Args:
        path: Any video ffmpeg can decode.
        start: First frame, counted after the change of rate.
        stop: Frame to stop before; the end of the video when absent.
        size: (width, height) to resize to.
        fps: Rate to convert to, by dropping or repeating frames; as stored when absent.
        crop: (x, y, width, height) of the upright picture; parts outside it repeat the edge.
        step: Yield every ``step``-th frame only.

    Raises:
        FileNotFoundError: No such file.
        DataError: The file cannot be decoded.
    """
    path = Path(path)
    info = probe(path)
    pads, box = _fit_crop(crop or (0, 0, info.width, info.height), info)
    width, height = size or (box[2], box[3])
    filters = [f"scale={info.width}:{info.height}:flags=lanczos", "setsar=1"]
    if fps is not None:
        filters.insert(0, f"fps=fps={fps}:start_time=0")
    if step > 1 or start or stop is not None:
        last = "" if stop is None else f"*lt(n\\,{stop})"
        filters.append(f"select=gte(n\\,{start})*not(mod(n-{start}\\,{step})){last}")
    if any(pads):
        left, top, right, bottom = pads
        filters.append(f"pad={info.width + left + right}:{info.height + top + bottom}:{left}:{top}")
        filters.append(f"fillborders={left}:{right}:{top}:{bottom}:smear")
    if crop is not None:
        filters.append(f"crop={box[2]}:{box[3]}:{box[0]}:{box[1]}")
    if (width, height) != (box[2], box[3]):
        filters.append(f"scale={width}:{height}:flags={'area' if width < box[2] else 'lanczos'}")
    limit = [] if stop is None else ["-frames:v", str(max(0, -(-(stop - start) // step)))]
    chain = ",".join(filters)
    tail = ["-an", "-sn", "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    command = ffmpeg_command("-i", path, "-map", "0:v:0", "-vf", chain, *limit, *tail)
    yield from _pipe_frames(command, (height, width, 3), path)


def _fit_crop(
    crop: tuple[int, int, int, int], info: VideoInfo
) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Return the borders (left, top, right, bottom) to add and the crop box inside the bordered picture."""
    x, y, width, height = crop
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(0, x + width - info.width), max(0, y + height - info.height)
    return (left, top, right, bottom), (x + left, y + top, width, height)


def _pipe_frames(command: list[str], shape: tuple[int, int, int], path: Path) -> Iterator[np.ndarray]:
    num_bytes = shape[0] * shape[1] * shape[2]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=num_bytes)
        assert process.stdout is not None
        try:
            count = 0
            while len(data := process.stdout.read(num_bytes)) == num_bytes:
                count += 1
                yield np.frombuffer(data, np.uint8).reshape(shape)
            if process.wait() != 0 and count == 0:
                errors.seek(0)
                raise DataError(f"cannot decode {path}: {last_line(errors.read())}")
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


class VideoWriter:
    """Write RGB frames into an H.264 mp4; the file appears at ``path`` whole or not at all.

    The sound is encoded as AAC and exactly as long as given, whatever the number of frames. ``yuv420p`` needs even
    sizes: an odd width or height grows by one, repeating the last column or row (``size`` tells the size written).
    ``comment`` is written into the file's metadata; ``coding`` holds further options of the encoder.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        size: tuple[int, int],
        fps: float = 25,
        audio: np.ndarray | Path | None = None,
        crf: int = 18,
        pixel_format: str = "yuv420p",
        preset: str = "medium",
        sample_rate_hz: int = 16000,
        comment: str = "",
        coding: Sequence[str] = (),
    ) -> None:
        self.path, self.fps, self.audio = Path(path), fps, audio
        self.input_size = size
        odd = pixel_format == "yuv420p"
        self.size = (size[0] + size[0] % 2, size[1] + size[1] % 2) if odd else size
        self.num_frames = 0
        self._codec = ["-c:v", "libx264", "-preset", preset, "-crf", str(crf), "-pix_fmt", pixel_format, *coding]
        self._codec += ["-metadata", f"comment={comment}"] if comment else []
        self._sample_rate_hz = sample_rate_hz
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            target = stack.enter_context(atomic_path(self.path))
            self._errors: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            sound = self._sound_arguments(stack)
            width, height = self.size
            source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(self.fps), "-i", "-"]
            command = ffmpeg_command(*source, *sound, *self._codec, "-movflags", "+faststart", target)
            command.remove("-nostdin")
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._errors)
            stack.callback(self._kill)
            self._stack = stack.pop_all()
        return self

    def _sound_arguments(self, stack: contextlib.ExitStack) -> list[str]:
        if self.audio is None:
            return []
        sound = self.audio
        if isinstance(sound, np.ndarray):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            save_wav(folder / "sound.wav", sound, sample_rate_hz=self._sample_rate_hz)
            sound = folder / "sound.wav"
        check_is_file(sound, "sound")
        return ["-i", str(sound), "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac", "-b:a", "160k"]

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, uint8 [H,W,3]."""
        width, height = self.input_size
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 [{height}, {width}, 3], got {rgb.dtype} {list(rgb.shape)}")
        if self.size != self.input_size:
            rgb = np.pad(rgb, ((0, self.size[1] - height), (0, self.size[0] - width), (0, 0)), mode="edge")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(rgb).data)
        except BrokenPipeError as error:
            self._process.wait()
            raise DataError(f"cannot write {self.path}: {self._reason()}") from error
        self.num_frames += 1

    def _reason(self) -> str:
        self._errors.seek(0)
        return last_line(self._errors.read())

    def _kill(self) -> None:
        self._process.kill()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _finish(self) -> None:
        assert self._process.stdin is not None
        if self.num_frames == 0:
            raise DataError(f"cannot write {self.path}: no frame was given")
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise DataError(f"cannot write {self.path}: {self._reason()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        with self._stack as stack:  # an error leaves the block and so no file
            if kind is None:
                self._finish()
            elif error is not None:
                stack.pop_all().__exit__(kind, error, trace)
