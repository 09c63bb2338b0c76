"""What is solved, not trained, of a post-net: the person's linear map, its honest errors, and the range of motion."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modules.audio2motion.figures import to_points
from modules.audio2motion.model import Audio2MotionVAE
from modules.audio2motion.windowed import infer_windowed
from modules.postnet.model import PostNet
from tasks.postnet.dataset import person_clip, person_pieces, person_spans
from utils.commons.schema import Config
from utils.data.person_store import PersonStore
from utils.metrics.landmark import aligned_lmd, closure, lip_speed
from utils.metrics.lipsync import lip_corr, lip_opening

logger = logging.getLogger(__name__)

_FOLDS, _PIECE = 4, 1000
LOWER_FACE = np.r_[0:51, 144:204]
"""Coordinates of jaw and mouth, which speech moves, among the 204."""
_LARGEST_GAIN = 1.6
_SHARES, _PLAIN_SHARE = (0.25, 0.5, 0.75), 0.5
_FEW_FRAMES, _LARGEST_SHARE_OF_FEW = 1000, 0.5
"""From less than 40 s a map follows its own voice by heart and spoils others."""


class PersonFitConfig(Config):
    """What of the post-net is solved from the person's training frames."""

    person_ridge_penalty: float = Field(1000.0, gt=0)
    """How strongly the person's linear map is held back, in frames' worth of evidence."""
    person_ridge_auto: bool = False
    """Choose the map's share (a quarter, a half or three quarters) on frames it was not fitted on; person_ridge_share
    then only says that there is a map."""
    person_gain: float = Field(0.0, ge=0, le=1)
    """How much of the missing spread of jaw and mouth is restored in what the generator refines: the mean of what could
    follow a sound moves less than any of it. Needs person_ridge_share."""


def solve_person(
    generator: PostNet, vae: Audio2MotionVAE, store: PersonStore, *, config: PersonFitConfig
) -> Tensor | None:
    """Fit what the generator takes from the person's training frames; return the linear map's motion [N,204].

    On training frames that is what maps fitted without them say, so that training sees errors as large as they will be.

    Args:
        generator: Receives the fit.
        vae: The generic model.
        store: The person.
        config: How it is fitted.
    """
    if generator.config.postnet == "lle":
        generator.nearest.fit(torch.cat([motion[mask > 0] for _, motion, mask in person_pieces(store)]))
    if not generator.config.person_ridge_share:
        return None
    spans, pieces = person_spans(store), list(person_pieces(store))
    honest = generator.ridge.cross_fit(pieces, config.person_ridge_penalty, _FOLDS)
    neutral = torch.from_numpy(store.lm3d_mean.reshape(-1).copy())
    _match_person(generator, vae, pieces, honest, config=config, neutral=neutral)
    motion = torch.zeros(len(store), generator.gain.shape[0])
    for start, end in store.manifest.segments:
        for low in range(start, end, _PIECE):
            high = min(low + _PIECE, end)
            motion[low:high] = generator.ridge(person_clip(store, low, high).speech[None])[0]
    for (low, high), part in zip(spans, honest, strict=True):
        motion[low:high] = part
    return motion


@torch.no_grad()
def _match_person(
    generator: PostNet,
    vae: Audio2MotionVAE,
    pieces: list[tuple[Tensor, Tensor, Tensor]],
    honest: list[Tensor],
    *,
    config: PersonFitConfig,
    neutral: Tensor,
) -> None:
    """Choose the map's share, bring the spread of jaw and mouth part of the way to the true one, match the openings.

    The mean of what could follow a sound moves less than any of it; without this, lips mumble and never close.
    """
    generic, ridge, truth = _joined(vae, pieces, honest)
    if config.person_ridge_auto:
        generator.ridge_share.fill_(best_share(generic, ridge, truth, neutral))
        logger.info("share of the person's own linear map: %.2f", float(generator.ridge_share))
    share = generator.ridge_share
    blend = (1 - share) * generic + share * ridge
    ratio = truth.std(0) / blend.std(0).clamp(min=1e-6)
    generator.gain[LOWER_FACE] = 1 + config.person_gain * (ratio[LOWER_FACE].clamp(1.0, _LARGEST_GAIN) - 1)
    if generator.config.person_opening_map:
        _fit_openings(generator, blend * generator.gain, truth, neutral)
    if config.person_ridge_auto:
        keep_the_better(generator, generic, ridge, truth, neutral)


