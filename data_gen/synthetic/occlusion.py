"""Ambient occlusion: how much of the sky each vertex sees, from depth maps taken from many directions.

Notation: V base vertices, R drawn vertices.
"""

from __future__ import annotations

import numpy as np

from data_gen.synthetic import rasterizer
from data_gen.synthetic.mesh import LAYERS, DrawMesh, smoothstep
from modules.face.morphable.head_asset import FloatArray, HeadAsset

_DIRECTIONS, _MAP_SIZE, _BIAS_M = 64, 320, 0.0035


def _directions(count: int) -> FloatArray:
    """Evenly spread unit vectors [count, 3] (a Fibonacci sphere)."""
    i = np.arange(count) + 0.5
    y, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - y * y)
    return np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1).astype(np.float32)


def sky_share(points: FloatArray, faces: np.ndarray, normals: FloatArray) -> FloatArray:
    """Cosine-weighted share of directions [V] that are free as seen from each point, in [0, 1]."""
    seen, total = np.zeros(len(points), np.float32), np.full(len(points), 1e-6, np.float32)
    center = points.mean(axis=0)
    scale = 0.95 * _MAP_SIZE / (2 * np.linalg.norm(points - center, axis=1).max())
    n, zero = len(faces), np.zeros((len(points), 2), np.float32)
    no, yes, layer = np.zeros(n, bool), np.ones(n, bool), np.zeros(n, np.int32)
    for d in _directions(_DIRECTIONS):
        right = np.cross([0.0, 1.0, 0.01], d)
        right /= np.linalg.norm(right)
        flat = (points - center) @ np.stack([right, np.cross(d, right), d], axis=1).astype(np.float32)
        screen = (flat * [scale, -scale, 1] + [_MAP_SIZE / 2, _MAP_SIZE / 2, 1]).astype(np.float32)
        blank = np.zeros((1, 1, 1, 4), np.uint8)
        _, near = rasterizer.visible_faces(screen, faces, layer, yes, no, zero, zero[:, 0], blank, _MAP_SIZE, _MAP_SIZE)
        x, y = screen[:, 0].astype(np.int64), screen[:, 1].astype(np.int64)
        facing = np.maximum(0, normals @ d)
        seen += facing * (screen[:, 2] + _BIAS_M + 0.006 * (1 - facing) > near[y, x])
        total += facing
    return np.asarray(seen / total, np.float32)


def ambient_occlusion(head: HeadAsset, mesh: DrawMesh, neutral: FloatArray) -> FloatArray:
    """Occlusion of each drawn vertex [R]: 1 in the open, small in folds and deep in the mouth."""
    asset = neutral[: len(head.vertices)]
    solid = head.faces_of("skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue")
    faces = head.faces[solid].astype(np.int32)
    normals = rasterizer.vertex_normals(asset, head.faces, np.arange(len(asset)))
    share = np.ones(len(neutral), np.float32)
    share[: len(asset)] = 0.18 + 0.82 * sky_share(asset, faces, normals) ** 0.9
    depth = smoothstep((neutral[:, 2] - 0.108) / 0.036)
    values = share[mesh.source]
    layer_of = np.zeros(len(mesh.source), np.int64)
    layer_of[mesh.faces] = mesh.layer[:, None]
    for name, low, high in (("mouth", 0.02, 0.5), ("teeth", 0.03, 0.75), ("tongue", 0.06, 0.62)):
        rows = layer_of == LAYERS.index(name)
        values[rows] = low + (high - low) * depth[mesh.source[rows]] ** 1.5
    values[layer_of == LAYERS.index("eye")] = 0.85
    hair = layer_of == LAYERS.index("hair")
    lift = np.clip(mesh.offset[hair] / 0.014, 0, 1)
    values[hair] = np.maximum(values[hair], 0.45) * (0.55 + 0.45 * lift)
    grown = mesh.source >= len(asset)
    values[grown] = 0.55 + 0.35 * smoothstep((neutral[mesh.source[grown], 1] - 0.64) / 0.12)
    return values.astype(np.float32)
