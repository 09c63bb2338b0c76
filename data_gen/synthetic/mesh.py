"""The mesh that is drawn: skin, eyes, teeth, tongue and lashes of the asset, plus hair and clothes grown from it.

Every drawn vertex is a base vertex moved along its normal, so hair and clothes follow each motion of the skin for free.
Notation: V base vertices, R drawn vertices, F drawn triangles. Mesh coordinates as in the asset (metres).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from data_gen.synthetic.identity import Identity
from modules.face.morphable.head_asset import FloatArray, HeadAsset, IntArray

Array = npt.NDArray[Any]
LAYERS = ("head", "body", "mouth", "eye", "teeth", "tongue", "lash", "hair", "cloth")
BACKGROUND, HEAD, TORSO = 0, 1, 2
_SHELLS = 5
CURTAIN_SHAPE = (14, 48)
"""Rows and columns of the long hair."""
_CURTAIN_Z = 0.016
_HAIRLINE = np.array([
    [0, 0.787], [18, 0.788], [32, 0.785], [43, 0.777], [51, 0.766], [57, 0.748], [62, 0.730], [66, 0.726],
    [72, 0.736], [80, 0.743], [90, 0.742], [98, 0.722], [108, 0.702], [122, 0.690], [150, 0.680], [180, 0.676],
])  # fmt: skip
"""Height of the hair's border (m) against the angle from the front (degrees)."""


@dataclass(frozen=True)
class DrawMesh:
    """Triangles in draw order with all that does not change from frame to frame."""

    source: IntArray
    """[R], base vertex of each drawn vertex."""
    offset: FloatArray
    """[R], metres along the normal."""
    uvs: FloatArray
    """[R, 2], v downwards."""
    fade: FloatArray
    """[R], opacity where the surface is cut out."""
    faces: npt.NDArray[np.int32]
    """[F, 3]"""
    layer: npt.NDArray[np.int32]
    """[F] into LAYERS."""
    label: npt.NDArray[np.uint8]
    """[F], HEAD or TORSO."""

    @property
    def cutout(self) -> npt.NDArray[np.bool_]:
        """[F], surfaces with holes."""
        return np.isin(self.layer, [LAYERS.index(n) for n in ("lash", "hair", "cloth")])

    @property
    def two_sided(self) -> npt.NDArray[np.bool_]:
        """[F], surfaces seen from both sides."""
        return np.isin(self.layer, [LAYERS.index(n) for n in ("lash", "teeth", "tongue")])


