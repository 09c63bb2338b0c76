from __future__ import annotations

import numpy as np

from modules.face.surface_fit import FrameSystem, shared_step

POINTS, OWN, SHARED = 200, 4, 3


def systems(shape: np.ndarray, noise: float = 0.0) -> list[FrameSystem]:
    """Return frames whose residuals a shared shape [3] and unknowns of each frame's own explain."""
    rng = np.random.default_rng(0)
    frames = []
    shared = rng.standard_normal((12, POINTS, SHARED))
    gains = rng.uniform(0.8, 1.2, 12)
    usual = np.mean(shared / gains[:, None, None], axis=0)
    for columns, gain in zip(shared, gains, strict=True):
        own = rng.standard_normal((POINTS, OWN))
        residual = -own @ rng.standard_normal(OWN) - (columns - gain * usual) @ shape
        residual += noise * rng.standard_normal(POINTS)
        frames.append(FrameSystem(residual, np.ones(POINTS), own, columns, gain, 1e-9 * np.eye(OWN), np.zeros(OWN)))
    return frames


def test_a_shared_shape_is_found_whatever_each_frame_has_of_its_own() -> None:
    shape = np.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(shared_step(systems(shape), 1e-9, np.zeros(SHARED)), shape, atol=1e-6)


def test_belief_holds_the_shape_near_zero() -> None:
    shape = np.array([0.5, -1.0, 2.0])
    held = shared_step(systems(shape, noise=0.1), 1e7, np.zeros(SHARED))
    assert np.abs(held).max() < 1e-2
    np.testing.assert_allclose(shared_step(systems(shape), 1e9, shape), -shape, atol=1e-2)


def test_frames_that_all_show_the_same_derivatives_say_nothing_about_the_shape() -> None:
    one = systems(np.ones(SHARED))[0]
    alike = [FrameSystem(one.residual, one.weights, one.own, one.shared, 1.0, one.prior, one.moved) for _ in range(5)]
    np.testing.assert_allclose(shared_step(alike, 1.0, np.zeros(SHARED)), 0.0, atol=1e-9)
