"""The iBUG-68 landmarks as vertices of MakeHuman's base mesh.

Chosen by looking: 0-16 jaw from image left to right, 17-26 brows, 27-35 nose, 36-41 image-left eye, 42-47 image-right
eye, 48-59 outer lips, 60-67 inner lips (the vertices on which the two lips touch).
"""

from __future__ import annotations

import numpy as np

from data_gen.synthetic.assets import HeadAsset, IntArray

LANDMARK_VERTICES = (
    5405, 5735, 5092, 5241, 894, 915, 5294, 786, 5225, 7503, 11900, 7617, 7596, 11850, 11707, 12332, 12004,
    212, 207, 176, 177, 181, 6957, 6953, 6952, 6982, 6987,
    133, 5063, 291, 297, 320, 285, 317, 7054, 7082,
    1088, 1057, 4865, 72, 4862, 1068, 6856, 11483, 7749, 7780, 7760, 11480,
    3734, 5351, 456, 455, 7215, 11953, 10402, 7235, 7241, 492, 486, 480,
    3731, 472, 474, 7228, 10399, 7242, 493, 487,
)  # fmt: skip
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)


def landmark_indices(head: HeadAsset) -> IntArray:
    """Index of each landmark among the vertices of the asset, [68]."""
    return np.searchsorted(head.source_vertex, np.array(LANDMARK_VERTICES))