def smoothstep(x: npt.ArrayLike) -> FloatArray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(np.asarray(x, np.float32), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def hair_height(points: FloatArray, hairline: float) -> FloatArray:
    """Height [N] of base-mesh points above the hair's border, metres; negative is bare skin."""
    angle = np.degrees(np.abs(np.arctan2(points[:, 0], points[:, 2] - 0.03)))
    lift = hairline * np.clip(1.0 - angle / 70, 0, 1)
    return np.asarray(points[:, 1] - np.interp(angle, _HAIRLINE[:, 0], _HAIRLINE[:, 1]) - lift, np.float32)


def collar_height(points: FloatArray) -> FloatArray:
    """Height [N] of mesh points above the neckline of the clothes, metres."""
    line = 0.574 - 0.35 * (points[:, 2] - 0.01) + 0.6 * np.maximum(0, np.abs(points[:, 0]) - 0.05)
    return np.asarray(points[:, 1] - line, np.float32)


def ear_share(head: HeadAsset) -> FloatArray:
    """1 on the ears, 0 elsewhere, [V]."""
    moved = np.zeros_like(head.vertices)
    head.shapes.add(moved, "ear-wing-decr", 1.0)
    size = np.linalg.norm(moved, axis=1)
    return smoothstep((size - 0.0020) / 0.0015)


def _uv_crop(layer: str, uv: FloatArray) -> FloatArray:
    """Texture coordinates of one chart stretched over the whole layer, v downwards."""
    low, high = {
        "head": ((0.635, 0.140), (1.0, 0.830)), "body": ((0.0, 0.54), (0.655, 1.0)),
        "mouth": ((0.75, 0.0), (0.935, 0.145)),
        "teeth": ((0.677, 0.875), (0.739, 0.920)), "tongue": ((0.620, 0.925), (0.650, 0.985)),
        "lash": ((0.655, 0.925), (0.760, 0.986)),
    }[layer]  # fmt: skip
    scaled = (uv - np.array(low)) / (np.array(high) - np.array(low))
    return np.stack([scaled[..., 0], 1 - scaled[..., 1]], axis=-1).astype(np.float32)


def _chart_of_skin(uv: FloatArray) -> IntArray:
    """0 head, 1 body, 2 mouth cavity for each skin face by the middle of its texture coordinates [F, 2]."""
    strap = (uv[:, 0] < 0.655) & (uv[:, 1] > 0.6655)
    return np.where((uv[:, 0] > 0.635) & (uv[:, 1] > 0.145) & ~strap, 0, np.where(uv[:, 0] > 0.70, 2, 1))


def _expand(source: IntArray, uv: FloatArray, **columns: Array) -> tuple[IntArray, dict[str, Array]]:
    """Drawn vertices without repeats from face corners: faces [F, 3] and the columns of each vertex."""
    corners = np.stack([source.ravel().astype(np.float64), *uv.reshape(-1, 2).T.astype(np.float64)], axis=1)
    _, first, inverse = np.unique(np.round(corners, 6), axis=0, return_index=True, return_inverse=True)
    table: dict[str, Array] = {"source": source.ravel()[first], "uvs": uv.reshape(-1, 2)[first]}
    table |= {k: v.ravel()[first] for k, v in columns.items()}
    return inverse.reshape(-1, 3), table


def curtain_vertices(scalp: FloatArray, hair_length: float) -> FloatArray:
    """Long hair as a sheet from the temples round the back of the head, [rows * columns, 3], mesh coordinates.

    Args:
        scalp: Vertices of the person's head, [N, 3]; the sheet leaves the hair on them smoothly.
        hair_length: Thickness of that hair, metres.
    """
    rows, columns = CURTAIN_SHAPE
    turn = np.radians(np.linspace(62, 298, columns))[None, :]
    down = np.linspace(0, 1, rows)[:, None]
    y = 0.800 - 0.176 * down - 0.012 * down * (1 - np.abs(np.sin(turn)))
    wave = 0.0022 * np.sin(9 * turn + 3 * down) * down
    width, depth = 0.096 - 0.004 * down**2, 0.098 - 0.014 * down
    free = np.hypot(width * np.sin(turn), depth * np.cos(turn)) + wave
    polar = np.arctan2(scalp[:, 0], scalp[:, 2] - _CURTAIN_Z)
    places = np.stack([0.08 * np.sin(polar), 0.08 * np.cos(polar), scalp[:, 1]], axis=1)
    wanted = np.stack(np.broadcast_arrays(0.08 * np.sin(turn), 0.08 * np.cos(turn), y), axis=-1).reshape(-1, 3)
    near = cKDTree(places).query(wanted, k=6)[1]
    skull = np.hypot(scalp[near, 0], scalp[near, 2] - _CURTAIN_Z).mean(axis=1).reshape(y.shape)
    hang = smoothstep((0.775 - y) / 0.05)
    radius = (1 - hang) * (skull + 0.85 * hair_length) + hang * np.maximum(free, skull + 0.5 * hair_length)
    points = [radius * np.sin(turn), y, _CURTAIN_Z - 0.010 * down + radius * np.cos(turn)]
    return np.stack(np.broadcast_arrays(*points), axis=-1).reshape(-1, 3).astype(np.float32)


def curtain_faces() -> IntArray:
    """Triangles [F, 3] of the long hair, first as seen from outside, then from inside."""
    rows, columns = CURTAIN_SHAPE
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns, corner + columns + 1
    outside = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    return np.concatenate([outside, outside[:, ::-1]])


class MeshBuilder:
    """Collects the parts of one person's mesh."""

    def __init__(self, head: HeadAsset, identity: Identity, vertices: FloatArray) -> None:
        self.head, self.identity, self.vertices = head, identity, vertices
        self.parts: list[dict[str, Array]] = []
        self.count = 0
        self.ear = ear_share(head)
        skin = head.faces_of("skin")
        self.skin_faces, self.skin_uv = head.faces[skin], head.uvs[head.faces_uv[skin]]
        self.chart = _chart_of_skin(self.skin_uv.mean(axis=1))

    def add(self, layer: str, source: IntArray, uv: FloatArray, label: npt.ArrayLike, **columns: Array) -> None:
        """Append triangles: corners' base vertices [F, 3] and uv [F, 3, 2], with `offset` and `fade` [F, 3] if any."""
        columns = {"offset": np.zeros(source.shape), "fade": np.ones(source.shape)} | columns
        faces, table = _expand(source, uv, **columns)
        n = len(source)
        self.parts.append(table | {
            "faces": faces + self.count, "layer": np.full(n, LAYERS.index(layer)), "label": np.broadcast_to(label, n),
        })  # fmt: skip
        self.count += len(table["source"])

    def add_skin(self) -> None:
        """Face, neck and the little of the shoulders that the clothes leave bare."""
        label = np.where(self.head.head_share[self.skin_faces].mean(axis=1) > 0.88, HEAD, TORSO)
        bare = collar_height(self.vertices)[self.skin_faces].max(axis=1) > -0.03
        for number, layer in enumerate(("head", "body", "mouth")):
            pick = (self.chart == number) & (bare | (number == 2))
            part = HEAD if layer == "mouth" else label[pick]
            self.add(layer, self.skin_faces[pick], _uv_crop(layer, self.skin_uv[pick]), part)

    def add_organs(self) -> None:
        """Eyes, teeth, tongue and lashes."""
        for layer, parts in (("teeth", ("teeth_upper", "teeth_lower")), ("tongue", ("tongue",)), ("lash", ("lash",))):
            pick = self.head.faces_of(*parts)
            if layer == "lash":  # those of the lower lid are painted on the skin
                pick &= self.head.vertices[self.head.faces, 1].mean(axis=1) > 0.7295
            self.add(layer, self.head.faces[pick], _uv_crop(layer, self.head.uvs[self.head.faces_uv[pick]]), HEAD)
        for side in ("eye_right", "eye_left"):
            pick = self.head.faces_of(side)
            corners = self.vertices[self.head.faces[pick]]
            ball = self.vertices[self.head.vertices_of(side)]
            center, radius = (ball.min(axis=0) + ball.max(axis=0)) / 2, np.ptp(ball[:, 1]) / 2
            direction = (corners - center) / radius
            uv = 0.5 + 0.45 * direction[..., :2] * [1, -1]
            front = direction[..., 2].mean(axis=1) > -0.2
            self.add("eye", self.head.faces[pick][front], uv[front].astype(np.float32), HEAD)

    def add_hair(self) -> None:
        """Shells above the scalp whose strands thin out towards the border and the outside."""
        base = self.head.vertices
        height = hair_height(base, self.identity.hairline)
        mask = smoothstep((height + 0.004) / 0.016) * (1 - self.ear)
        pick = (mask[self.skin_faces].max(axis=1) > 0.05) & (self.chart == 0)
        source = self.skin_faces[pick]
        crown = base - np.array([0.0, 0.775, -0.005])
        turn = np.arctan2(crown[:, 0], crown[:, 2])[source]
        turn = np.where(np.ptp(turn, axis=1, keepdims=True) > np.pi, np.where(turn < 0, turn + 2 * np.pi, turn), turn)
        polar = np.arccos(np.clip(crown[:, 1] / np.linalg.norm(crown, axis=1), -1, 1))[source]
        uv = np.stack([turn / (2 * np.pi) + 1.0, polar / np.pi], axis=-1).astype(np.float32)
        thickness = self.identity.hair_length * smoothstep((height + 0.004) / 0.03)
        thickness *= 0.15 + 0.85 * smoothstep(height / 0.055)
        if not self.identity.is_long_haired:
            thickness *= 0.4 + 0.6 * smoothstep((base[:, 1] - 0.765) / 0.05)
        for shell in range(_SHELLS):
            part = (shell + 1) / _SHELLS
            offset = (thickness * part)[source] + 0.0006
            fade = mask[source] * (1.35 - 0.55 * part)
            self.add("hair", source, uv, HEAD, offset=offset, fade=fade)

    def add_clothes(self) -> None:
        """A shirt over the shoulders with a ribbed collar."""
        height = collar_height(self.vertices)
        pick = (height[self.skin_faces].min(axis=1) < 0.008) & (self.chart == 1)
        source = self.skin_faces[pick]
        x, y = self.vertices[source][..., 0], self.vertices[source][..., 1]
        uv = np.stack([x / 0.5 + 0.5, (0.62 - y) / 0.5], axis=-1).astype(np.float32)
        bulge = 0.0035 + 0.0025 * smoothstep(-(height + 0.012) / 0.02)
        rib = 0.0015 * np.exp(-(((height + 0.006) / 0.006) ** 2))
        fade = (0.5 - height / 0.02).astype(np.float32)  # not clipped: the border is where it crosses one half
        self.add("cloth", source, uv, TORSO, offset=(bulge + rib)[source], fade=fade[source])

    def add_curtain(self, first: int) -> None:
        """The long hair whose grown vertices begin at base vertex `first`."""
        rows, columns = CURTAIN_SHAPE
        source = curtain_faces() + first
        row, column = np.divmod(source - first, columns)
        uv = np.stack([column / (columns - 1) * 0.6 + 1.2, row / (rows - 1) * 0.5 + 0.2], axis=-1).astype(np.float32)
        ends = smoothstep(np.minimum(column, columns - 1 - column) / 1.5) * 0.35 + 0.65
        fade = np.where(row == rows - 1, 0.45, np.where(row == rows - 2, 0.9, 1.3)) * ends
        self.add("hair", source, uv, HEAD, fade=fade.astype(np.float32))

    def build(self) -> DrawMesh:
        """The finished mesh."""
        joined = {key: np.concatenate([part[key] for part in self.parts]) for key in self.parts[0]}
        return DrawMesh(
            source=joined["source"].astype(np.int64), offset=joined["offset"].astype(np.float32),
            uvs=np.ascontiguousarray(joined["uvs"], np.float32), fade=joined["fade"].astype(np.float32),
            faces=joined["faces"].astype(np.int32), layer=joined["layer"].astype(np.int32),
            label=joined["label"].astype(np.uint8),
        )  # fmt: skip


def build_mesh(head: HeadAsset, identity: Identity, vertices: FloatArray) -> DrawMesh:
    """The drawn mesh of one person whose neutral base vertices are `vertices` [V, 3]."""
    builder = MeshBuilder(head, identity, vertices)
    builder.add_organs()
    builder.add_skin()
    builder.add_clothes()
    builder.add_hair()
    if identity.is_long_haired:
        builder.add_curtain(len(vertices))
    return builder.build()
