"""Footage as phones, web sites and people spoil it: the same synthetic subject comes out, or is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data_gen.stages import run_stages
from data_gen.synthetic.subject import SubjectSpec, write_subject
from data_gen.videos import head_pose
from data_gen.videos.config import ProcessConfig
from data_gen.videos.pipeline import video_stages
from modules.face.landmarks68 import CHIN, FOREHEAD
from tests.support.clips import ffmpeg
from utils.commons.schema import DataError
from utils.data.paths import processed_video, raw_video
from utils.data.picture_store import PictureStore
from utils.media.audio import load_wav
from utils.media.video import VideoWriter, read_frames

SIZE, NUM_FRAMES = 160, 80
BLACK, COVERED = range(30, 42), range(20, 46)
LEAVES_AT, GONE_AT = 50, 68
PORTRAIT = (3.0, 300, 240)
_FACE_STAGES, _PICTURE_STAGES = 3, 7
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8")


@dataclass(frozen=True)
class Processed:
    """What the stages left."""

    folder: Path
    points: np.ndarray
    """[T,478,2] pixels of the upright source video."""
    valid: np.ndarray
    sound: np.ndarray
    warnings: set[str]

    @classmethod
    def read(cls, video_id: str) -> Processed:
        folder = processed_video(video_id)
        crop = _json(folder / "ingest" / "ingest.json")["crop"]
        points = np.load(folder / "landmarks" / "lm478.npy")[..., :2] * crop["side"] / SIZE + (crop["x"], crop["y"])
        findings = _json(folder / "preflight" / "preflight.json")["findings"]
        valid, sound = np.load(folder / "landmarks" / "valid.npy"), load_wav(folder / "ingest" / "audio.wav")
        return cls(folder, points, valid, sound, {finding["code"] for finding in findings})


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _process(source: Path, num_stages: int, **options: Any) -> Processed:
    raw = raw_video("x")
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.symlink_to(source)
    config = ProcessConfig(video_id="x", image_size=SIZE, **{"min_duration_s": 3.0, "num_workers": 1, **options})
    run_stages(video_stages()[:num_stages], config, processed_video("x"))
    return Processed.read("x")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A well filmed subject."""
    path = tmp_path_factory.mktemp("footage") / "clean.mp4"
    write_subject(SubjectSpec(NUM_FRAMES / 25, SIZE, 0, seed=3), path)
    return path


