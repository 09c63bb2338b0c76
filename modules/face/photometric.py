"""Poses refined by the picture itself: the still upper face of every frame is laid over one common texture.

A landmarker's noise (a third of a degree) is common to all its points; skin, brows and nose say far more. The surface
is the mean mesh; its texture is the median over some frames, found together with their poses; each frame is then
aligned to it by Gauss-Newton on band-passed gray values (Lucas-Kanade in the six parameters of the pose, a gain and
the weights of K expression modes, which keep brows and cheeks from passing for nods). A landmarker's depth is a guess,
and too flat a nose turns too far: the surface itself is corrected by some identity modes, the same in all frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from modules.face.face_modes import expression_modes, identity_modes
from modules.face.landmarks68 import FACE_OVAL, LEFT_EYE, RIGHT_EYE, SUBNASALE
from modules.face.pose_solver import Poses, gradient_by_point, gradient_by_pose, pose_jacobian, project_camera
from modules.face.surface_fit import FrameSystem, shared_step
from utils.commons.threads import ordered_map
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import matrix_from_vector, vector_from_matrix

_SPACING_M = 0.002
_BLUR_AT_512 = 3.0
_BANDS_AT_512 = ((2.5, 8.0), (1.2, 5.0))
"""Widths of the two Gaussians of each band, coarse first, pixels. Wider ones see shades, which do not turn with the
head."""
_ITERATIONS = (4, 3)
_STRIDES = (3, 1)
_TEXTURE_ROUNDS, _SHAPE_ROUNDS = 3, 3
_PRIOR_PX_AT_512 = 1.0
"""Trust in the landmarks' pose: it is off by about this many pixels at a typical point."""
_PRIOR_POINTS = 40.0
_MODES, _IDENTITY_MODES = 8, 10
_IDENTITY_BELIEF = 10.0
"""Information about each identity mode before looking: frames err together, and are too sure by about this factor."""
_MIN_CORRELATION = 0.7
_MARGIN_AT_512 = 24.0


@dataclass(frozen=True)
class Band:
    """Band-passed gray of a part of a frame."""

    picture: np.ndarray
    """[h,w,3] f32: value, d/dx, d/dy."""
    corner: np.ndarray
    """Column and row of its first pixel in the frame."""


@dataclass(frozen=True)
class Alignment:
    """Pose of one frame, world to camera."""

    rotation: np.ndarray
    translation: np.ndarray
    information: np.ndarray
    """[6,6] inverse covariance of a small turn (radians, applied after the rotation) and shift (metres)."""
    expression: np.ndarray
    """[K] weights of the expression modes, in standard deviations."""
    correlation: float
    """Of the frame with the texture; low where the face is covered or blurred (the pose is then the one given)."""


