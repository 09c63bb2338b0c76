"""Picture figures against closed forms."""

import numpy as np
import pytest

from utils.metrics.image import mask_box, psnr, psnr_box, psnr_head, ssim


def test_psnr_of_a_constant_error_has_its_closed_form() -> None:
    true = np.full((8, 6, 3), 0.5)
    assert psnr(true + 0.1, true) == pytest.approx(20)
    assert psnr(true + 0.01, true) == pytest.approx(40)


def test_psnr_reads_bytes_as_unit_colors() -> None:
    true = np.zeros((4, 4, 3), np.uint8)
    assert psnr(true + np.uint8(51), true) == pytest.approx(-20 * np.log10(0.2))


def test_equal_pictures_score_a_finite_hundred() -> None:
    assert psnr(np.ones((4, 4, 3)), np.ones((4, 4, 3))) == pytest.approx(100)


def test_head_psnr_is_not_flattered_by_a_perfect_background() -> None:
    true, alpha = np.zeros((20, 20, 3)), np.zeros((20, 20), np.uint8)
    alpha[5:15, 4:14] = 255
    wrong = true.copy()
    wrong[5:15, 4:14] = 0.1
    assert mask_box(alpha) == (4, 5, 10, 10)
    assert psnr_head(wrong, true, alpha) == pytest.approx(20)
    assert psnr(wrong, true) == pytest.approx(20 + 10 * np.log10(4))


def test_a_box_is_cut_at_the_picture_border_and_an_empty_one_is_nan() -> None:
    true = np.zeros((10, 10, 3))
    wrong = true.copy()
    wrong[8:, 8:] = 0.1
    assert psnr_box(wrong, true, (8, 8, 50, 50)) == pytest.approx(20)
    assert np.isnan(psnr_box(wrong, true, (30, 0, 5, 5)))
    assert np.isnan(psnr_head(wrong, true, np.zeros((10, 10), np.uint8)))


def test_ssim_is_one_for_equal_and_falls_with_noise() -> None:
    rng = np.random.default_rng(0)
    true = rng.random((32, 32, 3))
    assert ssim(true, true) == pytest.approx(1)
    little, much = (ssim(np.clip(true + s * rng.standard_normal(true.shape), 0, 1), true) for s in (0.05, 0.3))
    assert much < little < 1


def test_ssim_of_two_flat_pictures_has_its_closed_form() -> None:
    a, b, c1 = 0.2, 0.6, 0.01**2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(np.full((32, 32, 3), a), np.full((32, 32, 3), b)) == pytest.approx(expected, abs=1e-6)
