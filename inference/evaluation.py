"""The three tests of a person (true landmarks in, own sound in, foreign sound in) and the comparison of two videos."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from inference.camera_path import CameraPath
from inference.flicker import Flicker
from inference.person_motion import contiguous_pieces
from inference.pipeline import TalkingHead
from inference.report import Report
from inference.scoring import PictureScores, Row, Watched, lips, motion_row, sync_row, watch
from inference.video_judge import VideoJudge
from inference.voice_activity import speech_activity
from modules.audio import SAMPLES_PER_FRAME
from modules.face.landmarkers.base import Landmarker, build_landmarker
from utils.commons.schema import DataError
from utils.media.audio import load_wav
from utils.media.video import probe, read_frames
from utils.metrics.image import Box
from utils.metrics.lipsync import MIN_FRAMES, SyncResult, lip_opening, sync_lag

logger = logging.getLogger(__name__)

MOUTH = slice(48, 68)
_NUM_CROPS = 10
_STILL_SHARE = 0.3
_INSIDE = 242


class PersonTest:
    """The test frames of a person, rendered from different landmarks and measured alike."""

    def __init__(
        self, head: TalkingHead, landmarker: Landmarker, max_frames: int, judge: VideoJudge | None = None
    ) -> None:
        """Choose the frames; with a ``judge`` rendered pictures get ``sync_conf`` too.

        Raises:
            DataError: The dataset has no test frame.
        """
        self.head, self.store, self.landmarker, self.judge = head, head.store, landmarker, judge
        frames = self.store.indices("test")
        self.frames = frames[:max_frames] if max_frames else frames
        if not len(self.frames):
            raise DataError(f"{self.store.root} has no test frame with a face; process a longer video")
        self.segments = self.store.manifest.segments
        lengths = [end - start for start, end in contiguous_pieces(self.frames, self.segments)]
        ends = list(itertools.accumulate(lengths))
        self.pieces = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        self.speech = load_wav(self.store.audio_path)
        self.speaking = speech_activity(self.speech, len(self.store))[self.frames]
        self.shown = set(np.linspace(0, len(self.frames) - 1, min(_NUM_CROPS, len(self.frames))).astype(int).tolist())
        self.report = Report(facts={})
        self._warn_if_still()

    def _warn_if_still(self) -> None:
        opening = lip_opening(np.asarray(self.store.lm3d))
        tested, trained = (float(opening[frames].std()) for frames in (self.frames, self.store.indices("train")))
        if tested < _STILL_SHARE * trained:
            logger.warning(
                "the lips move %.0f times less in the test frames than in training: lip figures say little",
                trained / max(tested, 1e-9),
            )

    def true_video(self) -> Watched | None:
        """Measure the true frames."""
        flicker = Flicker()
        seen = self._watch("true video", self._flickering((self._true(int(frame)) for frame in self.frames), flicker))
        self._add_row("true video", seen, seen, flicker.row())
        return seen

    def rendered(self, title: str, lm3d: np.ndarray, true: Watched | None) -> Watched | None:
        """Render the test frames from the landmarks of the whole clip [N,68,3] (cm) with true poses; measure them."""
        scores, flicker = PictureScores(), Flicker()

        def scored() -> Iterator[np.ndarray]:
            for frame, picture in zip(self.frames, self._render(lm3d), strict=True):
                truth, head_alpha, boxes = self._truth(int(frame))
                scores.add(picture, truth, head=head_alpha, boxes=boxes)
                yield picture

        seen = self._watch(title, self._flickering(scored(), flicker))
        self._add_row(title, seen, true, scores.row() | flicker.row())
        return seen

    def _flickering(self, frames: Iterator[np.ndarray], flicker: Flicker) -> Iterator[np.ndarray]:
        """Pass the test frames on and measure how they flicker inside head and torso."""
        starts = {start for start, _ in self.pieces}
        height, width = self.head.renderer.size
        for position, picture in enumerate(frames):
            if position in starts:
                flicker.cut()
            masks = cv2.resize(self.store.masks(int(self.frames[position])), (width, height)) > _INSIDE
            flicker.add(picture, {"head": masks[..., 0], "torso": masks[..., 1]})
            yield picture

    def _render(self, lm3d: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the test frames; condition windows never cross a cut."""
        c2w = np.array(self.store.c2w)
        for start, end in self.segments:
            inside = self.frames[(self.frames >= start) & (self.frames < end)]
            if len(inside):
                renderer = self.head.clip_renderer(np.arange(start, end))
                conditions = renderer.conditions(np.ascontiguousarray(lm3d[start:end]))
                for frame in inside:
                    yield renderer.render(conditions, int(frame) - start, c2w[frame])

    def landmarks(self, title: str, lm3d: np.ndarray) -> None:
        """Measure landmarks of the whole clip [N,68,3] (cm) themselves: test frames, but timing over all frames."""
        true, given = (Watched(points[self.frames][..., :2], 1.0) for points in (np.asarray(self.store.lm3d), lm3d))
        row = motion_row(given, true, pieces=self.pieces, speaking=self.speaking)
        row = {name: value for name, value in row.items() if name not in ("lmd", "faces")}  # lmd would be in cm
        timing = None
        if len(lm3d) >= MIN_FRAMES:
            timing = sync_lag(self.speech, *lips(Watched(lm3d[..., :2], 1.0)), segments=self.segments)
        self.report.rows[title] = row | sync_row(timing)

    def _watch(self, title: str, frames: Iterator[np.ndarray]) -> Watched | None:
        crops: list[np.ndarray] = []

        def cropped() -> Iterator[np.ndarray]:
            for position, picture in enumerate(frames):
                if position in self.shown:
                    crops.append(_crop(picture, self._boxes(int(self.frames[position]))["lips"]))
                yield picture

        starts = [start for start, _ in self.pieces[1:]]
        seen = watch(cropped(), self.landmarker, starts=starts)
        self.report.crops[title] = crops
        if seen is not None:
            self.report.curves[title] = seen.opening
        return seen

    def _add_row(self, title: str, seen: Watched | None, true: Watched | None, pictures: Row) -> None:
        row = pictures | motion_row(seen, true, pieces=self.pieces, speaking=self.speaking)
        judged = self.judge.own(seen, self.frames, self.pieces) if self.judge else {}
        self.report.rows[title] = row | sync_row(self._sync(seen)) | judged

    def _sync(self, seen: Watched | None) -> SyncResult | None:
        if seen is None or len(self.frames) < MIN_FRAMES:
            return None
        return sync_lag(self.speech, *lips(seen), frames=self.frames, segments=self.segments)

    def _scale(self) -> float:
        return self.head.renderer.size[0] / self.store.manifest.height

    def _true(self, frame: int) -> np.ndarray:
        picture, (height, width) = self.store.gt(frame), self.head.renderer.size
        same = picture.shape[:2] == (height, width)
        return picture if same else cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)

    def _boxes(self, frame: int) -> dict[str, Box]:
        scale = self._scale()
        rects = {"lips": self.store.lip_rect[frame], "eyes": self.store.eye_rect[frame]}
        return {
            name: (x, y, w, h)
            for name, (x, y, w, h) in ((n, np.round(r * scale).astype(int).tolist()) for n, r in rects.items())
        }

    def _truth(self, frame: int) -> tuple[np.ndarray, np.ndarray, dict[str, Box]]:
        height, width = self.head.renderer.size
        alpha = cv2.resize(np.ascontiguousarray(self.store.masks(frame)[..., 0]), (width, height))
        return self._true(frame), alpha, self._boxes(frame)


