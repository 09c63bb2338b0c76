"""Stage ``landmarks``: the face mesh of every frame and the cuts of the footage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face import build_landmarker, to_landmarks68
from modules.face.segments import find_cuts, long_enough, segments_of, thumbnail
from utils.commons.schema import DataError
from utils.data.atomic import save_json, save_npy
from utils.media.clip import read_clip

_FEWEST_VALID = 0.5


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write lm478.npy, lm68.npy, valid.npy and landmarks.json."""
    video = processed_dir / "ingest" / "video.mp4"
    known_cuts = read_cuts(processed_dir)
    thumbnails: list[np.ndarray] = []
    frames = progress(_with_thumbnails(read_clip(video), thumbnails), total=_num_frames(processed_dir))
    track = build_landmarker(config.landmarker).track(frames, known_cuts or ())
    cuts = find_cuts(track.points, np.array(thumbnails)) if known_cuts is None else known_cuts
    segments = segments_of(cuts, len(track.valid))
    valid = track.valid & long_enough(segments, len(track.valid))
    _check_enough(valid)
    save_npy(out_dir / "lm478.npy", track.points)
    save_npy(out_dir / "lm68.npy", to_landmarks68(track.points))
    save_npy(out_dir / "valid.npy", valid)
    facts = {
        "landmarker": config.landmarker,
        "num_frames": len(track.valid),
        "num_found": int(track.valid.sum()),
        "num_valid": int(valid.sum()),
        "max_faces": int(track.num_faces.max(initial=0)),
        "frames_with_several_faces": int((track.num_faces > 1).sum()),
        "frames_looked_at": int((track.num_faces >= 0).sum()),
        "cuts_from": "ingest/cuts.json" if known_cuts is not None else "found",
        "segments": segments,
    }
    save_json(out_dir / "landmarks.json", facts)


def _check_enough(valid: np.ndarray) -> None:
    if valid.mean() < _FEWEST_VALID:
        raise DataError(
            f"a face was found in only {valid.mean():.0%} of {len(valid)} frames; "
            "use a video that shows one face from the front all the time"
        )


def read_cuts(processed_dir: Path) -> list[int] | None:
    """Return the cuts that came with the video (``ingest/cuts.json``, key ``cut_frames``), or nothing if none did."""
    path = processed_dir / "ingest" / "cuts.json"
    if not path.exists():
        return None
    return [int(frame) for frame in json.loads(path.read_text(encoding="utf-8"))["cut_frames"]]


def _num_frames(processed_dir: Path) -> int | None:
    path = processed_dir / "ingest" / "ingest.json"
    return int(json.loads(path.read_text(encoding="utf-8"))["num_frames"]) if path.exists() else None


def _with_thumbnails(frames: Iterable[np.ndarray], thumbnails: list[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        thumbnails.append(thumbnail(frame))
        yield frame
