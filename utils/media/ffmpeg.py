"""The ffmpeg program of ``imageio_ffmpeg`` and what can be said in plain words about a media file.

Programs are started from argument lists, never through a shell; a system ffmpeg is never used.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from utils.commons.schema import DataError

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive (or an office document)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a numpy array"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself"),
)


@functools.cache
def ffmpeg_exe() -> str:
    """Return the path of the ffmpeg that comes with the ``imageio_ffmpeg`` package."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def ffmpeg_command(*arguments: str | Path) -> list[str]:
    """Return a quiet ffmpeg command line that reads nothing from the terminal."""
    return [ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *(str(a) for a in arguments)]


def run_ffmpeg(*arguments: str | Path, what: str) -> bytes:
    """Return what ffmpeg writes to its standard output.

    Raises:
        DataError: ffmpeg failed; the text names ``what`` was tried and ffmpeg's last line.
    """
    done = subprocess.run(ffmpeg_command(*arguments), capture_output=True, check=False)
    if done.returncode != 0:
        raise DataError(f"cannot {what}: {last_line(done.stderr)}")
    return done.stdout


def last_line(text: bytes) -> str:
    """Return the last line of a program's error output that says something."""
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "ffmpeg gave no reason"


def describe_file(path: Path) -> str:
    """Return in a few words what kind of file ``path`` is, for error messages."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return "an empty file"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "a text file" if printable > 0.95 * len(head) else f"of an unknown kind ({path.suffix or 'no suffix'})"


def check_is_file(path: Path, what: str) -> None:
    """Raise if there is no file at ``path``.

    Raises:
        FileNotFoundError: Nothing is there.
        DataError: It is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, not {what}; name a file in it")
    if not path.exists():
        raise FileNotFoundError(f"no {what} at {path}; check the name")
