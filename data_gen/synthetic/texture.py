"""Procedural textures: every colour is a function of the position on the base mesh, so no photograph is needed.

A layer is baked by rasterising its triangles in texture space, which gives the base-mesh position of each texel.
Notation: R texture size, N texels, positions in metres. Colours are sRGB in [0, 1]; alpha is gloss or opacity.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from data_gen.synthetic.identity import Identity, Rgb
from data_gen.synthetic.landmarks import landmark_indices
from data_gen.synthetic.mesh import LAYERS, DrawMesh, ear_share, hair_height, smoothstep
from data_gen.synthetic.noise import Noise
from data_gen.synthetic.rasterizer import visible_faces
from modules.face.morphable.head_asset import FloatArray, HeadAsset

Texture = npt.NDArray[np.uint8]


def bake_positions(
    mesh: DrawMesh, layer: str, points: FloatArray, resolution: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Values [N, C] of `points` [V, C] at the texels inside a layer's charts, and where those are, [R, R]."""
    faces = np.ascontiguousarray(mesh.faces[mesh.layer == LAYERS.index(layer)])
    screen = np.concatenate([mesh.uvs * resolution, np.ones((len(mesh.uvs), 1), np.float32)], axis=1).astype(np.float32)
    n = len(faces)
    no, yes, zero = np.zeros(n, bool), np.ones(n, bool), np.zeros(n, np.int32)
    blank = np.zeros((1, 1, 1, 4), np.uint8)
    ids, _ = visible_faces(screen, faces, zero, yes, no, mesh.uvs, mesh.fade, blank, resolution, resolution)
    y, x = np.nonzero(ids >= 0)
    tri = faces[ids[y, x]]
    a, b, c = (screen[tri[:, k], :2] for k in range(3))
    p = np.stack([x, y], axis=1) + 0.5
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    w1 = ((p - a)[:, 0] * (c - a)[:, 1] - (p - a)[:, 1] * (c - a)[:, 0]) / area
    w2 = ((b - a)[:, 0] * (p - a)[:, 1] - (b - a)[:, 1] * (p - a)[:, 0]) / area
    weights = np.stack([1 - w1 - w2, w1, w2], axis=1)[:, :, None]
    return (weights * points[mesh.source[tri]]).sum(axis=1).astype(np.float32), ids >= 0


def spread(texels: FloatArray, inside: npt.NDArray[np.bool_]) -> FloatArray:
    """Texels [N, 4] put in their places, [R, R, 4]; places outside the charts take the nearest inside."""
    out = np.zeros((*inside.shape, texels.shape[1]), np.float32)
    out[inside] = texels
    nearest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return np.asarray(out[tuple(nearest)], np.float32)


def _mix(color: FloatArray, other: Rgb | FloatArray, share: FloatArray) -> FloatArray:
    """`color` [N, 3] with `share` [N] of the other colour."""
    return np.asarray(color + share[:, None] * (np.asarray(other, np.float32) - color), np.float32)


def _curve(points: FloatArray, count: int = 40) -> FloatArray:
    """A smooth polyline [count, D] through a few points [K, D]."""
    from scipy.interpolate import CubicSpline

    t = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return np.asarray(CubicSpline(t, points)(np.linspace(0, t[-1], count)), np.float32)


def _distance(points: FloatArray, curve: FloatArray, reach_m: float = 0.03) -> tuple[FloatArray, FloatArray]:
    """Distance [N] to a dense polyline [K, D] and where along it [N] in [0, 1]; far points count as 1 m away."""
    from scipy.spatial import cKDTree

    distance, along = np.ones(len(points), np.float32), np.zeros(len(points), np.float32)
    near = ((points > curve.min(axis=0) - reach_m) & (points < curve.max(axis=0) + reach_m)).all(axis=1)
    if near.any():
        found, index = cKDTree(curve).query(points[near])
        distance[near], along[near] = found, index / (len(curve) - 1)
    return distance, along


