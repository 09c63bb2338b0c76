"""Load the head asset: an open MakeHuman mesh (CC0) with its actions and shape sliders.

Notation: V vertices, U texture coordinates, F triangles, A = 52 actions, S shape sliders. Lengths are metres.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ASSET_PATH = Path(__file__).parent / "assets" / "head.safetensors"


@dataclass(frozen=True)
class MorphTargets:
    """Named sparse displacements of a mesh, stored row after row."""

    names: tuple[str, ...]
    offsets: IntArray
    """[M + 1]: target m owns the rows offsets[m] to offsets[m + 1]."""
    vertex: IntArray
    """[K]"""
    delta: FloatArray
    """[K, 3], metres."""

    def matrix(self, num_vertices: int) -> FloatArray:
        """All targets as a dense array [M, V, 3]."""
        dense = np.zeros((len(self.names), num_vertices, 3), np.float32)
        owner = np.repeat(np.arange(len(self.names)), np.diff(self.offsets))
        np.add.at(dense, (owner, self.vertex), self.delta)
        return dense

    def add(self, vertices: FloatArray, name: str, weight: float) -> None:
        """Move `vertices` [V, 3] in place by `weight` times the target `name`."""
        m = self.names.index(name)
        rows = slice(self.offsets[m], self.offsets[m + 1])
        np.add.at(vertices, self.vertex[rows], weight * self.delta[rows])


@dataclass(frozen=True)
class HeadAsset:
    """The mesh as it lies in the file, before any identity is given to it."""

    vertices: FloatArray
    """[V, 3]"""
    uvs: FloatArray
    """[U, 2] in [0, 1], v upwards."""
    faces: IntArray
    """[F, 3] into vertices, counter-clockwise from outside."""
    faces_uv: IntArray
    """[F, 3] into uvs."""
    face_part: npt.NDArray[np.uint8]
    """[F] into part_names."""
    head_share: FloatArray
    """[V]: 1 moves with the head, 0 stays with the shoulders."""
    source_vertex: IntArray
    """[V]: number of the vertex in MakeHuman's base mesh."""
    part_names: tuple[str, ...]
    actions: MorphTargets
    shapes: MorphTargets

    def faces_of(self, *parts: str) -> npt.NDArray[np.bool_]:
        """[F], true on the faces of the named parts."""
        return np.isin(self.face_part, [self.part_names.index(p) for p in parts])

    def vertices_of(self, *parts: str) -> IntArray:
        """Sorted indices of the vertices of the named parts."""
        return np.unique(self.faces[self.faces_of(*parts)])


@functools.cache
def load_head() -> HeadAsset:
    """The head asset; read once, then shared, so treat its arrays as read-only."""
    with safe_open(ASSET_PATH, framework="numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        names = {key: tuple(json.loads(file.metadata()[key])) for key in ("parts", "actions", "shapes")}

    def targets(kind: str) -> MorphTargets:
        offsets, vertex = (tensors[f"{kind}_{key}"].astype(np.int64) for key in ("offsets", "vertex"))
        return MorphTargets(names[f"{kind}s"], offsets, vertex, tensors[f"{kind}_delta"].astype(np.float32))

    return HeadAsset(
        vertices=tensors["vertices"],
        uvs=tensors["uvs"],
        faces=tensors["faces"].astype(np.int64),
        faces_uv=tensors["faces_uv"].astype(np.int64),
        face_part=tensors["face_part"],
        head_share=tensors["head_share"].astype(np.float32),
        source_vertex=tensors["source_vertex"].astype(np.int64),
        part_names=names["parts"],
        actions=targets("action"),
        shapes=targets("shape"),
    )