def evaluate_person(
    head: TalkingHead,
    *,
    landmarker: str,
    max_frames: int,
    wav: Path | None,
    out: Path,
    judge_dir: str = "",
    artic: bool = False,
) -> Report:
    """Return all figures of a person.

    Args:
        head: The person.
        landmarker: What looks at all videos.
        max_frames: Frames of a video that count; 0 = all.
        wav: A foreign voice, whose figures are added and whose video is kept in ``out``.
        out: A folder.
        judge_dir: A SyncNet trained on other persons, for ``sync_conf``.
        artic: Add a row of articulation: a minute of synthetic speech is drawn.
    """
    head.check_experiments()
    judge = VideoJudge(head, judge_dir)
    test = PersonTest(head, build_landmarker(landmarker), max_frames, judge)
    store = head.store
    lm3d = np.array(store.lm3d, np.float32)
    height, width = head.renderer.size
    test.report.facts |= {
        "video_id": head.video_id, "test_frames": len(test.frames), "pieces": len(test.pieces),
        "resolution": f"{width}x{height}", "landmarker": landmarker,
    }  # fmt: skip
    true = test.true_video()
    if not head.renderer.lips_need_speech:
        test.rendered("true landmarks", lm3d, true)
        frozen = lm3d.copy()
        frozen[:, MOUTH] = store.lm3d_mean[MOUTH]
        test.rendered("frozen mouth", frozen, true)
    spoken = own_sound(head)
    test.rendered("own sound", spoken, true)
    test.landmarks("own sound, landmarks", spoken)
    if wav is not None:
        _foreign_sound(test, wav, out / f"{wav.stem}.mp4", max_frames)
    if artic:
        test.report.rows["synthetic speech"] = judge.articulation(test.landmarker)
    return test.report