def _inside(points: FloatArray, polygon: FloatArray, soft_m: float) -> FloatArray:
    """1 inside a closed curve in the (x, y) plane, 0 outside, smooth over `soft_m`."""
    low, size = polygon[:, :2].min(axis=0) - 0.002, 512
    scale = (size - 1) / (np.ptp(polygon[:, :2], axis=0).max() + 0.004)
    filled = np.zeros((size, size), np.uint8)
    cv2.fillPoly(filled, [np.round((polygon[:, :2] - low) * scale).astype(np.int32)], [1.0])
    cell = np.round((points[:, :2] - low) * scale).astype(np.int64)
    hit = ((cell >= 0) & (cell < size)).all(axis=1)
    cell = np.clip(cell, 0, size - 1)
    sign = np.where(hit & (filled[cell[:, 1], cell[:, 0]] > 0), 1.0, -1.0)
    return smoothstep(0.5 + sign * _distance(points[:, :2], polygon[:, :2])[0] / soft_m)


class SkinPainter:
    """Paints the skin of one person at any point of the base mesh."""

    def __init__(self, head: HeadAsset, identity: Identity, seed: int) -> None:
        self.identity, self.noise = identity, Noise(seed)
        self.lm = head.vertices[landmark_indices(head)]
        self.dark = np.asarray(identity.skin, np.float32) * np.array([0.62, 0.46, 0.42], np.float32)

    def paint(self, p: FloatArray, ear: FloatArray) -> FloatArray:
        """Colour and gloss [N, 4] at points [N, 3], of which `ear` [N] says how far each belongs to an ear."""
        color = self._complexion(p)
        color, gloss = self._lips(p, color)
        color = self._eyes(p, color)
        color = self._beard(p, color)
        color = self._brows(p, color)
        color = self._scalp(p, ear, color)
        return np.concatenate([np.clip(color, 0, 1), np.clip(gloss, 0, 1)[:, None]], axis=1)

    def _complexion(self, p: FloatArray) -> FloatArray:
        lm, person = self.lm, self.identity
        base = np.tile(np.asarray(person.skin, np.float32), (len(p), 1))
        blotch = self.noise(p, 0.014, 3)
        fine = self.noise(p, 0.0016, 2)
        base *= (1 + 0.022 * blotch + 0.02 * fine)[:, None]
        red = np.asarray(person.skin, np.float32) * np.array([1.0, 0.78, 0.76], np.float32)
        cheeks = [(lm[41] + lm[48]) / 2 + [-0.012, 0.002, 0], (lm[46] + lm[54]) / 2 + [0.012, 0.002, 0]]
        flush = sum(np.exp(-(((p - c) ** 2).sum(axis=1)) / 0.019**2) for c in cheeks)
        flush += 0.8 * np.exp(-(((p - lm[30]) ** 2).sum(axis=1)) / 0.013**2)
        base = _mix(base, red, np.clip((0.5 - 0.25 * person.age) * flush * (1 + 0.2 * blotch), 0, 0.7))
        spots = smoothstep((self.noise(p, 0.0032, 1) - 1.15) / 0.5) * person.freckles
        middle = np.exp(-(((p - (lm[28] + [0, -0.004, 0])) / [0.045, 0.022, 0.06]) ** 2).sum(axis=1))
        base = _mix(base, self.dark, np.clip(0.75 * spots * middle, 0, 0.6))
        base = _mix(base, self.dark, 0.16 * person.age * smoothstep((self.noise(p, 0.006, 2) - 1.2) / 0.8))
        ends = smoothstep((0.042 - np.abs(p[:, 0])) / 0.02) * (0.6 + 0.4 * blotch)
        creases = 0.20 * person.age * ends * smoothstep(1 - np.abs(self._forehead_line(p)) / 0.0016)
        return _mix(base, self.dark, creases)

    def _forehead_line(self, p: FloatArray) -> FloatArray:
        """Signed distance to the nearest of three forehead creases; large away from them."""
        y = p[:, 1] + 0.004 * (p[:, 0] / 0.05) ** 2 + 0.0012 * self.noise(p, 0.02)
        spacing = np.min([np.abs(y - h) for h in (0.762, 0.773, 0.784)], axis=0)
        return np.where((np.abs(p[:, 0]) < 0.045) & (p[:, 2] > 0.08), spacing, 1.0).astype(np.float32)

    def _lips(self, p: FloatArray, color: FloatArray) -> tuple[FloatArray, FloatArray]:
        ring = self.lm[[*range(48, 60), 48]]
        contour = np.concatenate([_curve(ring[:7], 60), _curve(ring[6:], 60)])
        inside = _inside(p, contour, 0.0026) * (p[:, 2] > 0.118)
        tone = np.asarray(self.identity.lips, np.float32)
        stripes = 0.06 * self.noise(p * [1, 0.2, 0.2], 0.0011, 2)
        shade = (
            _mix(np.tile(tone, (len(p), 1)), tone * 0.55, smoothstep((0.146 - p[:, 2]) / 0.010))
            * (1 + stripes)[:, None]
        )
        color = _mix(color, shade, 0.88 * inside)
        forehead = np.exp(-(((p - self.lm[27] - [0, 0.035, 0]) / 0.03) ** 2).sum(axis=1))
        nose = np.exp(-(((p - self.lm[30]) / 0.012) ** 2).sum(axis=1))
        gloss = 0.34 + 0.22 * forehead + 0.35 * nose + 0.08 * self.noise(p, 0.0012, 2)
        return color, gloss + (0.55 - gloss) * inside

    def _eyes(self, p: FloatArray, color: FloatArray) -> FloatArray:
        for first in (36, 42):
            ring = self.lm[[*range(first, first + 6), first]]
            upper, lower = _curve(ring[:4]), _curve(ring[3:])
            to_upper, to_lower = _distance(p, upper)[0], _distance(p, lower)[0]
            center = ring[:6].mean(axis=0)
            hollow = np.exp(-(((p - center) / [0.019, 0.011, 0.02]) ** 2).sum(axis=1))
            color = _mix(color, self.dark, 0.30 * hollow)
            bag = np.exp(-(((p - center - [0, -0.013, 0]) / [0.012, 0.005, 0.02]) ** 2).sum(axis=1))
            color = _mix(color, self.dark, (0.12 + 0.2 * self.identity.age) * bag)
            color = _mix(color, (0.10, 0.06, 0.05), 0.80 * smoothstep(1 - to_upper / 0.0017))
            color = _mix(color, self.dark * 0.7, 0.55 * smoothstep(1 - to_lower / 0.0013))
            pink = smoothstep((center[2] + 0.004 - p[:, 2]) / 0.004) * (np.minimum(to_upper, to_lower) < 0.004)
            rosy = np.asarray(self.identity.skin, np.float32) * np.array([0.92, 0.68, 0.68], np.float32)
            color = _mix(color, rosy, 0.5 * pink)
        return color

    def _brows(self, p: FloatArray, color: FloatArray) -> FloatArray:
        hair = np.asarray(self.identity.hair, np.float32) * 0.8
        strength = 0.72 if max(self.identity.hair) > 0.5 else 0.88
        for ids, side in ((range(17, 22), 1.0), (range(26, 21, -1), -1.0)):
            line = _curve(self.lm[list(ids)])
            distance, along = _distance(p[:, :2], line[:, :2])
            width = 0.0042 * (0.35 + 0.65 * smoothstep(along / 0.45)) * (1 - 0.35 * smoothstep((along - 0.9) / 0.1))
            slant = np.stack([p[:, 0] * side * 0.55 + p[:, 1], p[:, 1] * 0.12, p[:, 2] * 0.1], axis=1).astype(
                np.float32
            )
            strands = 0.72 + 0.35 * self.noise(slant, 0.0007, 2)
            share = smoothstep((width - distance) / 0.0028 + 0.25) * (p[:, 2] > 0.09) * np.clip(strands, 0, 1.1)
            color = _mix(color, hair, np.clip(strength * share, 0, 0.95))
        return color

    def _beard(self, p: FloatArray, color: FloatArray) -> FloatArray:
        lm = self.lm
        low = smoothstep((lm[33][1] - 0.002 - p[:, 1]) / 0.010) * smoothstep((p[:, 1] - lm[8][1] + 0.022) / 0.02)
        sides = smoothstep((p[:, 2] - 0.015) / 0.03)
        cheek = smoothstep((0.058 - np.abs(p[:, 0]) * 0.35 - (p[:, 1] - lm[8][1])) / 0.018)
        grain = 0.65 + 0.35 * self.noise(p, 0.0012, 2)
        share = self.identity.beard * low * sides * cheek * np.clip(grain, 0.1, 1.3)
        ring = np.concatenate([_curve(lm[48:55], 40), _curve(lm[[*range(54, 60), 48]], 40)])
        share *= 1 - _inside(p, ring, 0.004) * (p[:, 2] > 0.118)
        return _mix(color, np.asarray(self.identity.hair, np.float32) * 0.9, np.clip(0.75 * share, 0, 0.85))

    def _scalp(self, p: FloatArray, ear: FloatArray, color: FloatArray) -> FloatArray:
        height = hair_height(p, self.identity.hairline)
        share = smoothstep((height + 0.003 + 0.002 * self.noise(p, 0.003)) / 0.010) * (1 - ear)
        return _mix(color, np.asarray(self.identity.hair, np.float32) * 0.6, 0.9 * share)


