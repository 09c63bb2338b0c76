"""What is doubtful about a processed clip, and what to do about each: the judgement part of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from data_gen.videos.report_facts import ClipFacts

_REPROJECTION_AT_512 = 2.5
_SHORT_S = 60.0


@dataclass(frozen=True)
class Finding:
    """One thing to know, and its mend."""

    level: Literal["fatal", "warning", "note"]
    text: str
    advice: str


ADVICE = {
    "fps": "Nothing must be done; footage filmed at 25 frames per second moves more evenly.",
    "short_sound": "Check that the right sound track is in the file.",
    "low_resolution": "Film nearer or in a higher resolution, or set image_size=256: it trains faster and looks alike.",
    "face_lost": "Those frames are left out. Cut them away if the face is covered or turned there for long.",
    "no_audio": "Export the video again with its sound.",
    "too_short": "Give a longer recording; two to five minutes of speech are good.",
    "silent": "Check the recording: the track is there, but nothing is on it.",
    "no_face": "Use footage of one person who faces the camera.",
    "several_faces": "Crop the video to one person before processing.",
    "small_face": "Film nearer, or crop to head and shoulders.",
}


def findings_of(facts: ClipFacts) -> list[Finding]:
    """Return all findings, the gravest first."""
    found = [
        Finding(item["level"], _sentence(item["text"]), ADVICE.get(item["code"], ""))
        for item in facts.preflight["findings"]
    ]
    found += [Finding("warning", _sentence(text), "A steadier framing is better.") for text in facts.ingest["warnings"]]
    found += [*_timing(facts), *_faces(facts), *_motion(facts), *_pictures(facts), *_mouth_and_sound(facts)]
    order = {"fatal": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _timing(facts: ClipFacts) -> list[Finding]:
    sync = facts.sync
    if not sync["warning"]:
        return []
    if sync["shift_frames"]:
        text = f"{_sentence(sync['warning'])} It was shifted by {sync['shift_frames']} frames (fix_sync)."
        return [Finding("note", text, "Process without fix_sync to keep the sound as it is.")]
    mend = f"bash scripts/process_video.sh {facts.video_id} --fix_sync"
    return [Finding("warning", _sentence(sync["warning"]), f"Let it be mended: {mend}")]


def _faces(facts: ClipFacts) -> list[Finding]:
    found = []
    lost = len(facts.valid) - int(facts.valid.sum())
    if lost:
        text = f"{lost} of {len(facts.valid)} frames have no usable face ({lost / len(facts.valid):.1%})."
        found.append(Finding("warning" if lost > 0.05 * len(facts.valid) else "note", text, ADVICE["face_lost"]))
    crowded, looked = facts.landmarks["frames_with_several_faces"], facts.landmarks["frames_looked_at"]
    if crowded:
        text = f"Several faces are seen in {crowded} of {looked} frames looked at."
        found.append(
            Finding("warning", text, "Check on the contact sheet that the right one is followed; crop if not.")
        )
    return found


def _motion(facts: ClipFacts) -> list[Finding]:
    found = []
    limit = _REPROJECTION_AT_512 * facts.size / 512
    error = float(facts.reprojection_px[facts.valid].mean())
    if error > limit:
        text = f"The head model misses the landmarks by {error:.2f} pixels on average (at most {limit:.2f} is good)."
        found.append(Finding("warning", text, "Look for covered or blurred faces in the contact sheet."))
    far = float(np.abs(facts.turn_deg[facts.valid, 1]).max())
    if far > 35:
        text = f"The head turns by up to {far:.0f} degrees; profiles are tracked badly."
        found.append(Finding("warning", text, "Cut those parts away."))
    if len(facts.segments) > 1:
        shortest = min(end - start for start, end in facts.segments)
        text = f"{len(facts.segments) - 1} cuts: {len(facts.segments)} segments, the shortest {shortest} frames."
        where = (
            "listed in the video's .cuts.json" if facts.landmarks["cuts_from"] != "found" else "found in the picture"
        )
        found.append(Finding("note", text, f"They are {where}; nothing is smoothed or windowed across one."))
    return found


def _pictures(facts: ClipFacts) -> list[Finding]:
    found = []
    sharp = np.array([look.sharpness for look in facts.looks])
    if (sharp < 0.35 * np.median(sharp)).mean() > 0.1:
        found.append(Finding("warning", "Every tenth frame or more is much blurrier than the rest.",
                             "More light or a shorter exposure keeps motion sharp."))  # fmt: skip
    bright = float(np.median([look.brightness for look in facts.looks]))
    if not 55 <= bright <= 215:
        found.append(Finding("warning", f"The face is {'dark' if bright < 55 else 'bright'} ({bright:.0f} of 255).",
                             "Correct the exposure before processing."))  # fmt: skip
    if np.median([look.clipped for look in facts.looks]) > 0.08:
        found.append(Finding("warning", "Parts of the face are all black or all white.", "Use softer light."))
    change = float(np.percentile([look.background_change for look in facts.looks], 75))
    if change > 10:
        text = f"The background differs from its own mean by {change:.0f} of 255: the camera or something behind moves."
        found.append(Finding("warning", text, "Use a tripod and a still background; edges of hair suffer otherwise."))
    seconds = len(facts.valid) / 25
    if seconds < _SHORT_S:
        text = f"The clip lasts {seconds:.0f} seconds."
        found.append(Finding("note", text, "It works; with two to five minutes mouth and eyes get far better."))
    return found


def _mouth_and_sound(facts: ClipFacts) -> list[Finding]:
    found = []
    if facts.closed_share < 0.02:
        text = f"The mouth is hardly ever closed ({facts.closed_share:.1%} of the frames)."
        found.append(Finding("warning", text, "Include pauses with closed lips, or pauses will show an open mouth."))
    if facts.sound_clipped > 1e-3:
        found.append(Finding("warning", f"The sound is overdriven ({facts.sound_clipped:.2%} of the samples).",
                             "Record at a lower level; the speech features suffer."))  # fmt: skip
    return found
