"""MediaPipe's selfie segmentation, sharpened by the picture, for the person; jaw line and hair colors for the head."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import cv2
import numpy as np

from modules.face.head_region import HairColors, above_jaw, parted
from modules.face.mediapipe_graph import QuietGraph
from utils.commons.schema import ConfigError

_WORK_SIZE = 256
_COLOR_SIZE = 128
_RADIUS, _EPSILON = 4, 1e-3
_STEEPNESS = (0.1, 0.9)


class MediapipeSegmenter:
    """Knows nothing of other frames but the hair colors learnt, so frames may be segmented in any order."""

    def __init__(self, weights: str = "") -> None:
        if weights:
            raise ConfigError("segmenter 'mediapipe' brings its own weights; segmenter_weights is for 'bisenet'")
        self.hair_colors = HairColors()
        self._networks = threading.local()  # one for each thread: MediaPipe's graphs cannot be shared

    def learn(self, frames: Iterable[np.ndarray], points: np.ndarray) -> None:
        """Learn the colors of hair, neck and clothes from a few frames spread over the clip."""
        small, meshes, persons = [], [], []
        for frame, mesh in zip(frames, points, strict=True):
            small.append(_resized(frame, _COLOR_SIZE))
            meshes.append(_scaled(mesh, frame, _COLOR_SIZE))
            persons.append(_resized(self.person(frame), _COLOR_SIZE))
        self.hair_colors.learn(small, meshes, persons)

    def person(self, frame: np.ndarray) -> np.ndarray:
        """Return the probability of a person at the network's own size, f32 [256,256]."""
        if not hasattr(self._networks, "segmentation"):
            import mediapipe as mp  # heavy

            solution = mp.solutions.selfie_segmentation.SelfieSegmentation
            self._networks.segmentation = QuietGraph(solution, model_selection=0)
        mask = self._networks.segmentation.process(_resized(frame, _WORK_SIZE)).segmentation_mask
        return np.asarray(mask, np.float32)

    def masks(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return alpha of head and of torso, uint8 [H,W,2], of one RGB frame."""
        guide = Guide(frame)
        person = steepen(guide.sharpen(self.person(frame)))
        above = above_jaw(points, *frame.shape[:2])
        small_mesh, small_person = _scaled(points, frame, _COLOR_SIZE), _resized(person, _COLOR_SIZE)
        hair = self.hair_colors.hanging(_resized(frame, _COLOR_SIZE), small_mesh, small_person)
        if hair.any():
            above = np.maximum(above, steepen(guide.sharpen(hair)))
        return parted(person, above)


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)


def _scaled(mesh: np.ndarray, frame: np.ndarray, size: int) -> np.ndarray:
    scaled: np.ndarray = mesh[:, :2] * np.array([size / frame.shape[1], size / frame.shape[0]])
    return scaled


class Guide:
    """Moves borders of masks to edges of one RGB frame: a guided filter fitted at the working size."""

    def __init__(self, frame: np.ndarray) -> None:
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
        self.full = lab.astype(np.float32)
        self.full *= 1 / 255
        self.small = _resized(self.full, _WORK_SIZE)

    def sharpen(self, mask: np.ndarray) -> np.ndarray:
        """Return ``mask`` at the size of the frame, f32 in [0,1]."""
        size = self.full.shape[1::-1]
        mask = cv2.resize(mask, (_WORK_SIZE, _WORK_SIZE), interpolation=cv2.INTER_LINEAR)
        slope, offset = guided_models(self.small, mask, _RADIUS, _EPSILON)
        slope = cv2.resize(slope, size, interpolation=cv2.INTER_LINEAR)
        sharp: np.ndarray = cv2.transform(cv2.multiply(slope, self.full, dst=slope), np.ones((1, 3)))
        sharp += cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
        return np.clip(sharp, 0.0, 1.0, out=sharp)


def guided_models(guide: np.ndarray, mask: np.ndarray, radius: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slope [H,W,3] and offset [H,W] of the locally linear models mask = slope . guide + offset."""

    def box(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))

    planes = cv2.split(guide)  # single planes: half the time of strided channels
    means, mean_mask = [box(plane) for plane in planes], box(mask)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    aa, ab, ac, bb, bc, cc = (box(planes[i] * planes[j]) - means[i] * means[j] for i, j in pairs)
    aa, bb, cc = aa + epsilon, bb + epsilon, cc + epsilon
    x, y, z = (box(plane * mask) - mean * mean_mask for plane, mean in zip(planes, means, strict=True))
    inverse = [bb * cc - bc * bc, bc * ac - ab * cc, ab * bc - bb * ac]  # of the symmetric 3x3 covariance, by cofactors
    inverse += [aa * cc - ac * ac, ac * ab - aa * bc, aa * bb - ab * ab]
    scale = 1 / (aa * inverse[0] + ab * inverse[1] + ac * inverse[2])
    rows = ((0, 1, 2), (1, 3, 4), (2, 4, 5))
    slopes = [scale * (inverse[i] * x + inverse[j] * y + inverse[k] * z) for i, j, k in rows]
    offset = mean_mask - sum(slope * mean for slope, mean in zip(slopes, means, strict=True))
    return box(cv2.merge(slopes)), box(offset)


def steepen(mask: np.ndarray) -> np.ndarray:
    """Return the mask with faint values cut to 0 and strong ones to 1, smoothly in between."""
    low, high = _STEEPNESS
    share = np.clip((mask - low) / (high - low), 0.0, 1.0)
    smooth: np.ndarray = share * share * (3 - 2 * share)
    return smooth
