"""Is the sound in time with the lips? Warns, or mends where ``fix_sync`` is set."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from utils.data.atomic import save_json
from utils.media.audio import load_wav
from utils.metrics.lipsync import SyncResult, lip_opening, mouth_height, sync_lag

logger = logging.getLogger(__name__)
_TOLERANCE = 1
"""Frames; true videos measure 0 or -1."""
_MIN_CORRELATION = 0.2
"""Below, lips and sound are too little related for a verdict on time."""


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write ``sync_check.json``: the lag found, its correlation, a warning if any, and the shift to apply to the
    sound."""
    points = np.load(processed_dir / "landmarks" / "lm68.npy", allow_pickle=False)
    wav = load_wav(processed_dir / "ingest" / "audio.wav")
    result = measure(points, wav)
    warning = sync_warning(result)
    shift = result.lag if warning and config.fix_sync else 0
    if warning:
        mend = "the sound is shifted (fix_sync)" if shift else "mend the video, or set fix_sync=true"
        logger.warning("%s: %s; %s", config.video_id, warning, mend)
    facts = {"lag": int(result.lag), "r": float(result.r), "warning": warning, "shift_frames": int(shift)}
    facts |= {"curve": [round(float(r), 4) for r in result.curve]}
    save_json(out_dir / "sync_check.json", facts)


def measure(points: np.ndarray, wav: np.ndarray) -> SyncResult:
    """Return lag and correlation of landmarks [T,68,2+] in pixels and sound [N] at 16 kHz."""
    return sync_lag(wav, lip_opening(points), mouth_height(points))


def sync_warning(result: SyncResult) -> str:
    """Return what is wrong with the timing, or an empty text."""
    if result.r < _MIN_CORRELATION:
        return f"lips and sound hardly go together (correlation {result.r:.2f}); is this the speaker's own voice?"
    if abs(result.lag) > _TOLERANCE:
        side = "after" if result.lag < 0 else "before"
        return (
            f"the sound comes {abs(result.lag)} frames ({abs(result.lag) * 40} ms) {side} the lips (lag {result.lag})"
        )
    return ""
