from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_gen.videos.report import REPORT_FILE, whole_page, write_refusal
from data_gen.videos.report_facts import ClipFacts, Look
from data_gen.videos.report_findings import findings_of
from data_gen.videos.report_page import chart, drawn

T = 2000


def good_facts(**changes: object) -> ClipFacts:
    """A faultless clip of 80 seconds."""
    rng = np.random.default_rng(0)
    look = Look(0, np.full((64, 64, 3), 120, np.uint8), np.zeros((64, 64, 2), np.uint8), np.full((68, 2), 32.0),
                sharpness=1.0, brightness=120.0, clipped=0.0, background_change=1.0)  # fmt: skip
    facts = ClipFacts(
        video_id="me",
        size=512,
        preflight={"findings": [], "source": {"width": 512, "height": 512, "fps": 25.0}},
        ingest={"warnings": [], "crop": {"x": 0, "y": 0, "side": 512}},
        landmarks={"frames_with_several_faces": 0, "frames_looked_at": 80, "cuts_from": "found"},
        sync={"lag": 0, "r": 0.5, "warning": "", "shift_frames": 0, "curve": [0.1] * 31},
        pose={"segments": [[0, T]]},
        valid=np.ones(T, bool),
        turn_deg=rng.uniform(-5, 5, (T, 3)),
        shift_mm=rng.uniform(-5, 5, (T, 3)),
        reprojection_px=np.full(T, 0.8),
        opening=rng.uniform(0, 0.2, T),
        face_px=np.full(T, 240.0),
        sound_clipped=0.0,
        looks=[replace(look, frame=i) for i in range(20)],
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def with_looks(**changes: float) -> dict[str, object]:
    return {"looks": [replace(look, **changes) for look in good_facts().looks]}


def test_nothing_is_said_of_a_faultless_clip() -> None:
    assert findings_of(good_facts()) == []
    assert "Nothing is doubtful" in whole_page(good_facts(), [])


LATE = {"lag": -6, "r": 0.6, "warning": "the sound comes 6 frames (240 ms) after the lips (lag -6)", "shift_frames": 0,
        "curve": [0.1] * 31}  # fmt: skip
GAPS = np.arange(T) % 10 > 0


@pytest.mark.parametrize(
    ("changes", "text", "advice"),
    [
        ({"sync": LATE}, "comes 6 frames", "process_video.sh me --fix_sync"),
        ({"sync": LATE | {"shift_frames": -6}}, "was shifted by -6 frames", "without fix_sync"),
        ({"valid": GAPS}, "200 of 2000 frames have no usable face", "left out"),
        ({"reprojection_px": np.full(T, 3.0)}, "misses the landmarks by 3.00 pixels", "contact sheet"),
        ({"turn_deg": np.full((T, 3), 40.0)}, "turns by up to 40 degrees", "Cut those"),
        ({"pose": {"segments": [[0, 75], [75, T]]}}, "1 cuts: 2 segments, the shortest 75", "nothing is smoothed"),
        ({"opening": np.full(T, 0.1)}, "hardly ever closed", "pauses"),
        ({"sound_clipped": 0.01}, "overdriven", "lower level"),
        (with_looks(brightness=30.0), "The face is dark", "exposure"),
        (with_looks(background_change=25.0), "the camera or something behind moves", "tripod"),
        (with_looks(clipped=0.2), "all black or all white", "softer light"),
    ],
)
def test_each_fault_is_named_with_its_mend(changes: dict[str, object], text: str, advice: str) -> None:
    facts = good_facts(**changes)
    (finding,) = findings_of(facts)
    assert text in finding.text
    assert advice in finding.advice
    assert text.split("(")[0].strip() in whole_page(facts, [finding])


def test_findings_of_the_first_look_are_kept_with_advice() -> None:
    seen = [{"level": "warning", "code": "fps", "text": "it has 30 frames per second"}]
    (finding,) = findings_of(good_facts(preflight={**good_facts().preflight, "findings": seen}))
    assert finding.text == "It has 30 frames per second."
    assert "25 frames per second" in finding.advice


def test_the_page_needs_nothing_from_elsewhere_and_a_name_cannot_break_it() -> None:
    text = whole_page(good_facts(video_id="<b>&'x"), [])
    assert "http" not in text
    assert set(re.findall(r"(?:src|href)='([^']{5})", text)) == {"data:"}
    assert "<b>&'x" not in text


def test_a_chart_marks_cuts_and_survives_gaps_of_range() -> None:
    svg = chart("flat", np.arange(5) / 25, {"x": np.zeros(5)}, unit="px", marks=[0.08, 0.12], level=2.5)
    assert svg.count("#bbb") == 2
    assert "nan" not in svg
    long = chart("long", np.arange(60000) / 25, {"x": np.sin(np.arange(60000))}, unit="px")
    assert len(long) < 40000


def test_landmarks_and_mask_borders_are_drawn_into_the_picture() -> None:
    look = good_facts().looks[0]
    masks = look.masks.copy()
    masks[10:40, 10:40, 0] = 255
    picture = drawn(replace(look, masks=masks))
    colors = {tuple(color) for color in picture.reshape(-1, 3)}
    assert (255, 235, 60) in colors
    assert any(green > 180 and red < 100 for red, green, _ in colors)


def test_a_refused_video_leaves_a_report_of_why(tmp_path: Path) -> None:
    write_refusal(tmp_path / "me", "me", [{"code": "no_audio", "text": "it has no audio track"}])
    text = (tmp_path / "me" / REPORT_FILE).read_text()
    assert "cannot be used" in text
    assert "Export the video again with its sound" in text
