"""Poses refined by all that is seen of the head: hair, ears, cheeks and jaw beside the still part of the face.

A face is nearly flat; ears and hair lie a hand's breadth behind it, and only together do they tell turns from shifts. A
picture in front of the head (x, y) gets a depth z where its colors agree best over some frames (a plane sweep), and
gray values linear in the expression; each frame is then aligned to what is expected of it. Places that follow the
background better than the head drop out, so no mask is needed. Notation: n frames, N places, C expression codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np

from modules.face.landmarks68 import CHIN, FACE_OVAL
from modules.face.photometric import Alignment, fast_blur
from modules.face.pose_solver import gradient_by_point, gradient_by_pose, project_camera
from utils.commons.threads import ordered_map
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import matrix_from_vector, mean_rotation

_SPACING_M = 0.0025
_BAND_AT_512 = (1.2, 10.0)
_DEPTHS_M = np.linspace(-0.13, 0.05, 19)
"""Planes tried, from the middle of the landmarks, towards the viewer."""
_SIDEWAYS, _UPWARDS = 1.25, 1.3
"""How far the picture reaches beyond the oval of the face."""
_WINDOW = 9
"""Places over which agreement is averaged."""
_CODES, _RIDGE = 12, 0.02
_ROUNDS, _ITERATIONS = 3, 3
_INDEPENDENT = 0.15
"""Neighbouring places err together: so much of an independent one is each."""
_LEAST_NOISE = 0.3
"""Gray values."""
_LEAST_SPREAD = 0.1
"""No frame is believed to err by less than this share of the usual noise."""
_CLEARLY = 0.95
"""A place follows the head if it agrees by so much better with it than with the background."""
_FEWEST_PLACES, _FEWEST_FRAMES = 300, 8
_LEAST_CORRELATION = 0.6


def expression_codes(lm3d: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return a constant and the main components of landmarks [T,68,3] without pose, first variance 1, [T,1+C]."""
    flat = np.asarray(lm3d, np.float64).reshape(len(lm3d), -1)
    apart = flat - flat[valid].mean(axis=0)
    _, sizes, components = np.linalg.svd(apart[valid], full_matrices=False)
    scale = max(float(sizes[0]) / np.sqrt(valid.sum()), 1e-9)
    return np.column_stack([np.ones(len(flat)), apart @ components[:_CODES].T / scale])