class PhotometricAligner:
    """Knows the surface and, after :meth:`learn`, its texture; :meth:`align` may be called from several threads."""

    def __init__(self, shape: np.ndarray, intrinsics: Intrinsics) -> None:
        self.intrinsics = intrinsics
        self.points = surface_points(shape)
        self.modes = expression_modes(shape, self.points, _MODES)
        self._modes_by_axis = [_by_axis(self.modes[:, ::stride]) for stride in _STRIDES]
        self.identity = identity_modes(shape, self.points, _IDENTITY_MODES)
        self._scale = intrinsics.height / 512
        self._textures: list[np.ndarray] = []

    def learn(
        self, frames: Iterable[np.ndarray], rotation: np.ndarray, translation: np.ndarray, *, threads: int = 1
    ) -> None:
        """Find surface and texture from some RGB frames with poses [N,3,3] and [N,3]."""
        given = found = [self._unmoved(*pose, 0.0) for pose in zip(rotation, translation, strict=True)]
        bands = [self._bands(frame, one.rotation, one.translation) for frame, one in zip(frames, found, strict=True)]
        identity = np.zeros(len(self.identity))
        for number in range(_TEXTURE_ROUNDS + _SHAPE_ROUNDS):
            self._textures = self._mean_textures(bands, found)
            found = list(ordered_map(self._align_given, zip(bands, given, strict=True), threads))
            if number >= _TEXTURE_ROUNDS - 1:
                identity = self._reshape(bands, found, given, identity)
        self._textures = self._mean_textures(bands, found)

    def _reshape(
        self, bands: list[list[Band]], found: list[Alignment], given: list[Alignment], identity: np.ndarray
    ) -> np.ndarray:
        """Move the surface to where the frames agree better; return the weights [I] of the identity modes."""
        frames = [frame for frame in zip(bands, found, given, strict=True) if frame[1].correlation >= _MIN_CORRELATION]
        for _ in range(2 if _SHAPE_ROUNDS and frames else 0):
            texture = self._mean_texture(bands, found, -1)
            systems = [self._system(*frame, texture) for frame in frames]
            step = shared_step(systems, _IDENTITY_BELIEF, identity)
            self.points = self.points + np.tensordot(step, self.identity, 1)
            identity = identity + step
        return identity

    def _system(self, bands: list[Band], found: Alignment, given: Alignment, texture: np.ndarray) -> FrameSystem:
        """Return what the finest band of a frame says about its own unknowns and the identity."""
        surface = self.points + np.tensordot(found.expression, self.modes, 1)
        both = _by_axis(np.concatenate([self.modes, self.identity]))
        value, rows = self._rows(bands[-1], texture, surface, found.rotation, found.translation, both)
        residual, weights, gain = self._compared(value, texture, -found.translation[2])
        own = np.r_[: 6 + len(self.modes), -2:0]
        prior = np.zeros((len(own), len(own)))
        prior[:-2, :-2] = self._prior(given.rotation, given.translation)
        turn = vector_from_matrix((found.rotation @ given.rotation.T)[None])[0]
        moved = np.concatenate([turn, found.translation - given.translation, found.expression, np.zeros(2)])
        shared = rows[6 + len(self.modes) : -2]
        return FrameSystem(residual, weights, rows[own].T, shared.T, gain, prior, moved)

    def align(self, frame: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> Alignment:
        """Return the pose at which one RGB frame fits the texture best, near the pose given."""
        return self._align(self._bands(frame, rotation, translation), rotation, translation)

    def _bands(self, frame: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> list[Band]:
        """Return the bands of the part of an RGB frame that shows the surface at about this pose."""
        pixels = project_camera(self.points @ rotation.T + translation, self.intrinsics)
        margin = _MARGIN_AT_512 * self._scale
        size = np.array(frame.shape[1::-1])
        low = np.clip(pixels.min(axis=0) - margin, 0, size - 8).astype(int)
        high = np.clip(pixels.max(axis=0) + margin, low + 8, size).astype(int)
        gray = cv2.cvtColor(frame[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY).astype(np.float32)
        return [Band(self._band(gray, *sigmas), low) for sigmas in _BANDS_AT_512]

    def _band(self, gray: np.ndarray, fine: float, coarse: float) -> np.ndarray:
        value = cv2.GaussianBlur(gray, (0, 0), fine * self._scale) - fast_blur(gray, coarse * self._scale)
        dx = cv2.Sobel(value, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        dy = cv2.Sobel(value, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        return cv2.merge([value, dx, dy])

    def _sample(self, band: Band, camera: np.ndarray) -> np.ndarray:
        """Return value and gradients [3,N] at the projections of ``camera`` [N,3]."""
        pixels = project_camera(camera, self.intrinsics) - band.corner - 0.5  # a pixel's centre lies at +.5
        where = pixels.astype(np.float32)[None]
        sampled = cv2.remap(band.picture, where, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return sampled[0].T.astype(np.float64)

    def _mean_textures(self, bands: list[list[Band]], found: list[Alignment]) -> list[np.ndarray]:
        return [self._mean_texture(bands, found, level) for level in range(len(_BANDS_AT_512))]

    def _mean_texture(self, bands: list[list[Band]], found: list[Alignment], level: int) -> np.ndarray:
        rows = []
        for band, one in zip(bands, found, strict=True):
            surface = self.points + np.tensordot(one.expression, self.modes, 1)
            values = self._sample(band[level], surface @ one.rotation.T + one.translation)[0]
            rows.append((values - values.mean()) / max(float(values.std()), 1e-6))
        return np.median(rows, axis=0)

    def _unmoved(self, rotation: np.ndarray, translation: np.ndarray, correlation: float) -> Alignment:
        """Return the pose given, as sure as landmarks are."""
        information = self._prior(rotation, translation)[:6, :6]
        return Alignment(rotation, translation, information, np.zeros(len(self.modes)), correlation)

    def _align_given(self, item: tuple[list[Band], Alignment]) -> Alignment:
        bands, given = item
        return self._align(bands, given.rotation, given.translation)

    def _align(self, bands: list[Band], rotation: np.ndarray, translation: np.ndarray) -> Alignment:
        prior = self._prior(rotation, translation)
        moved = np.zeros(len(prior))
        information, correlation = prior, 0.0
        for level, (band, iterations) in enumerate(zip(bands, _ITERATIONS, strict=True)):
            part = slice(None, None, _STRIDES[level])
            points, texture = self.points[part], self._textures[level][part]
            by_axis = self._modes_by_axis[level]
            for _ in range(iterations):
                turn = matrix_from_vector(moved[:3]) @ rotation
                surface = points + np.tensordot(moved[6:], by_axis, (0, 1)).T
                sample, rows = self._rows(band, texture, surface, turn, translation + moved[3:6], by_axis)
                step, information, correlation = self._step(sample, texture, rows, prior, moved, -translation[2])
                moved = moved + step
        if not correlation >= _MIN_CORRELATION:  # no number either
            return self._unmoved(rotation, translation, correlation)
        turn = matrix_from_vector(moved[:3]) @ rotation
        return Alignment(turn, translation + moved[3:6], information, moved[6:], correlation)

    def _prior(self, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Return what is believed before looking, as information [6+K,6+K].

        The pose given is that of some points seen with an error of a pixel or so; modes have unit variance.
        """
        turned = self.points[::25] @ rotation.T
        rows = pose_jacobian(turned + translation, turned, self.intrinsics.focal).reshape(-1, 6)
        prior = np.eye(6 + len(self.modes))
        prior[:6, :6] = rows.T @ rows * (_PRIOR_POINTS / (len(rows) / 2) / (_PRIOR_PX_AT_512 * self._scale) ** 2)
        return prior

    def _rows(
        self,
        band: Band,
        texture: np.ndarray,
        surface: np.ndarray,
        turn: np.ndarray,
        translation: np.ndarray,
        modes: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the values [N] seen and their derivatives [6+K+2,N] by pose, modes [3,K,N], gain and level."""
        turned = surface @ turn.T
        camera = turned + translation
        sample = self._sample(band, camera)
        by_point = gradient_by_point(sample[1:], camera, self.intrinsics.focal)
        rows = np.empty((6 + modes.shape[1] + 2, len(camera)))
        rows[:6] = gradient_by_pose(by_point, turned)
        x, y, z = turn.T @ by_point
        rows[6:-2] = modes[0] * x
        rows[6:-2] += modes[1] * y
        rows[6:-2] += modes[2] * z
        rows[-2], rows[-1] = -texture, 1.0
        return sample[0], rows

    def _step(
        self,
        value: np.ndarray,
        texture: np.ndarray,
        rows: np.ndarray,
        prior: np.ndarray,
        moved: np.ndarray,
        distance: float,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return a Gauss-Newton step [6+K], the information [6,6] of the pose after it, and the correlation before."""
        residual, weights, gain = self._compared(value, texture, distance)
        weighted = rows * weights
        normal = weighted @ rows.T
        normal[:-2, :-2] += prior
        right = -weighted @ residual
        right[:-2] -= prior @ moved
        free = normal[:6, :6] - normal[:6, 6:] @ np.linalg.solve(normal[6:, 6:], normal[6:, :6])
        correlation = gain * float(np.linalg.norm(texture)) / max(float(np.linalg.norm(value)), 1e-6)
        return np.linalg.solve(normal, right)[:-2], free, correlation

    def _compared(
        self, value: np.ndarray, texture: np.ndarray, distance: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return what remains [N] of the values beside the texture, robust weights [N], and the texture's gain."""
        gain = float(value @ texture / (texture @ texture))
        residual = value - gain * texture
        residual -= np.median(residual)
        spread = 1.4826 * float(np.median(np.abs(residual))) + 1e-6
        apart_px = _SPACING_M * self.intrinsics.focal / distance
        independent = min(1.0, (apart_px / (_BLUR_AT_512 * self._scale)) ** 2)  # closer neighbours say the same
        return residual, independent / (spread * (1 + (residual / (2 * spread)) ** 2)) ** 2, gain


def _by_axis(modes: np.ndarray) -> np.ndarray:
    """Return displacements [K,N,3] as [3,K,N], whose rows are read one after the other."""
    return np.ascontiguousarray(np.moveaxis(modes, -1, 0))


def joined(alignments: Sequence[Alignment], valid: np.ndarray) -> tuple[Poses, np.ndarray]:
    """Return the poses of all frames and their information [T,6,6]; frames not ``valid`` [T] carry next to none."""
    poses = Poses(np.stack([one.rotation for one in alignments]), np.stack([one.translation for one in alignments]))
    information = np.stack([one.information for one in alignments])
    information[~valid] = 1e-4 * np.median(information, axis=0)
    return poses, information


def fast_blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Return a wide Gaussian blur, computed on a picture of a quarter of the size."""
    height, width = picture.shape
    small = cv2.resize(picture, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (width, height), interpolation=cv2.INTER_LINEAR)


def surface_points(shape: np.ndarray) -> np.ndarray:
    """Return points [N,3] spread over the still part of the face: forehead to nose and cheek bones, without the eyes.

    Args:
        shape: The mean mesh in head coordinates, [478,3], metres.
    """
    mesh = shape[:468]
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    low[1] = shape[SUBNASALE, 1]
    axes = [np.arange(a + _SPACING_M / 2, b, _SPACING_M) for a, b in zip(low, high, strict=True)]
    xy = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    oval = shape[FACE_OVAL, :2]
    inner = (0.94 * (oval - oval.mean(axis=0)) + oval.mean(axis=0)).astype(np.float32)
    keep = np.array([cv2.pointPolygonTest(inner, (float(x), float(y)), False) >= 0 for x, y in xy])
    for eye in (LEFT_EYE, RIGHT_EYE):
        middle = shape[eye, :2].mean(axis=0)
        half_width = 0.5 * np.linalg.norm(shape[eye[0], :2] - shape[eye[8], :2])
        keep &= (((xy - middle) / (half_width * np.array([1.15, 0.8]))) ** 2).sum(axis=1) > 1
    xy = xy[keep]
    depth = LinearNDInterpolator(mesh[:, :2], mesh[:, 2])(xy)
    points = np.column_stack([xy, depth])
    return points[np.isfinite(depth)]
