from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from modules.face.segmenters.base import build_segmenter
from modules.face.segmenters.bisenet import HEAD_CLASSES, TORSO_CLASSES, BisenetSegmenter, load_bisenet
from modules.face.segmenters.bisenet_network import BiSeNet
from utils.commons.schema import ConfigError, DataError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "79999_iter.pth"
    torch.save(BiSeNet().state_dict(), path)
    return path


def test_the_weight_file_has_the_names_and_sizes_of_the_public_one() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in BiSeNet().state_dict().items()}
    assert shapes["cp.resnet.conv1.weight"] == (64, 3, 7, 7)
    assert shapes["cp.resnet.layer4.0.downsample.0.weight"] == (512, 256, 1, 1)
    assert shapes["cp.arm32.conv_atten.weight"] == (128, 128, 1, 1)
    assert shapes["cp.conv_avg.conv.weight"] == (128, 512, 1, 1)
    assert shapes["ffm.convblk.conv.weight"] == (256, 256, 1, 1)
    assert shapes["conv_out.conv_out.weight"] == (19, 256, 1, 1)
    assert shapes["conv_out16.conv.bn.running_mean"] == (64,)
    trained = [name for name in shapes if name.endswith(("weight", "bias"))]
    assert sum(int(np.prod(shapes[name])) for name in trained) == 13_300_416


def test_classes_are_shared_out_as_head_torso_and_background() -> None:
    assert sorted((*HEAD_CLASSES, *TORSO_CLASSES)) == list(range(1, 19))


def test_masks_follow_the_scores(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = BisenetSegmenter(str(weights))
    scores = torch.full((1, 19, 512, 512), -20.0)
    scores[:, 0] = 0
    scores[:, 17, 60:200, 150:350] = 20  # hair
    scores[:, 1, 200:330, 150:350] = 20  # skin
    scores[:, 14, 330:400, 200:300] = 20  # neck
    scores[:, 16, 400:, 60:450] = 20  # cloth
    monkeypatch.setattr(segmenter.network, "forward", lambda picture: scores)
    frame = np.full((256, 256, 3), 90, np.uint8)
    frame[30:165, 75:175] = 200
    frame[165:] = 30
    masks = segmenter.masks(frame, np.zeros((478, 3)))
    assert masks[60, 125].tolist() == [255, 0]
    assert masks[130, 125].tolist() == [255, 0]
    assert masks[180, 125].tolist() == [0, 255]
    assert masks[240, 60].tolist() == [0, 255]
    assert masks[60, 20].tolist() == [0, 0]


def test_a_random_network_gives_masks_that_never_exceed_one(weights: Path) -> None:
    segmenter = build_segmenter("bisenet", str(weights))
    frame = np.random.default_rng(0).integers(0, 255, (128, 96, 3), np.uint8)
    masks = segmenter.masks(frame, np.zeros((478, 3)))
    assert masks.shape == (128, 96, 2)
    assert masks.sum(axis=-1, dtype=int).max() <= 255


def test_missing_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set segmenter_weights"):
        build_segmenter("bisenet")
    with pytest.raises(ConfigError, match="brings its own weights"):
        build_segmenter("mediapipe", "x.pth")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load_bisenet(tmp_path / "none.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="not BiSeNet with 19 classes"):
        load_bisenet(tmp_path / "other.pth")
