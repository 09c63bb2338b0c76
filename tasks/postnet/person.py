"""What is solved, not trained, of a post-net: the person's linear map, its honest errors, and the range of motion."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modules.audio2motion.model import Audio2MotionVAE
from modules.audio2motion.windowed import infer_windowed
from modules.postnet.model import PostNet
from tasks.postnet.dataset import person_clip, person_pieces, person_spans
from utils.data.person_store import PersonStore

_FOLDS, _PIECE = 4, 1000
LOWER_FACE = np.r_[0:51, 144:204]
"""Coordinates of jaw and mouth, which speech moves, among the 204."""
_LARGEST_GAIN = 1.6


def solve_person(
    generator: PostNet, vae: Audio2MotionVAE, store: PersonStore, *, penalty: float, restore: float
) -> Tensor | None:
    """Fit what the generator takes from the person's training frames; return the linear map's motion [N,204].

    On training frames that is what maps fitted without them say, so that training sees errors as large as they will be.

    Args:
        generator: Receives the fit.
        vae: The generic model.
        store: The person.
        penalty: See ``person_ridge_penalty``.
        restore: See ``person_gain``.
    """
    if generator.config.postnet == "lle":
        generator.nearest.fit(torch.cat([motion[mask > 0] for _, motion, mask in person_pieces(store)]))
    if not generator.config.person_ridge_share:
        return None
    spans, pieces = person_spans(store), list(person_pieces(store))
    honest = generator.ridge.cross_fit(pieces, penalty, _FOLDS)
    if restore or generator.config.person_opening_map:
        neutral = torch.from_numpy(store.lm3d_mean.reshape(-1).copy())
        _match_range(generator, vae, pieces, honest, restore=restore, neutral=neutral)
    motion = torch.zeros(len(store), generator.gain.shape[0])
    for start, end in store.manifest.segments:
        for low in range(start, end, _PIECE):
            high = min(low + _PIECE, end)
            motion[low:high] = generator.ridge(person_clip(store, low, high).speech[None])[0]
    for (low, high), part in zip(spans, honest, strict=True):
        motion[low:high] = part
    return motion


@torch.no_grad()
def _match_range(
    generator: PostNet,
    vae: Audio2MotionVAE,
    pieces: list[tuple[Tensor, Tensor, Tensor]],
    honest: list[Tensor],
    *,
    restore: float,
    neutral: Tensor,
) -> None:
    """Bring the spread of jaw and mouth ``restore`` of the way to the true one, and then the openings to the true ones.

    The mean of what could follow a sound moves less than any of it; without this, lips mumble and never close.
    """
    share, blends, truths = generator.config.person_ridge_share, [], []
    for (speech, motion, mask), ridge in zip(pieces, honest, strict=True):
        generic = infer_windowed(vae, speech[None], f0=_no_pitch(vae, speech), temperature=0.0)[0]
        blends.append(((1 - share) * generic + share * ridge)[mask > 0])
        truths.append(motion[mask > 0])
    blend, truth = torch.cat(blends), torch.cat(truths)
    ratio = truth.std(0) / blend.std(0).clamp(min=1e-6)
    generator.gain[LOWER_FACE] = 1 + restore * (ratio[LOWER_FACE].clamp(1.0, _LARGEST_GAIN) - 1)
    if generator.config.person_opening_map:
        generator.opening_map.fit(blend * generator.gain, truth, neutral)


def _no_pitch(vae: Audio2MotionVAE, speech: Tensor) -> Tensor | None:
    return torch.zeros(1, len(speech)) if vae.config.use_pitch else None
