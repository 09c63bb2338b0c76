"""Losses of pictures: against scikit-image, and what they are for."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.nn import functional as F

from modules.losses.image import mse, structural_difference


def patches(seed: int, side: int = 17) -> torch.Tensor:
    return torch.rand(3, side, side, 3, generator=torch.Generator().manual_seed(seed))


def test_structural_difference_is_what_scikit_image_says() -> None:
    a, b = patches(0), 0.7 * patches(0) + 0.3 * patches(1)
    expected = []
    for x, y in zip(a.numpy(), b.numpy(), strict=True):
        _, similar = structural_similarity(
            x, y, data_range=1.0, channel_axis=-1, gaussian_weights=True, use_sample_covariance=False, full=True
        )
        expected.append(similar[5:-5, 5:-5].mean())
    assert float(structural_difference(a, b)) == pytest.approx(1 - np.mean(expected), abs=1e-5)


def test_equal_patches_do_not_differ() -> None:
    assert float(structural_difference(patches(2), patches(2))) == pytest.approx(0, abs=1e-6)


def test_a_blurred_edge_costs_more_than_a_shade_of_equal_error() -> None:
    edge = torch.zeros(1, 17, 17, 3)
    edge[:, 8:] = 1
    blurred = F.avg_pool2d(edge.permute(0, 3, 1, 2), 5, 1, 2, count_include_pad=False).permute(0, 2, 3, 1)
    shaded = (edge - 0.5) * (1 - 2 * mse(blurred, edge).sqrt()) + 0.5
    assert float(mse(shaded, edge)) == pytest.approx(float(mse(blurred, edge)), rel=1e-3)
    assert structural_difference(blurred, edge) > 1.5 * structural_difference(shaded, edge)


def test_gradients_flow_into_the_prediction() -> None:
    predicted = patches(3).requires_grad_()
    structural_difference(predicted, patches(4)).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().sum() > 0
