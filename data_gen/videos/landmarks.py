"""Stage ``landmarks``: the face mesh of every frame and the cuts of the footage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from data_gen.chunks import load_arrays, run_chunks, save_arrays
from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.face import LandmarkTrack, build_landmarker, to_landmarks68
from modules.face.landmarkers.base import fill_gaps
from modules.face.segments import find_cuts, long_enough, segments_of, thumbnail
from utils.commons.schema import DataError
from utils.commons.threads import num_threads
from utils.data.atomic import save_json, save_npy
from utils.media.clip import read_clip

_FEWEST_VALID = 0.5
_CHUNK_FRAMES, _WARM_UP = 250, 10
"""Other faces are counted every 25 frames of a chunk."""


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write lm478.npy, lm68.npy, valid.npy and landmarks.json."""
    known_cuts = read_cuts(processed_dir)
    track, thumbnails = _track(config, processed_dir / "ingest", known_cuts or [], out_dir, progress)
    cuts = find_cuts(track.points, thumbnails) if known_cuts is None else known_cuts
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


def _track(
    config: ProcessConfig, ingest: Path, cuts: list[int], out_dir: Path, progress: Progress
) -> tuple[LandmarkTrack, np.ndarray]:
    """Return the landmarks of the clip, gaps filled, and its thumbnails [T,h,w,3]."""
    landmarker = build_landmarker(config.landmarker)
    num_frames = int(json.loads((ingest / "ingest.json").read_text(encoding="utf-8"))["num_frames"])

    def find(start: int, stop: int, path: Path) -> None:
        warm_up = min(start, _WARM_UP)
        thumbnails: list[np.ndarray] = []
        frames = _with_thumbnails(read_clip(ingest / "video.mp4", start=start - warm_up, stop=stop), thumbnails)
        found = landmarker.find(frames, [cut - start for cut in cuts], warm_up=warm_up)
        if len(found.valid) != stop - start:
            raise DataError(f"the clip has fewer than the {num_frames} frames written; run --stage ingest --force")
        arrays = {"points": found.points, "valid": found.valid, "num_faces": found.num_faces}
        save_arrays(path, arrays | {"thumbnails": np.array(thumbnails[warm_up:])})

    threads = num_threads(config.num_workers)
    chunks = load_arrays(run_chunks(out_dir, num_frames, find, threads=threads, progress=progress, size=_CHUNK_FRAMES))
    points = fill_gaps(chunks["points"], chunks["valid"])
    return LandmarkTrack(points, chunks["valid"], chunks["num_faces"]), chunks["thumbnails"]


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


def _with_thumbnails(frames: Iterable[np.ndarray], thumbnails: list[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        thumbnails.append(thumbnail(frame))
        yield frame
