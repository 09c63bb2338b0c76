"""Figures of predicted landmarks themselves, without any rendering: seconds instead of minutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from inference.mouth_filters import OPEN_MARGIN, OPEN_QUANTILE
from inference.person_motion import contiguous_pieces
from inference.scoring import Row
from modules.syncnet.model import SyncNet
from modules.syncnet.shift_curve import shift_curve
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore
from utils.metrics.landmark import Pieces, aligned_lmd, closure, jitter, lip_speed, silence_leak
from utils.metrics.lipsync import MIN_FRAMES, lip_corr, lip_opening, mouth_height, sync_lag

_CLOSED_PERCENT = 5.0
_SIZE = 512


@dataclass(frozen=True)
class PersonMouth:
    """What is usual for a person's mouth, from training frames; openings over the outer eye distance."""

    widest: float
    """Openings above this do not occur."""
    closed: float
    """Opening of the closed mouth."""
    px_per_cm: float
    """Pixels of a picture 512 high that a centimetre of the face takes."""


def person_mouth(store: PersonStore) -> PersonMouth:
    """Return what is usual for a person's mouth.

    Raises:
        DataError: The dataset has no training frame.
    """
    train = store.indices("train")
    if not len(train):
        raise DataError(f"{store.root} has no training frame with a face; process the video again")
    opening = lip_opening(np.asarray(store.lm3d)[train])
    depth_cm = 100 * np.linalg.norm(np.asarray(store.c2w)[train][:, :3, 3], axis=1).mean()
    return PersonMouth(
        widest=float(np.quantile(opening, OPEN_QUANTILE)) * OPEN_MARGIN,
        closed=float(opening[opening <= np.percentile(opening, _CLOSED_PERCENT)].mean()),
        px_per_cm=float(store.manifest.focal / store.manifest.height * _SIZE / depth_cm),
    )


def truth_row(
    pred: np.ndarray, true: np.ndarray, *, pieces: Pieces, speaking: np.ndarray, mouth: PersonMouth | None
) -> Row:
    """Return the figures of predicted landmarks beside the true ones.

    Args:
        pred: [T,68,3], cm.
        true: [T,68,3], cm.
        pieces: Contiguous ranges of the T frames.
        speaking: Whether somebody speaks, [T] bool.
        mouth: The person's, if known; without it lengths stay in cm and no opening is too wide.
    """
    opening, truth = lip_opening(pred), lip_opening(true)
    row = {
        "lip_corr": lip_corr(opening, truth),
        "lmd": aligned_lmd(pred, true) * (mouth.px_per_cm if mouth else 1.0),
        "jitter_ratio": jitter(pred, pieces) / max(jitter(true, pieces), 1e-9),
        "speed_ratio": lip_speed(opening, pieces) / max(lip_speed(truth, pieces), 1e-9),
        "closure": closure(opening, truth),
    }
    return row | motion_row(pred, pieces=pieces, speaking=speaking, mouth=mouth)


def motion_row(pred: np.ndarray, *, pieces: Pieces, speaking: np.ndarray, mouth: PersonMouth | None) -> Row:
    """Return the figures that need no truth, of landmarks [T,68,3]."""
    opening = lip_opening(pred)
    row = {
        "silence_leak": silence_leak(opening, speaking, pieces),
        "rest_opening": float(np.median(opening[~speaking])) if (~speaking).any() else float("nan"),
    }
    return row | ({"over_open": float((opening > mouth.widest).sum())} if mouth else {})


def timing_row(pred: np.ndarray, wav: np.ndarray, segments: list[tuple[int, int]] | None = None) -> Row:
    """Return ``sync_lag`` and ``sync_r`` of landmarks [T,68,3] with their sound [N]; empty where it is too short."""
    if len(pred) < MIN_FRAMES:
        return {}
    result = sync_lag(wav, lip_opening(pred), mouth_height(pred), segments=segments)
    return {"sync_lag": float(result.lag), "sync_r": result.r}


@torch.inference_mode()
def judged_row(judge: SyncNet, speech: np.ndarray, deviations: np.ndarray, pieces: Pieces) -> Row:
    """Return what a SyncNet trained on other persons thinks of a motion.

    Args:
        judge: The expert.
        speech: Its features, [2T,C].
        deviations: From the person's mean, [T,68,3], cm.
        pieces: Contiguous ranges of the T frames.

    Returns:
        ``sync_conf`` (share of windows scored above ones shifted by 3 or more) and ``sync_offset``; empty where no
        piece is long enough.
    """
    win, device = judge.config.sync_win_frames, next(judge.parameters()).device
    total = None
    for start, end in pieces:
        if end - start < win + 3:
            continue
        sound = torch.from_numpy(np.array(speech[2 * start : 2 * end], np.float32)).to(device)
        motion = torch.from_numpy(np.array(deviations[start:end], np.float32).reshape(end - start, -1)).to(device)
        curve = shift_curve(judge, sound, motion, win)
        total = curve if total is None else total + curve
    return {} if total is None else {"sync_conf": total.accuracy(), "sync_offset": float(total.best_shift())}


def pieces_of(frames: np.ndarray, segments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the contiguous ranges among positions 0 ... len(frames) - 1 of ascending frame numbers."""
    lengths = [end - start for start, end in contiguous_pieces(frames, segments)]
    ends = np.cumsum(lengths).tolist()
    return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
