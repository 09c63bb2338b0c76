"""Stage ``report``: one page that shows what was found in a video, what is doubtful and what to do about it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from data_gen.videos.report_facts import ClipFacts, gather
from data_gen.videos.report_findings import ADVICE, Finding, findings_of
from data_gen.videos.report_page import chart, contact_sheet, facts_grid, findings_table, page, section
from utils.data.atomic import atomic_path, save_json

logger = logging.getLogger(__name__)
REPORT_FILE = "report.html"
_SHEET = 24


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write report.html and findings.json."""
    facts = gather(config.video_id, processed_dir)
    findings = findings_of(facts)
    with atomic_path(out_dir / REPORT_FILE) as path:
        path.write_text(whole_page(facts, findings), encoding="utf-8")
    save_json(out_dir / "findings.json", [vars(finding) for finding in findings])


def publish(processed_dir: Path) -> None:
    """Put the report where people look for it, ``<processed>/report.html``, and say so."""
    made = processed_dir / "report" / REPORT_FILE
    if made.exists():
        with atomic_path(processed_dir / REPORT_FILE) as path:
            path.write_bytes(made.read_bytes())
        logger.info("report: %s", processed_dir / REPORT_FILE)


def write_refusal(processed_dir: Path, video_id: str, fatal: list[dict[str, str]]) -> None:
    """Leave a report of fatal findings alone, for a video that cannot be processed."""
    findings = [Finding("fatal", item["text"], ADVICE.get(item["code"], "")) for item in fatal]
    processed_dir.mkdir(parents=True, exist_ok=True)
    with atomic_path(processed_dir / REPORT_FILE) as path:
        body = [section("What is wrong", findings_table(findings))]
        path.write_text(page(f"Report: {video_id}", "This video cannot be used.", body), encoding="utf-8")


def whole_page(facts: ClipFacts, findings: list[Finding]) -> str:
    """Return the page."""
    counts = Counter(finding.level for finding in findings)
    verdict = "Ready to train." if not counts["warning"] else f"Ready to train, with {counts['warning']} warnings."
    looks = facts.looks[:: max(1, len(facts.looks) // _SHEET)][:_SHEET]
    parts = [
        section("What is doubtful", findings_table(findings)),
        section("Facts", facts_grid(_facts(facts))),
        section("Contact sheet: landmarks, head (green), torso (blue)", contact_sheet(looks)),
        section("Curves (seconds; grey lines are cuts)", f"<div class='curves'>{''.join(_charts(facts))}</div>"),
        section("Segments", f"<p>{_segments(facts)}</p>"),
    ]
    return page(f"Report: {facts.video_id}", verdict, parts)


def _facts(facts: ClipFacts) -> dict[str, str]:
    source, crop = facts.preflight["source"], facts.ingest["crop"]
    sharp = np.array([look.sharpness for look in facts.looks])
    return {
        "source": f"{source['width']} x {source['height']}, {source['fps']:.4g} fps",
        "crop": f"{crop['side']} px at {crop['x']}, {crop['y']}",
        "frames at 25 fps": f"{len(facts.valid)} ({len(facts.valid) / 25:.1f} s)",
        "frames with a face": f"{facts.valid.mean():.1%}",
        "face height": f"{np.median(facts.face_px[facts.valid]):.0f} px of {facts.size}",
        "segments": str(len(facts.segments)),
        "reprojection error": f"{facts.reprojection_px[facts.valid].mean():.2f} px",
        "yaw": _range(facts.turn_deg[facts.valid, 1]),
        "pitch": _range(facts.turn_deg[facts.valid, 0]),
        "closed mouth": f"{facts.closed_share:.0%} of the frames",
        "sound against lips": f"{facts.sync['lag']:+d} frames (r {facts.sync['r']:.2f})",
        "sharpness": f"{np.median(sharp):.2f} ({sharp.min():.2f} to {sharp.max():.2f})",
        "brightness of the face": f"{np.median([look.brightness for look in facts.looks]):.0f} of 255",
        "change of the background": f"{np.median([look.background_change for look in facts.looks]):.1f} of 255",
    }


def _range(degrees: np.ndarray) -> str:
    low, high = np.percentile(degrees, (1, 99))
    return f"{low:+.0f} to {high:+.0f} degrees"


def _charts(facts: ClipFacts) -> list[str]:
    seconds = np.arange(len(facts.valid)) / 25
    cuts = [start / 25 for start, _ in facts.segments[1:]]
    turn = dict(zip(("pitch", "yaw", "roll"), facts.turn_deg.T, strict=True))
    shift = dict(zip(("x", "y", "z"), facts.shift_mm.T, strict=True))
    looked = np.array([look.frame for look in facts.looks]) / 25
    lags = np.arange(len(facts.sync["curve"])) - len(facts.sync["curve"]) // 2
    limit = 2.5 * facts.size / 512
    return [
        chart("Turn of the head", seconds, turn, unit="degrees", marks=cuts),
        chart("Place of the head", seconds, shift, unit="mm", marks=cuts),
        chart("Reprojection error", seconds, {"": facts.reprojection_px}, unit="pixels", marks=cuts, level=limit),
        chart("Lip opening", seconds, {"": facts.opening}, unit="eye distances", marks=cuts, level=0.02),
        chart("Height of the face", seconds, {"": facts.face_px}, unit="pixels", marks=cuts),
        chart(
            "Sound against lips, by lag in frames",
            lags,
            {"": np.array(facts.sync["curve"])},
            unit="correlation",
            marks=[float(facts.sync["lag"])],
        ),
        chart("Sharpness of the face", looked, {"": np.array([k.sharpness for k in facts.looks])}, unit="relative"),
        chart(
            "Exposure",
            looked,
            {
                "face": np.array([k.brightness for k in facts.looks]),
                "change of the background": np.array([k.background_change for k in facts.looks]),
            },
            unit="0-255",
        ),
    ]


def _segments(facts: ClipFacts) -> str:
    listed = [f"{start}-{end - 1}" for start, end in facts.segments]
    shown = ", ".join(listed[:120]) + (" ..." if len(listed) > 120 else "")
    return f"Frames {shown} (cuts {json.dumps(facts.landmarks['cuts_from'])})."