def _grid(resolution: int) -> tuple[FloatArray, FloatArray]:
    axis = (np.arange(resolution, dtype=np.float32) + 0.5) / resolution
    v, u = np.meshgrid(axis, axis, indexing="ij")
    return u, v


def _rgba(color: FloatArray, alpha: FloatArray | float) -> FloatArray:
    return np.concatenate([color, np.broadcast_to(np.asarray(alpha, np.float32), color.shape[:2])[..., None]], axis=2)


def paint_eye(identity: Identity, noise: Noise, resolution: int) -> FloatArray:
    """Iris, pupil and white of the eye, [R, R, 4]; the middle of the texture is where the eye looks."""
    u, v = _grid(resolution)
    x, y = (u - 0.5) / 0.45, (v - 0.5) / 0.45
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    polar = (
        np.stack([np.cos(angle) * 0.6, np.sin(angle) * 0.6, radius * 0.35], axis=-1).reshape(-1, 3).astype(np.float32)
    )
    fibers = noise(polar, 0.05, 3).reshape(u.shape)
    veins = noise(np.stack([x, y, x * 0], axis=-1).reshape(-1, 3).astype(np.float32), 0.12, 3).reshape(u.shape)
    white = np.stack(
        [0.86 + 0 * x, 0.825 - 0.02 * veins - 0.10 * radius**2, 0.80 - 0.02 * veins - 0.12 * radius**2], axis=-1
    )
    white *= (1 - 0.25 * smoothstep((radius - 0.45) / 0.5))[..., None]
    iris = np.asarray(identity.iris) * (1.0 + 0.25 * fibers + 0.55 * smoothstep((radius - 0.16) / 0.2))[..., None]
    iris *= (1 - 0.65 * smoothstep((radius - 0.34) / 0.08))[..., None]
    color = white + smoothstep((0.435 - radius) / 0.05)[..., None] * (iris - white)
    color *= (1 - 0.97 * smoothstep((0.185 - radius) / 0.03))[..., None]
    color *= (1 - 0.42 * smoothstep((-y - 0.12) / 0.4))[..., None]
    return _rgba(np.clip(color, 0, 1), 1.0)


