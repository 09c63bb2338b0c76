from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_gen.tracking_bench.footage import Case, make_clip
from utils.data.paths import raw_video
from utils.media.video import read_frames


def test_spoilt_clips_show_the_same_frames_worse_and_share_one_truth(tmp_path: Path) -> None:
    cases = {name: Case(1, 96, name) for name in ("clean", "noise", "blur", "lowrate")}
    pictures = {}
    for name, case in cases.items():
        make_clip(case, seconds=0.2, seed=3)
        pictures[name] = np.stack(list(read_frames(raw_video(case.video_id)))).astype(float)
    assert {case.truth for case in cases.values()} == {tmp_path / "data/raw/videos/i1_96_clean.truth"}
    assert json.loads((cases["noise"].truth / "truth.json").read_text())["identity"] == 1
    error = {name: np.abs(p - pictures["clean"]).mean() for name, p in pictures.items()}
    assert error["noise"] > 2
    assert error["blur"] > 0.2
    assert error["lowrate"] > 0.5
    sharp = {name: np.abs(np.diff(p, axis=2)).mean() for name, p in pictures.items()}
    assert sharp["blur"] < 0.97 * sharp["clean"] < sharp["noise"]


def test_a_clip_made_once_is_kept() -> None:
    case = Case(1, 64, "clean")
    make_clip(case, seconds=0.1, seed=3)
    before = raw_video(case.video_id).stat().st_mtime_ns
    make_clip(case, seconds=0.1, seed=3)
    assert raw_video(case.video_id).stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["noise", "lowrate"])
def test_names_of_cases_can_name_videos(name: str) -> None:
    assert raw_video(Case(0, 256, name).video_id).name == f"i0_256_{name}.mp4"
