"""Face parsing by BiSeNet: 19 classes, from a weight file the user has (the public face parser's `79999_iter.pth`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from modules.face.head_region import parted
from modules.face.segmenters.bisenet_network import BiSeNet
from modules.face.segmenters.mediapipe import Guide, steepen
from utils.commons.checkpoint import mismatches
from utils.commons.foreign_checkpoint import read_foreign_checkpoint
from utils.commons.schema import ConfigError, DataError

HEAD_CLASSES = (*range(1, 14), 17, 18)
TORSO_CLASSES = (14, 15, 16)
_SIZE = 512
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BisenetSegmenter:
    """Every frame is parsed on its own; borders are moved to edges of the picture as MediaPipe's are."""

    def __init__(self, weights: str = "") -> None:
        if not weights:
            raise ConfigError("segmenter 'bisenet' needs its weights: set segmenter_weights=<79999_iter.pth>")
        self.network = load_bisenet(Path(weights))

    def learn(self, frames: Iterable[np.ndarray], points: np.ndarray) -> None:
        """Nothing is learnt from the clip."""

    def masks(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return alpha of head and of torso, uint8 [H,W,2], of one RGB frame."""
        shares = self._shares(frame)
        head, torso = shares[list(HEAD_CLASSES)].sum(axis=0), shares[list(TORSO_CLASSES)].sum(axis=0)
        guide = Guide(frame)
        person = steepen(guide.sharpen(head + torso))
        part = steepen(guide.sharpen(head / np.maximum(head + torso, 1e-6)))
        return parted(person, part)

    def _shares(self, frame: np.ndarray) -> np.ndarray:
        """Return the probability of each class, f32 [19,512,512]."""
        picture = cv2.resize(frame, (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        picture = (picture - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
        with torch.inference_mode():
            scores = self.network(torch.from_numpy(picture.transpose(2, 0, 1).copy())[None])
            shares: np.ndarray = scores[0].softmax(dim=0).numpy()
        return shares


def load_bisenet(path: Path) -> BiSeNet:
    """Return the network with the weights of a file, ready to use.

    Raises:
        FileNotFoundError: No such file.
        DataError: The file holds something else.
    """
    if not path.exists():
        raise FileNotFoundError(f"no weights at {path}; set segmenter_weights to the file of the face parser")
    tensors = read_foreign_checkpoint(path, path.name)
    network = BiSeNet()
    own = network.state_dict()
    counters = {name: own[name] for name in own if name.endswith("num_batches_tracked")}  # old files lack them
    tensors = counters | tensors
    problems = mismatches(own, tensors)
    if problems:
        raise DataError(f"{path.name} is not BiSeNet with 19 classes ({problems}); give the public face parser's file")
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)