class HeadAppearance:
    """Knows, after :meth:`learn`, depth and looks of a head; :meth:`align` may be called from several threads."""

    def __init__(self, shape: np.ndarray, intrinsics: Intrinsics) -> None:
        self.intrinsics = intrinsics
        self._scale = intrinsics.height / 512
        self._shape = shape
        self._points = np.zeros((0, 3))
        self._looks = np.zeros((0, 0))
        self._noise = np.zeros(0)

    def learn(
        self, frames: Iterable[np.ndarray], found: list[Alignment], codes: np.ndarray, *, threads: int = 1
    ) -> None:
        """Find depth and looks from some RGB frames, their poses and expression codes [n,1+C].

        Frames that did not look like the face are left out; where few remain, nothing is learnt.
        """
        good = [index for index, one in enumerate(found) if one.correlation >= _LEAST_CORRELATION]
        pictures = [
            self._band(frame) for index, frame in enumerate(frames) if found[index].correlation >= _LEAST_CORRELATION
        ]
        found, codes = [found[index] for index in good], codes[good]
        if len(good) < _FEWEST_FRAMES:
            return
        for _ in range(_ROUNDS):
            self._sweep(pictures, found, codes, threads)
            found = list(ordered_map(self._align_one, zip(pictures, found, codes, strict=True), threads))
        self._sweep(pictures, found, codes, threads)

    def align(self, frame: np.ndarray, found: Alignment, code: np.ndarray) -> Alignment:
        """Return the pose of an RGB frame at which it looks most as expected, near the pose found before.

        Where a frame does not look like the head, or the head never moves before its background, that pose stays.
        """
        return self._align(self._band(frame), found, code)

    def _band(self, frame: np.ndarray) -> np.ndarray:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine, coarse = _BAND_AT_512
        band: np.ndarray = cv2.GaussianBlur(gray, (0, 0), max(0.5, fine * self._scale))
        return band - fast_blur(gray, coarse * self._scale)

    def _places(self, found: list[Alignment]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a grid [h,w,2] of places before the face as it is mostly turned, the mask [h,w] of those in reach, and
        that turn."""
        turn = mean_rotation(np.stack([one.rotation for one in found]))
        shape = self._shape @ turn.T
        oval = shape[FACE_OVAL, :2]
        middle = oval.mean(axis=0)
        reach = (oval - middle) * [_SIDEWAYS, 1.0]
        reach[:, 1] *= np.where(reach[:, 1] > 0, _UPWARDS, 1.0)
        low, high = reach.min(axis=0), reach.max(axis=0)
        axes = [np.arange(a, b, _SPACING_M) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes), axis=-1)
        corners = np.round((reach - low) / _SPACING_M).astype(np.int32)
        hull = np.asarray(cv2.convexHull(corners))
        inside = np.asarray(cv2.fillConvexPoly(np.zeros(grid.shape[:2], np.uint8), hull, (1,))) > 0
        return grid + middle, inside, turn

    def _sweep(self, pictures: list[np.ndarray], found: list[Alignment], codes: np.ndarray, threads: int) -> None:
        """Set the places' depths, looks and noise from frames whose poses are about right."""
        grid, inside, turn = self._places(found)
        flat = grid[inside]
        ridge = _RIDGE * len(codes) * np.diag(np.r_[1e-9, np.ones(codes.shape[1] - 1)])
        fitting = np.linalg.solve(codes.T @ codes + ridge, codes.T)
        middle = float((self._shape @ turn.T)[[CHIN, *FACE_OVAL], 2].mean()) + 0.04
        depths = middle + _DEPTHS_M
        still = replace(found[0], rotation=turn, translation=np.mean([one.translation for one in found], axis=0))

        def cost_at(depth: float) -> np.ndarray:
            points = np.column_stack([flat, np.full(len(flat), depth)]) @ turn
            return _averaged(self._rest(pictures, found, points, codes, fitting), inside)

        cost = np.stack(list(ordered_map(cost_at, depths, threads)))
        depth = _smoothed(_lowest(depths, cost), inside)
        points = np.column_stack([flat, depth]) @ turn
        unmoved = _averaged(self._rest(pictures, [still] * len(found), points, codes, fitting), inside)
        follows = cost.min(axis=0) + _LEAST_NOISE**2 < _CLEARLY * unmoved
        self._points = points[follows]
        if len(self._points) < _FEWEST_PLACES:
            return
        values = self._values(pictures, found, self._points)
        self._looks = fitting @ values
        rest = values - codes @ self._looks
        self._noise = 1.4826 * np.median(np.abs(rest), axis=0) + _LEAST_NOISE

    def _values(self, pictures: list[np.ndarray], found: list[Alignment], points: np.ndarray) -> np.ndarray:
        """Return what is seen at points [N,3] in every frame, [n,N]."""
        return np.stack(
            [
                self._sample(picture, points @ one.rotation.T + one.translation)
                for picture, one in zip(pictures, found, strict=True)
            ]
        )

    def _rest(
        self, pictures: list[np.ndarray], found: list[Alignment], points: np.ndarray, codes: np.ndarray, fit: np.ndarray
    ) -> np.ndarray:
        """Return the mean square [N] over the frames of what expressions leave unexplained."""
        values = self._values(pictures, found, points)
        rest: np.ndarray = ((values - codes @ (fit @ values)) ** 2).mean(axis=0)
        return rest

    def _sample(self, picture: np.ndarray, camera: np.ndarray) -> np.ndarray:
        where = (project_camera(camera, self.intrinsics) - 0.5).astype(np.float32)[None]
        return cv2.remap(picture, where, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)[0]

    def _align_one(self, item: tuple[np.ndarray, Alignment, np.ndarray]) -> Alignment:
        return self._align(*item)

    def _align(self, picture: np.ndarray, given: Alignment, code: np.ndarray) -> Alignment:
        if len(self._points) < _FEWEST_PLACES or given.correlation < _LEAST_CORRELATION:
            return given
        dx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        dy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        planes = cv2.merge([picture, dx, dy])
        expected = code @ self._looks
        moved, information, correlation = np.zeros(6), given.information, 0.0
        for _ in range(_ITERATIONS):
            turned = self._points @ (matrix_from_vector(moved[:3]) @ given.rotation).T
            camera = turned + given.translation + moved[3:]
            sample = self._sample(planes, camera).T.astype(np.float64)
            rows = gradient_by_pose(gradient_by_point(sample[1:], camera, self.intrinsics.focal), turned)
            correlation = self._correlation(sample[0], expected)
            step, information = self._step(sample[0], expected, rows, given.information, moved)
            moved = moved + step
        if not correlation >= _LEAST_CORRELATION:  # no number either
            return given
        turn = matrix_from_vector(moved[:3]) @ given.rotation
        return replace(given, rotation=turn, translation=given.translation + moved[3:], information=information)

    def _correlation(self, value: np.ndarray, expected: np.ndarray) -> float:
        seen, looks = value / self._noise, expected / self._noise
        return float(seen @ looks / max(float(np.linalg.norm(seen) * np.linalg.norm(looks)), 1e-9))

    def _step(
        self, value: np.ndarray, expected: np.ndarray, by_pose: np.ndarray, prior: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a Gauss-Newton step [6] and the pose's information [6,6] after it."""
        trusted = expected / self._noise**2
        gain = float(value @ trusted / (expected @ trusted))
        residual = value - gain * expected
        apart = (residual - np.median(residual)) / self._noise
        spread = max(1.4826 * float(np.median(np.abs(apart))), _LEAST_SPREAD)
        weights = _INDEPENDENT / (self._noise * spread * (1 + (apart / (2 * spread)) ** 2)) ** 2
        rows = np.concatenate([by_pose, -expected[None], np.ones((1, len(value)))])
        weighted = rows * weights
        normal = weighted @ rows.T
        normal[:6, :6] += prior
        right = -weighted @ (apart * self._noise)
        right[:6] -= prior @ moved
        free = normal[:6, :6] - normal[:6, 6:] @ np.linalg.solve(normal[6:, 6:], normal[6:, :6])
        return np.linalg.solve(normal, right)[:6], free


def _averaged(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return values [N] of the places ``inside`` a grid [h,w], each averaged with its neighbours inside."""
    picture = np.zeros(inside.shape)
    picture[inside] = values
    total, count = (cv2.boxFilter(one, -1, (_WINDOW, _WINDOW), normalize=False) for one in (picture, inside * 1.0))
    averaged: np.ndarray = (total / np.maximum(count, 1.0))[inside]
    return averaged


def _lowest(depths: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return for each place the depth of least cost [D,N], between the planes by a parabola."""
    best = np.clip(cost.argmin(axis=0), 1, len(depths) - 2)
    before, at, after = (np.take_along_axis(cost, (best + k)[None], axis=0)[0] for k in (-1, 0, 1))
    shift = 0.5 * (before - after) / np.maximum(before - 2 * at + after, 1e-9)
    found: np.ndarray = depths[best] + (depths[1] - depths[0]) * np.clip(shift, -0.5, 0.5)
    return found


def _smoothed(depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return depths [N] without outliers and steps."""
    picture = np.full(inside.shape, np.median(depth), np.float32)
    picture[inside] = depth
    smooth: np.ndarray = cv2.GaussianBlur(cv2.medianBlur(picture, 5), (0, 0), 1.5)[inside]
    return smooth.astype(np.float64)
