from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from modules.face.morphable.bfm import BASEL_FILE, DEEP3D_FILE, idexp_landmarks, load_bfm
from utils.commons.schema import DataError

VERTICES = 90


def random_file() -> dict[str, np.ndarray]:
    """The arrays of Deep3DFaceRecon's file for a small random model."""
    rng = np.random.default_rng(0)
    return {
        "meanshape": rng.standard_normal((1, 3 * VERTICES)).astype(np.float32),
        "idBase": rng.standard_normal((3 * VERTICES, 80)).astype(np.float32),
        "exBase": rng.standard_normal((3 * VERTICES, 64)).astype(np.float32),
        "keypoints": rng.permutation(VERTICES - 1)[None, :68] + 1,
        "tri": rng.integers(1, VERTICES + 1, (40, 3)),
    }


def test_landmarks_follow_the_formula_with_keypoints_taken_as_they_stand(tmp_path: Path) -> None:
    content = random_file()
    savemat(tmp_path / DEEP3D_FILE, content)
    rng = np.random.default_rng(1)
    identity, expression = rng.standard_normal((5, 80)), rng.standard_normal((5, 64))
    expected = np.empty((5, 68, 3))
    for t in range(5):
        for j, k in enumerate(content["keypoints"][0]):
            rows = slice(3 * k, 3 * k + 3)
            expected[t, j] = 10 * (content["idBase"][rows] @ identity[t] + content["exBase"][rows] @ expression[t])
    np.testing.assert_allclose(
        idexp_landmarks(load_bfm(tmp_path), identity, expression), expected, rtol=1e-4, atol=1e-3
    )


def test_a_mesh_is_in_metres_with_triangles_counted_from_zero(tmp_path: Path) -> None:
    content = random_file()
    savemat(tmp_path / DEEP3D_FILE, content)
    model = load_bfm(tmp_path)
    np.testing.assert_allclose(model.mean, 0.1 * content["meanshape"].reshape(-1, 3), rtol=1e-6)
    np.testing.assert_array_equal(model.faces, content["tri"] - 1)


def test_the_basel_file_gives_components_of_one_standard_deviation(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    mean, basis, spread = rng.standard_normal((3 * VERTICES, 1)), rng.standard_normal((3 * VERTICES, 7)), rng.random(7)
    savemat(tmp_path / BASEL_FILE, {"shapeMU": mean, "shapePC": basis, "shapeEV": spread[:, None]})
    model = load_bfm(tmp_path)
    expected = 1e-6 * (mean[:, 0] + basis @ (2 * np.eye(7)[3] * spread)).reshape(-1, 3)
    np.testing.assert_allclose(model.vertices(identity=2 * np.eye(7)[3]), expected, rtol=1e-4)


def test_an_empty_folder_and_a_broken_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither BFM_model_front.mat nor 01_MorphableModel.mat"):
        load_bfm(tmp_path)
    (tmp_path / DEEP3D_FILE).write_bytes(b"not a matrix" * 50)
    with pytest.raises(DataError, match="not a MATLAB file"):
        load_bfm(tmp_path)
    savemat(tmp_path / DEEP3D_FILE, {"meanshape": np.zeros((1, 9))})
    with pytest.raises(DataError, match="lacks idBase, exBase, keypoints"):
        load_bfm(tmp_path)


def test_keypoints_beyond_the_mesh_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / DEEP3D_FILE, random_file() | {"keypoints": np.full((1, 68), VERTICES)})
    with pytest.raises(DataError, match="68 numbers below 90"):
        load_bfm(tmp_path)