def own_sound(head: TalkingHead) -> np.ndarray:
    """Return landmarks of the whole clip [N,68,3] in cm predicted from its own sound, after the filters."""
    store = head.store
    deviations = head.motion.from_features(store.speech, store.f0, len(store))
    true_path = CameraPath(np.arange(len(store)), np.asarray(store.c2w))
    return head.filtered(deviations, load_wav(store.audio_path), true_path)


def _foreign_sound(test: PersonTest, wav: Path, video: Path, max_frames: int) -> None:
    speech = load_wav(wav)
    if max_frames:
        speech = speech[: max_frames * SAMPLES_PER_FRAME]
    test.head.generate(speech, video)
    seen = watch(read_frames(video), test.landmarker)
    title = f"sound {wav.stem}"
    judged = test.judge.foreign(seen, speech) if test.judge else {}
    test.report.rows[title] = sound_row(seen, None, speech) | judged
    if seen is not None:
        test.report.curves[title] = seen.opening


def sound_row(seen: Watched | None, true: Watched | None, speech: np.ndarray | None) -> Row:
    """Return the figures of one uncut video with its sound at 16 kHz [N], if it has any."""
    if seen is None:
        return {"faces": 0.0}
    frames = len(seen.points)
    speaking = None if speech is None else speech_activity(speech, frames)
    row = motion_row(seen, true, pieces=[(0, frames)], speaking=speaking)
    enough = speech is not None and min(frames, len(speech) // SAMPLES_PER_FRAME) >= MIN_FRAMES
    return row | sync_row(sync_lag(speech, *lips(seen)) if speech is not None and enough else None)


def compare_videos(true: Path, other: Path, *, landmarker: str, max_frames: int) -> Report:
    """Return the figures of ``other`` against ``true``, frame by frame at 25 fps, at the size of ``true``."""
    info, facts = probe(true), probe(other)
    size, stop = (info.width, info.height), max_frames or None
    if (facts.width, facts.height) != size:
        logger.warning("%s is %dx%d: resized to %dx%d", other, facts.width, facts.height, *size)
    scores, count = PictureScores(), 0
    for a, b in zip(
        read_frames(true, size=size, fps=25, stop=stop), read_frames(other, size=size, fps=25, stop=stop), strict=False
    ):
        scores.add(b, a, head=None, boxes={})
        count += 1
    if count == 0:
        raise DataError(f"{true} and {other} have no frame in common")
    tracker = build_landmarker(landmarker)
    report = Report({"true": true.name, "other": other.name, "frames": count, "resolution": f"{size[0]}x{size[1]}"})
    seen: dict[str, Watched | None] = {}
    for title, path, has_audio in (("true", true, info.has_audio), ("other", other, facts.has_audio)):
        watched = seen[title] = watch(read_frames(path, size=size, fps=25, stop=count), tracker)
        speech = load_wav(path)[: count * SAMPLES_PER_FRAME] if has_audio else None
        report.rows[title] = sound_row(watched, seen["true"], speech)
        if watched is not None:
            report.curves[title] = watched.opening
    report.rows["other"] = scores.row() | report.rows["other"]
    return report


def _crop(picture: np.ndarray, box: Box) -> np.ndarray:
    """Return the box grown by a third, inside the picture."""
    x, y, width, height = box
    dx, dy = width // 3, height // 3
    return picture[max(0, y - dy) : y + height + dy, max(0, x - dx) : x + width + dx].copy()