@pytest.fixture(scope="module")
def expected(clean: Path) -> Processed:
    """The well filmed subject, processed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(clean.parent))
        return _process(clean, _FACE_STAGES)


def _repainted(source: Path, target: Path, paint: Callable[[int, np.ndarray], np.ndarray]) -> None:
    with VideoWriter(target, size=(SIZE, SIZE), audio=load_wav(source), crf=8, preset="ultrafast") as writer:
        for index, frame in enumerate(read_frames(source)):
            writer.write(paint(index, frame.copy()))


def _varying_rate(source: Path, target: Path) -> None:
    drop = "select=not(between(n\\,10\\,13)+between(n\\,30\\,36)+eq(n\\,50))"
    ffmpeg("-i", source, "-vf", drop, "-fps_mode", "passthrough", *_H264, "-c:a", "copy", target)


def _turned_phone(source: Path, target: Path) -> None:
    lying = target.with_name("lying.mp4")
    ffmpeg("-i", source, "-vf", "transpose=clock", *_H264, "-c:a", "copy", lying)
    ffmpeg("-display_rotation", "90", "-i", lying, "-c", "copy", target)


def _portrait_half_body(source: Path, target: Path) -> None:
    scale, x, y = PORTRAIT
    frame = f"scale={round(SIZE * scale)}:-1,pad=1080:1920:{x}:{y}:gray"
    ffmpeg("-i", source, "-vf", frame, *_H264, "-c:a", "copy", target)


def _sixty_frames(source: Path, target: Path) -> None:
    ffmpeg("-i", source, "-r", "60", *_H264, "-c:a", "copy", target)


def _surround_sound(source: Path, target: Path) -> None:
    speech_in_the_middle = "pan=5.1|FL=0*c0|FR=0*c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0"
    ffmpeg("-i", source, "-c:v", "copy", "-af", speech_in_the_middle, "-ar", "48000", "-c:a", "aac", target)


def _hevc(source: Path, target: Path) -> None:
    coding = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "12", "-x265-params", "log-level=none")
    ffmpeg("-i", source, *coding, "-tag:v", "hvc1", "-c:a", "copy", target)


def _leaving(source: Path, target: Path) -> None:
    def move(index: int, frame: np.ndarray) -> np.ndarray:
        shift = np.float32([[1, 0, 8 * max(0, index - LEAVES_AT)], [0, 1, 0]])
        return cv2.warpAffine(frame, shift, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)

    _repainted(source, target, move)


def _black_frames(source: Path, target: Path) -> None:
    _repainted(source, target, lambda index, frame: frame * (index not in BLACK))


def _hand(points: np.ndarray) -> Callable[[Path, Path], None]:
    """Return what draws a palm and four fingers over the mouth."""

    def draw(index: int, frame: np.ndarray) -> np.ndarray:
        if index in COVERED:
            x, y = (int(v) for v in points[index, 13])
            cv2.ellipse(frame, (x + 14, y + 12), (20, 13), 0, 0, 360, (205, 150, 125), -1, cv2.LINE_AA)
            for finger in range(4):
                cv2.line(frame, (x + 8, y + 3 + 6 * finger), (x - 18, y - 4 + 6 * finger), (214, 160, 135), 5)
        return frame

    return lambda source, target: _repainted(source, target, draw)


def _unchanged(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


UPRIGHT = (1.0, 0, 0)
TABLE: dict[str, tuple[Callable[[Path, Path], None], tuple[float, int, int], set[str]]] = {
    "variable frame rate": (_varying_rate, UPRIGHT, {"fps"}),
    "turned phone": (_turned_phone, UPRIGHT, set()),
    "portrait 1080x1920, half body": (_portrait_half_body, PORTRAIT, set()),
    "60 frames a second": (_sixty_frames, UPRIGHT, {"fps"}),
    "5.1 sound": (_surround_sound, UPRIGHT, set()),
    "HEVC": (_hevc, UPRIGHT, set()),
    "a path with spaces and 'single' and \"double\" quotes": (_unchanged, UPRIGHT, set()),
}
"""What is done to the clip, where its picture then lies (scale, x, y), and what is warned of."""


def _off(found: Processed, expected: Processed, place: tuple[float, int, int] = UPRIGHT) -> np.ndarray:
    """Return the mean distance [T] of the landmarks from those of the clean clip, over the height of the face."""
    truth = expected.points * place[0] + place[1:]
    height = np.linalg.norm(truth[:, CHIN] - truth[:, FOREHEAD], axis=-1).mean()
    return np.linalg.norm(found.points - truth, axis=-1).mean(axis=1) / height


@pytest.mark.parametrize("name", list(TABLE))
def test_the_same_person_comes_out(
    clean: Path, expected: Processed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spoil, place, warnings = TABLE[name]
    root = tmp_path / name
    root.mkdir()
    monkeypatch.setenv("GENEFACE_ROOT", str(root))
    spoil(clean, root / "spoilt.mp4")
    found = _process(root / "spoilt.mp4", _FACE_STAGES)
    assert len(found.points) == NUM_FRAMES
    assert found.valid.all()
    assert np.median(_off(found, expected, place)) < 0.01
    assert _off(found, expected, place).max() < 0.03
    assert found.warnings == warnings
    assert len(found.sound) == NUM_FRAMES * 640
    assert np.corrcoef(found.sound, expected.sound)[0, 1] > 0.98


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """Where a spoilt clip goes."""
    return tmp_path / "spoilt.mp4"


def test_a_face_that_leaves_the_picture_is_marked_and_the_rest_stays(
    clean: Path, expected: Processed, spoilt: Path
) -> None:
    _leaving(clean, spoilt)
    found = _process(spoilt, _FACE_STAGES)
    assert found.valid[:LEAVES_AT].all()
    assert not found.valid[GONE_AT:].any()
    assert _off(found, expected)[:LEAVES_AT].max() < 0.03
    assert found.warnings == {"face_lost"}
    assert _json(found.folder / "ingest" / "ingest.json")["warnings"]


def test_a_hand_over_the_mouth_does_not_move_the_eyes(clean: Path, expected: Processed, spoilt: Path) -> None:
    _hand(expected.points)(clean, spoilt)
    found = _process(spoilt, _FACE_STAGES)
    assert found.valid.mean() > 0.9
    free = np.array([index not in COVERED for index in range(NUM_FRAMES)])
    off = _off(found, expected)
    assert off[free].max() < 0.03
    eyes = [33, 133, 362, 263]
    shift = np.linalg.norm(found.points[:, eyes] - expected.points[:, eyes], axis=-1).mean(axis=1)
    assert shift[found.valid].max() < 1.0  # pixels of a face 70 high


def test_black_frames_are_marked_and_all_picture_stages_get_over_them(
    clean: Path, expected: Processed, spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_pose, "_TEXTURE_FRAMES", 16)  # enough here, and faster
    _black_frames(clean, spoilt)
    found = _process(spoilt, _PICTURE_STAGES)
    lit = np.array([index not in BLACK for index in range(NUM_FRAMES)])
    np.testing.assert_array_equal(found.valid, lit)
    assert _off(found, expected)[lit].max() < 0.03
    c2w = np.load(found.folder / "head_pose" / "c2w.npy")
    assert np.isfinite(c2w).all()
    assert np.abs(np.diff(c2w[:, :3, 3], axis=0)).max() < 0.05  # metres a frame
    frames = PictureStore(found.folder / "layers" / "frames.arrow")
    assert len(frames) == NUM_FRAMES
    assert frames.read("masks", BLACK[0] - 2)[..., 0].max() == 255


def test_three_seconds_are_refused_in_words(clean: Path, spoilt: Path) -> None:
    ffmpeg("-i", clean, "-t", "3", *_H264, spoilt)
    with pytest.raises(DataError, match=r"x\.mp4 cannot be used: it lasts 3\.0\d* s; give at least 6 s"):
        _process(spoilt, _FACE_STAGES, min_duration_s=6.0)
