"""The iBUG-68 landmarks as vertices of MakeHuman's base mesh.

Chosen by looking: 0-16 jaw from image left to right, 17-26 brows, 27-35 nose, 36-41 image-left eye, 42-47 image-right
eye, 48-59 outer lips, 60-67 inner lips (the vertices on which the two lips touch).
"""

from __future__ import annotations

import numpy as np

from modules.face.morphable.head_asset import HeadAsset, IntArray
from modules.face.morphable.open_head import LANDMARK_VERTICES

OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)


def landmark_indices(head: HeadAsset) -> IntArray:
    """Index of each landmark among the vertices of the asset, [68]."""
    return np.searchsorted(head.source_vertex, np.array(LANDMARK_VERTICES))
