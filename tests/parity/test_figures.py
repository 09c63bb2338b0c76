"""Coarse pitch and the projection on neighbours agree with the published numbers."""

from __future__ import annotations

import numpy as np
import torch

from inference.landmark_filters import lle_project
from modules.audio import coarse_pitch
from modules.audio2motion.model import pitch_ids
from tests.parity.networks import anchors
from tests.parity.rule import assert_anchor, reference_input

ANCHORS = anchors("nerf")


def test_coarse_pitch_gives_the_anchor() -> None:
    table = ANCHORS["f0_to_coarse"]
    f0 = np.array(table["in"], np.float32)
    assert coarse_pitch(f0).tolist() == table["out"]
    assert pitch_ids(torch.from_numpy(f0)).tolist() == table["out"]


def test_projection_on_neighbours_gives_the_anchor() -> None:
    database = reference_input((60, 12), 770000).numpy()
    queries = database[[3, 17, 40]] * 0.9 + 0.05
    fused, weights = lle_project(queries, database, 5)
    # the published one is not regularised: 1e-6 of the trace moves the small weights by a few thousandths of a percent
    assert_anchor(torch.from_numpy(fused), ANCHORS["lle.fused(K=5)"])
    assert_anchor(torch.from_numpy(weights), ANCHORS["lle.weights"])
