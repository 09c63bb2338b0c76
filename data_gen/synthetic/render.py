"""One person before the camera: poses the mesh, lights it and draws a frame with its exact labels and landmarks.

Head coordinates: origin inside the head, x to the image right, y up, z to the viewer; metres. The camera looks down -Z
(OpenGL). Notation: V base vertices, A actions, H W pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from data_gen.synthetic import rasterizer
from data_gen.synthetic.identity import Identity, identity_of, identity_vertices
from data_gen.synthetic.landmarks import landmark_indices
from data_gen.synthetic.mesh import LAYERS, DrawMesh, build_mesh, curtain_faces, curtain_vertices, hair_height
from data_gen.synthetic.noise import Noise
from data_gen.synthetic.occlusion import ambient_occlusion
from data_gen.synthetic.texture import Texture, paint_layers
from modules.face.morphable.head_asset import FloatArray, HeadAsset, IntArray, load_head

DoubleArray = npt.NDArray[np.float64]
HEAD_ORIGIN = np.array([0.0, 0.725, 0.03], np.float32)
NECK_PIVOT = np.array([0.0, 0.592, 0.005], np.float32)
CAMERA = np.array([0.0, -0.012, 0.70], np.float32)
"""Where the camera stands when the head is at rest, head coordinates."""
FOCAL_PER_HEIGHT = 1.6
LIGHTS = np.array([
    [0.20, 0.17, 0.16, 0, 0, 0, 0],
    [0.34, 0.35, 0.38, 0, 0, 0, 0],
    [0.86, 0.80, 0.72, -0.50, 0.55, 0.67, 0.55],
    [0.22, 0.25, 0.30, 0.80, 0.10, 0.59, 0.22],
    [0.28, 0.28, 0.30, 0.75, 0.45, -0.48, 0.0],
], np.float32)  # fmt: skip
"""Ground, sky, then key, fill and rim lamp: colour, direction, strength of the highlight."""
MATERIALS = {  # gloss, shininess, softness of the shadow's border, gloss is scaled by alpha
    "head": (0.42, 14.0, 0.38, 1), "body": (0.30, 14.0, 0.38, 1), "mouth": (0.15, 20.0, 0.2, 1),
    "eye": (0.9, 180.0, 0.35, 0), "teeth": (0.30, 40.0, 0.3, 0), "tongue": (0.20, 25.0, 0.3, 0),
    "lash": (0.0, 1.0, 0.0, 0), "hair": (0.16, 10.0, 0.25, 0),
    "cloth": (0.03, 5.0, 0.15, 0),
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """All of one identity that does not change while it moves."""

    identity: Identity
    mesh: DrawMesh
    neutral: FloatArray
    """[V, 3], mesh coordinates."""
    base_faces: npt.NDArray[np.int32]
    action_matrix: FloatArray
    """[A, V * 3], metres."""
    action_names: tuple[str, ...]
    head_share: FloatArray
    """[V]"""
    occlusion: FloatArray
    """[R], 1 in the open, 0 in a hole."""
    textures: Texture
    landmarks: IntArray
    """[68] into the base vertices."""


@dataclass(frozen=True)
class Pose:
    """Rigid motion of one frame."""

    rotvec: DoubleArray
    """[3] radians, of the head about the base of the neck."""
    shift: DoubleArray
    """[3] metres, of the head."""
    sway: DoubleArray
    """[3] metres, of the whole body."""


@dataclass(frozen=True)
class Frame:
    """A drawn frame and its truth."""

    image: npt.NDArray[np.uint8]
    """[H, W, 3] RGB."""
    labels: npt.NDArray[np.uint8]
    """[H, W]: 0 background, 1 head, 2 torso."""
    c2w: DoubleArray
    """[4, 4]"""
    lm3d: FloatArray
    """[68, 3] head coordinates, pose removed."""
    lm2d: DoubleArray
    """[68, 2] pixels."""


def smooth_over_mesh(values: FloatArray, faces: IntArray, rounds: int) -> FloatArray:
    """Each vertex's value [V] averaged with its neighbours', `rounds` times."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    degree = np.maximum(np.bincount(edges.ravel(), minlength=len(values)), 1)
    for _ in range(rounds):
        total = np.bincount(edges[:, 0], values[edges[:, 1]], len(values))
        total += np.bincount(edges[:, 1], values[edges[:, 0]], len(values))
        values = np.where(degree > 1, 0.5 * values + 0.5 * total / degree, values)
    return values.astype(np.float32)