def paint_hair(identity: Identity, noise: Noise, resolution: int) -> FloatArray:
    """Strands that run along v, [R, R, 4]; alpha says how soon a strand ends."""
    u, v = _grid(resolution)
    wave = u + 0.004 * np.sin(v * 40 + 3 * np.sin(u * 25))
    ring = (
        np.stack([np.cos(2 * np.pi * wave), np.sin(2 * np.pi * wave), v * 0.22], axis=-1)
        .reshape(-1, 3)
        .astype(np.float32)
    )
    thick, thin = noise(ring, 0.05, 2).reshape(u.shape), noise(ring, 0.013, 2).reshape(u.shape)
    light = 1.0 + 0.20 * thick + 0.30 * thin
    color = np.asarray(identity.hair) * np.clip(light, 0.35, 1.9)[..., None]
    return _rgba(np.clip(color, 0, 1), np.clip(0.72 + 0.16 * thin + 0.08 * thick, 0, 1))


def paint_cloth(identity: Identity, noise: Noise, resolution: int) -> FloatArray:
    """A knitted fabric with soft folds, [R, R, 4]."""
    u, v = _grid(resolution)
    flat = np.stack([u, v, 0 * u], axis=-1).reshape(-1, 3).astype(np.float32)
    folds = noise(flat * [1.0, 0.45, 1.0], 0.11, 2).reshape(u.shape)
    knit = 0.5 * np.sin(u * 2 * np.pi * 170) * np.sin(v * 2 * np.pi * 170)
    grain = noise(flat, 0.006, 2).reshape(u.shape)
    color = np.asarray(identity.cloth) * (1.0 + 0.07 * folds + 0.05 * knit + 0.03 * grain)[..., None]
    return _rgba(np.clip(color, 0, 1), 1.0)