def keep_the_better(generator: PostNet, generic: Tensor, ridge: Tensor, truth: Tensor, neutral: Tensor) -> None:
    """Turn the generator into the plain average, which is hard to beat, unless it is better on frames left out.

    Args:
        generator: Fitted.
        generic: Motion of the generic model, [N,204].
        ridge: What linear maps fitted without a frame say of it, [N,204].
        truth: Tracked motion, [N,204].
        neutral: The person's mean landmarks, [204].
    """
    fitted = generator.blend(generic[None], None, ridge[None])[0]
    figures = {
        name: fit_figures(motion, truth, neutral)
        for name, motion in (("fitted", fitted), ("plain average", (generic + ridge) / 2))
    }
    for name, row in figures.items():
        logger.info("left out, %s: %s", name, ", ".join(f"{key} {value:.3f}" for key, value in row.items()))
    if figures["plain average"]["score"] < figures["fitted"]["score"]:
        logger.info("the plain average is kept")
        generator.ridge_share.fill_(_PLAIN_SHARE)
        generator.gain.fill_(1.0)
        if generator.config.person_opening_map:
            generator.opening_map.target.copy_(generator.opening_map.source)
        if generator.config.person_opening_map and generator.config.person_lip_closing:
            generator.lip_closing.threshold.zero_()


def fit_figures(motion: Tensor, truth: Tensor, neutral: Tensor) -> dict[str, float]:
    """Return figures of motion [N,204] beside the truth, and their ``score``, smaller being better.

    It adds the distance of the lips over that of a still mouth, what misses of the correlation, a quarter of the
    closings missed, and a quarter of how far, as a factor, the lips' speed is from the true one.
    """
    points, true = to_points(motion, neutral), to_points(truth, neutral)
    lips, true_lips = lip_opening(points), lip_opening(true)
    still = aligned_lmd(to_points(torch.zeros_like(truth), neutral), true)
    distance = aligned_lmd(points, true) / max(still, 1e-9)
    shut = closure(lips, true_lips)
    found = {
        "lip_corr": lip_corr(lips, true_lips),
        "lmd to still": distance,
        "speed": lip_speed(lips) / max(lip_speed(true_lips), 1e-9),
        "closure": 1.0 if math.isnan(shut) else shut,
    }
    speed = abs(math.log(max(found["speed"], 1e-3)))
    found["score"] = distance + 1 - found["lip_corr"] + (1 - found["closure"] + speed) / 4
    return found


def _fit_openings(generator: PostNet, blend: Tensor, truth: Tensor, neutral: Tensor) -> None:
    opening_map = generator.opening_map
    opening_map.fit(blend, truth, neutral)
    if generator.config.person_lip_closing:
        generator.lip_closing.fit(
            blend,
            opening_map(blend[None])[0],
            truth,
            neutral=neutral,
            opening=opening_map.opening,
            direction=opening_map.direction,
        )
        logger.info("lips close at dips of the opening below %.3f", float(generator.lip_closing.threshold))


def _joined(
    vae: Audio2MotionVAE, pieces: list[tuple[Tensor, Tensor, Tensor]], honest: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the motion [N,204] of all frames with a face by the generic model, by the linear map, and in truth."""
    found: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for (speech, motion, mask), ridge in zip(pieces, honest, strict=True):
        generic = infer_windowed(vae, speech[None], f0=_no_pitch(vae, speech), temperature=0.0)[0]
        for parts, value in zip(found, (generic, ridge, motion), strict=True):
            parts.append(value[mask > 0])
    generics, ridges, truths = (torch.cat(parts) for parts in found)
    return generics, ridges, truths


def best_share(generic: Tensor, ridge: Tensor, truth: Tensor, neutral: Tensor) -> float:
    """Return the share with the least distance of the mouth points over that of a still mouth, minus the correlation.

    All of one voice's map is never taken, and of a short clip's no more than half: it has not heard any other.
    """
    true = to_points(truth, neutral)
    still = max(aligned_lmd(to_points(torch.zeros_like(truth), neutral), true), 1e-9)

    def score(share: float) -> float:
        points = to_points((1 - share) * generic + share * ridge, neutral)
        return aligned_lmd(points, true) / still - lip_corr(lip_opening(points), lip_opening(true))

    most = 1.0 if len(truth) >= _FEW_FRAMES else _LARGEST_SHARE_OF_FEW
    return min((share for share in _SHARES if share <= most), key=score)


def _no_pitch(vae: Audio2MotionVAE, speech: Tensor) -> Tensor | None:
    return torch.zeros(1, len(speech)) if vae.config.use_pitch else None