def _head_share(head: HeadAsset) -> FloatArray:
    """The asset's share with the neck blended evenly, exactly 1 on all that must stay rigid."""
    share = smooth_over_mesh(head.head_share, head.faces, 12)
    rigid = (head.head_share > 0.97) & (head.vertices[:, 1] > 0.655)
    return np.where(rigid, np.float32(1.0), np.clip(share, 0, 1)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def load_person(number: int, texture_size: int = 1024) -> Person:
    """The person with this identity number, ready to be drawn; kept in memory for the next call."""
    head, identity = load_head(), identity_of(number)
    neutral = identity_vertices(head, identity)
    mesh = build_mesh(head, identity, neutral)
    grown = np.zeros((0, 3), np.float32)
    if identity.is_long_haired:
        scalp = neutral[hair_height(head.vertices, 0.0) > -0.03]
        grown = curtain_vertices(scalp[scalp[:, 1] > 0.66], identity.hair_length)
    outside = curtain_faces()[: len(curtain_faces()) // 2] + len(neutral)  # the inside would cancel the normals
    faces = np.concatenate([head.faces, outside]) if len(grown) else head.faces
    share = np.concatenate([_head_share(head), np.ones(len(grown), np.float32)])
    neutral = np.concatenate([neutral, grown])
    return Person(
        identity=identity, mesh=mesh, neutral=neutral, base_faces=faces.astype(np.int32),
        action_matrix=head.actions.matrix(len(neutral)).reshape(len(head.actions.names), -1),
        action_names=head.actions.names, head_share=share,
        occlusion=ambient_occlusion(head, mesh, neutral),
        textures=paint_layers(head, identity, mesh, number, resolution=texture_size), landmarks=landmark_indices(head),
    )  # fmt: skip


def _rotations(rotvecs: DoubleArray) -> DoubleArray:
    """Rotation matrices [N, 3, 3] of rotation vectors [N, 3]."""
    angle = np.linalg.norm(rotvecs, axis=1) + 1e-12
    k = rotvecs / angle[:, None]
    cross = np.zeros((len(k), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -k[:, 2], k[:, 1], -k[:, 0]
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = k[:, 2], -k[:, 1], k[:, 0]
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def camera_to_world(pose: Pose) -> DoubleArray:
    """Pose of the camera [4, 4] (OpenGL) as the head sees it, the head being fixed at the origin."""
    rotation = _rotations(np.asarray(pose.rotvec, np.float64)[None])[0]
    pivot = (HEAD_ORIGIN - NECK_PIVOT).astype(np.float64)
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = rotation @ pivot - pivot + pose.shift + pose.sway - CAMERA
    return np.linalg.inv(world_to_camera)


def project(points: npt.ArrayLike, c2w: npt.ArrayLike, focal: float, center: tuple[float, float]) -> DoubleArray:
    """Pixels [..., 2] of points [..., 3] in head coordinates; pixel (0, 0) spans 0 to 1."""
    w2c = np.linalg.inv(np.asarray(c2w, np.float64))
    p = np.asarray(points, np.float64) @ w2c[:3, :3].T + w2c[:3, 3]
    return np.stack([center[0] - focal * p[..., 0] / p[..., 2], center[1] + focal * p[..., 1] / p[..., 2]], axis=-1)


def paint_background(identity: Identity, size: int, seed: int) -> npt.NDArray[np.uint8]:
    """A wall with a soft gradient and a few blurred shapes, [H, W, 3] sRGB."""
    rng = np.random.default_rng([seed, 5])
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    light, dark = (np.asarray(c, np.float32) for c in identity.background)
    share = np.clip(0.15 + 0.75 * np.hypot(x - 0.3, 0.8 * (y - 0.25)), 0, 1)[..., None]
    wall = light * (1 - share) + dark * share
    for _ in range(6):
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 0.85), rng.uniform(0.05, 0.16)
        tint = np.asarray(rng.uniform(0.55, 1.0) + rng.uniform(-0.12, 0.12, 3), np.float32) * light
        if rng.random() < 0.5:
            shape = (np.hypot(x - cx, y - cy) < radius).astype(np.float32)
        else:
            shape = ((np.abs(x - cx) < 0.7 * radius) & (np.abs(y - cy) < 1.6 * radius)).astype(np.float32)
        soft = 0.45 * cv2.GaussianBlur(shape, (0, 0), size * 0.018)[..., None]
        wall = np.asarray(wall * (1 - soft) + soft * tint, np.float32)
    grain = Noise(seed + 9)(np.stack([x, y], axis=-1).reshape(-1, 2), 0.02, 3).reshape(size, size, 1)
    return np.clip((wall + 0.006 * grain) * 255 + 0.5, 0, 255).astype(np.uint8)


class Renderer:
    """Draws one person at one picture size."""

    def __init__(self, person: Person, size: int, background: npt.NDArray[np.uint8]) -> None:
        self.person, self.size = person, size
        self.focal, self.center = FOCAL_PER_HEIGHT * size, (size / 2, size / 2)
        self.background = rasterizer.TO_LINEAR[background].astype(np.float32)
        self.material = np.array([MATERIALS[name] for name in LAYERS], np.float32)
        self.lights = LIGHTS.copy()
        self.lights[2:, 3:6] /= np.linalg.norm(self.lights[2:, 3:6], axis=1, keepdims=True)
        self.two_sided, self.cutout = person.mesh.two_sided, person.mesh.cutout
        layer_of = np.zeros(len(person.mesh.source), np.int64)
        layer_of[person.mesh.faces] = person.mesh.layer[:, None]
        self.teeth = np.flatnonzero(layer_of == LAYERS.index("teeth"))
        x = person.neutral[person.mesh.source[self.teeth], 0]
        bow = np.stack([18 * x, 0 * x, 1 + 0 * x], axis=1)
        self.teeth_normals = (bow / np.linalg.norm(bow, axis=1, keepdims=True)).astype(np.float32)
        self.own = np.arange(len(person.neutral))

    def _posed(self, shaped: FloatArray, pose: Pose) -> FloatArray:
        """Base vertices [V, 3] before the camera at rest, head coordinates of the rest pose."""
        share = self.person.head_share[:, None]
        angle = float(np.linalg.norm(pose.rotvec)) + 1e-12
        axis = (pose.rotvec / angle).astype(np.float32)
        arm = shaped - NECK_PIVOT
        sine, cosine = np.sin(share * np.float32(angle)), np.cos(share * np.float32(angle))
        across = np.stack([axis[1] * arm[:, 2] - axis[2] * arm[:, 1], axis[2] * arm[:, 0] - axis[0] * arm[:, 2],
                           axis[0] * arm[:, 1] - axis[1] * arm[:, 0]], axis=1)  # fmt: skip
        turned = cosine * arm + sine * across + (1 - cosine) * (arm @ axis)[:, None] * axis
        fixed = (NECK_PIVOT + pose.sway - HEAD_ORIGIN).astype(np.float32)
        return np.asarray(turned + share * pose.shift.astype(np.float32) + fixed, np.float32)

    def draw(self, weights: FloatArray, pose: Pose) -> Frame:
        """The frame with action weights [A] at a pose."""
        person, mesh = self.person, self.person.mesh
        shaped = person.neutral + (weights.astype(np.float32) @ person.action_matrix).reshape(-1, 3)
        placed = self._posed(shaped, pose)
        normals = rasterizer.vertex_normals(placed, person.base_faces, self.own)[mesh.source]
        normals[self.teeth] = self.teeth_normals
        points = placed[mesh.source] + mesh.offset[:, None] * normals - CAMERA
        depth = -points[:, 2]
        screen = np.empty_like(points)
        screen[:, 0] = 2 * (self.center[0] + self.focal * points[:, 0] / depth)
        screen[:, 1] = 2 * (self.center[1] - self.focal * points[:, 1] / depth)
        screen[:, 2] = 1 / depth
        ids, _ = rasterizer.visible_faces(
            screen, mesh.faces, mesh.layer, self.two_sided, self.cutout, mesh.uvs, mesh.fade, person.textures,
            2 * self.size, 2 * self.size,
        )  # fmt: skip
        scene = (screen, normals, mesh.uvs, person.occlusion, mesh.faces, mesh.layer, self.two_sided, self.material)
        tables = (person.textures, rasterizer.TO_LINEAR, rasterizer.TO_SRGB)
        image, labels = rasterizer.shade(ids, self.background, scene, self.lights, *tables, mesh.label)
        c2w = camera_to_world(pose)
        lm3d = shaped[person.landmarks] - HEAD_ORIGIN
        return Frame(image, labels, c2w, lm3d, project(lm3d, c2w, self.focal, self.center))
