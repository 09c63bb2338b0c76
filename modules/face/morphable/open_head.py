"""The open head: MakeHuman's CC0 mesh with 64 identity components and the 52 face actions named as in ARKit.

It stands where others need a model behind a registration (BFM, FLAME). Eyes, teeth, tongue and lashes are parts of the
mesh; `jawOpen` turns jaw, lower teeth and tongue together.
"""

from __future__ import annotations

import functools

import numpy as np
from safetensors.numpy import load_file

from modules.face.morphable.head_asset import ASSET_PATH, load_head
from modules.face.morphable.model import Embedding, MorphableModel

LANDMARK_VERTICES = (
    5405, 5735, 5092, 5241, 894, 915, 5294, 786, 5225, 7503, 11900, 7617, 7596, 11850, 11707, 12332, 12004,
    212, 207, 176, 177, 181, 6957, 6953, 6952, 6982, 6987,
    133, 5063, 291, 297, 320, 285, 317, 7054, 7082,
    1088, 1057, 4865, 72, 4862, 1068, 6856, 11483, 7749, 7780, 7760, 11480,
    3734, 5351, 456, 455, 7215, 11953, 10402, 7235, 7241, 492, 486, 480,
    3731, 472, 474, 7228, 10399, 7242, 493, 487,
)  # fmt: skip
"""The iBUG-68 landmarks as vertices of MakeHuman's base mesh, chosen by looking; image-left first, 60-67 where the lips
touch."""


@functools.cache
def load_open_head() -> MorphableModel:
    """Return the open head; read once, then shared, so treat its arrays as read-only."""
    head = load_head()
    people = load_file(ASSET_PATH.with_name("identities.safetensors"))
    riding = load_file(ASSET_PATH.with_name("landmarks.safetensors"))
    basis = people["basis"].astype(np.float32) * people["steps"][:, None, None]
    return MorphableModel(
        mean=people["mean"],
        identity_basis=basis,
        expression_basis=head.actions.matrix(len(head.vertices)),
        expression_names=head.actions.names,
        expression_range=(0.0, 1.0),
        faces=head.faces,
        embeddings={
            "ibug68": Embedding.of_vertices(np.searchsorted(head.source_vertex, np.array(LANDMARK_VERTICES))),
            "mediapipe478": Embedding(riding["vertex"].astype(np.int64), riding["share"].astype(np.float64)),
        },
        parts={name: head.vertices_of(name) for name in head.part_names},
    )
