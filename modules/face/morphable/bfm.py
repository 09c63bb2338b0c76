"""Face models behind a registration, from a folder the user names: Deep3DFaceRecon's and Basel's own file.

Units are the files' own (decimetres for the first, micrometres for the second); ``scale`` turns them into metres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modules.face.morphable.model import Embedding, MorphableModel
from utils.commons.schema import DataError

DEEP3D_FILE, BASEL_FILE = "BFM_model_front.mat", "01_MorphableModel.mat"
_DECIMETRES, _MICROMETRES = 0.1, 1e-6
_NEEDED = {
    DEEP3D_FILE: ("meanshape", "idBase", "exBase", "keypoints"),
    BASEL_FILE: ("shapeMU", "shapePC", "shapeEV"),
}


def load_bfm(folder: Path) -> MorphableModel:
    """Return the model of ``BFM_model_front.mat`` (Deep3DFaceRecon) or ``01_MorphableModel.mat`` (BFM 2009).

    Keypoints are taken as they stand in the file, though they count from one (specification 2.8): models trained on
    such landmarks expect it. BFM 2009 has neither expressions nor keypoints of its own.

    Raises:
        FileNotFoundError: Neither file is there.
        DataError: The file lacks an array or its sizes do not go together.
    """
    for name, build in ((DEEP3D_FILE, _deep3d), (BASEL_FILE, _basel)):
        path = Path(folder) / name
        if path.exists():
            return build(_read(path))
    raise FileNotFoundError(f"neither {DEEP3D_FILE} nor {BASEL_FILE} in {folder}; copy one of them there")


def idexp_landmarks(model: MorphableModel, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Return ``idexp_lm3d`` [T,68,3] of specification 2.8: ten times the displacement from the mean, in decimetres.

    Args:
        model: From :func:`load_bfm`, with keypoints.
        identity: Coefficients, [T,K] or [K].
        expression: Coefficients, [T,E].
    """
    riding = model.restricted("keypoints68")
    moved = np.tensordot(identity, riding.identity_basis, 1) + np.tensordot(expression, riding.expression_basis, 1)
    landmarks: np.ndarray = (10 / _DECIMETRES * moved).astype(np.float32)
    return landmarks


def _read(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        content: dict[str, np.ndarray] = loadmat(path)
    except (ValueError, TypeError, NotImplementedError) as error:  # the last for HDF5 files, MATLAB's format since 7.3
        raise DataError(f"{path} is not a MATLAB file that can be read ({error}); download it again") from error
    missing = [name for name in _NEEDED[path.name] if name not in content]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; is it the file of the original release?")
    return content


def _deep3d(content: dict[str, np.ndarray]) -> MorphableModel:
    mean = np.asarray(content["meanshape"], np.float32).reshape(-1, 3)
    keypoints = np.asarray(content["keypoints"], np.int64).ravel()
    if len(keypoints) != 68 or keypoints.max() >= len(mean):
        raise DataError(f"keypoints must be 68 numbers below {len(mean)}, got {len(keypoints)} up to {keypoints.max()}")
    return MorphableModel(
        mean=mean * _DECIMETRES,
        identity_basis=_basis(content["idBase"], len(mean)) * _DECIMETRES,
        expression_basis=_basis(content["exBase"], len(mean)) * _DECIMETRES,
        expression_names=tuple(f"exp{i}" for i in range(content["exBase"].shape[1])),
        expression_range=(-3.0, 3.0),
        faces=_faces(content.get("tri")),
        embeddings={"keypoints68": Embedding.of_vertices(keypoints)},
    )


def _basel(content: dict[str, np.ndarray]) -> MorphableModel:
    mean = np.asarray(content["shapeMU"], np.float32).reshape(-1, 3)
    spread = np.asarray(content["shapeEV"], np.float32).reshape(-1, 1, 1)
    return MorphableModel(
        mean=mean * _MICROMETRES,
        identity_basis=_basis(content["shapePC"], len(mean)) * spread * _MICROMETRES,
        expression_basis=np.zeros((0, len(mean), 3), np.float32),
        expression_names=(),
        expression_range=(-3.0, 3.0),
        faces=_faces(content.get("tl")),
    )


def _basis(columns: np.ndarray, num_vertices: int) -> np.ndarray:
    """Return columns [3V,K] of a file as a basis [K,V,3]."""
    if columns.shape[0] != 3 * num_vertices:
        raise DataError(f"a basis has {columns.shape[0]} rows for {num_vertices} vertices; three a vertex are needed")
    return np.ascontiguousarray(columns.T, np.float32).reshape(-1, num_vertices, 3)


def _faces(table: np.ndarray | None) -> np.ndarray:
    """Return triangles [F,3] counted from zero of a table counted from one."""
    return np.zeros((0, 3), np.int64) if table is None else np.asarray(table, np.int64).reshape(-1, 3) - 1