def paint_teeth(resolution: int) -> FloatArray:
    """Two rows of teeth side by side with dark gaps and gums, [R, R, 4]."""
    u, _ = _grid(resolution)
    gap = np.abs(np.sin(np.pi * (u * 12)))
    color = np.array([0.88, 0.84, 0.76]) * (0.70 + 0.30 * smoothstep(gap / 0.4))[..., None]
    return _rgba(color, 0.8)


def paint_lash(resolution: int) -> FloatArray:
    """Separate dark lashes, [R, R, 4]."""
    u, v = _grid(resolution)
    stripes = np.sin(2 * np.pi * (u * 95 + 0.5 * np.sin(v * 30)))
    color = np.tile(np.array([0.06, 0.045, 0.04]), (resolution, resolution, 1))
    return _rgba(color, np.clip(0.5 + 0.5 * stripes, 0, 1))


def paint_layers(head: HeadAsset, identity: Identity, mesh: DrawMesh, seed: int, *, resolution: int) -> Texture:
    """All textures of one person in the order of `LAYERS`, [L, R, R, 4] uint8."""
    skin, noise = SkinPainter(head, identity, seed), Noise(seed + 1)
    painted = {"teeth": paint_teeth(resolution), "lash": paint_lash(resolution)}
    for name, paint in (("eye", paint_eye), ("hair", paint_hair), ("cloth", paint_cloth)):
        painted[name] = paint(identity, noise, resolution)
    marked = np.column_stack([head.vertices, ear_share(head)]).astype(np.float32)
    for layer in ("head", "body"):
        points, inside = bake_positions(mesh, layer, marked, resolution)
        painted[layer] = spread(skin.paint(points[:, :3], points[:, 3]), inside)
    flesh = np.ones((resolution, resolution, 1), np.float32)
    u, v = _grid(resolution)
    bumps = noise(np.stack([u, v, 0 * u], axis=-1).reshape(-1, 3).astype(np.float32), 0.03, 2).reshape(u.shape)
    groove = 1 - 0.25 * np.exp(-(((u - 0.5) / 0.05) ** 2)) + 0.06 * bumps
    painted["mouth"] = _rgba(flesh * [0.42, 0.16, 0.15], 0.4)
    painted["tongue"] = _rgba(groove[..., None] * [0.62, 0.30, 0.29], 0.5)
    return np.stack([np.round(painted[name] * 255).astype(np.uint8) for name in LAYERS])
