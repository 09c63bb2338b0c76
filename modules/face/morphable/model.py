"""A morphable head: a mean mesh moved by an identity and by an expression, and landmarks that ride on it.

Every source (the open head, BFM files) gives this one class. Notation: V vertices, K identity components, E expression
components, N points riding on the mesh, T frames. Coefficients of the identity are in standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from utils.commons.schema import DataError


@dataclass(frozen=True)
class Embedding:
    """Points that ride on a mesh: each a weighted mean of three vertices."""

    vertex: np.ndarray
    """[N,3] int64 into the vertices."""
    share: np.ndarray
    """[N,3], each row sums to one."""

    @classmethod
    def of_vertices(cls, vertex: Sequence[int] | np.ndarray) -> Embedding:
        """Return an embedding of points that are vertices themselves."""
        column = np.asarray(vertex, np.int64)[:, None]
        return cls(np.repeat(column, 3, axis=1), np.tile([1.0, 0.0, 0.0], (len(column), 1)))

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """Return the points [...,N,3] of a mesh [...,V,3]."""
        return np.einsum("nk,...nkc->...nc", self.share, vertices[..., self.vertex, :])


@dataclass(frozen=True)
class MorphableModel:
    """Vertices = mean + identity @ identity_basis + expression @ expression_basis, metres, y up, z to the viewer."""

    mean: np.ndarray
    """[V,3] f32"""
    identity_basis: np.ndarray
    """[K,V,3] f32, one standard deviation each."""
    expression_basis: np.ndarray
    """[E,V,3] f32"""
    expression_names: tuple[str, ...]
    expression_range: tuple[float, float]
    """Least and greatest sensible expression coefficient: (0, 1) for named actions, (-3, 3) for components."""
    faces: np.ndarray
    """[F,3] into the vertices."""
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    """Sets of landmarks by name, such as ``ibug68`` and ``mediapipe478``."""
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    """Vertices of named parts (eyes, teeth, tongue), where the source has them."""

    def vertices(self, identity: np.ndarray | None = None, expression: np.ndarray | None = None) -> np.ndarray:
        """Return meshes [...,V,3] of identities [...,K] and expressions [...,E]; what is not given is the mean's."""
        result = self.mean
        if identity is not None:
            result = result + np.tensordot(identity, self.identity_basis, 1)
        if expression is not None:
            result = result + np.tensordot(expression, self.expression_basis, 1)
        return result

    def embedding(self, name: str) -> Embedding:
        """Return a set of landmarks.

        Raises:
            DataError: The model has none of that name.
        """
        if name not in self.embeddings:
            raise DataError(f"this morphable model has no landmarks {name!r}; it has {', '.join(self.embeddings)}")
        return self.embeddings[name]

    def restricted(self, name: str) -> MorphableModel:
        """Return the model of a set of landmarks alone: its "vertices" are the points, in their order."""
        riding = self.embedding(name)
        return MorphableModel(
            riding.points(self.mean),
            riding.points(self.identity_basis),
            riding.points(self.expression_basis),
            self.expression_names,
            self.expression_range,
            np.zeros((0, 3), np.int64),
        )
