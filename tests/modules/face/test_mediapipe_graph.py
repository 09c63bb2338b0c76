from __future__ import annotations

import cv2
import mediapipe as mp
import numpy as np
import pytest

from modules.face.mediapipe_graph import QuietGraph
from utils.data.paths import CODE_ROOT


def test_a_graph_starts_and_starts_anew_without_chatter(capfd: pytest.CaptureFixture[str]) -> None:
    picture = cv2.imread(str(CODE_ROOT / "docs" / "images" / "demo.jpg"))[:, :, ::-1]
    face = np.ascontiguousarray(picture[: picture.shape[0], : picture.shape[0]])
    with QuietGraph(mp.solutions.face_mesh.FaceMesh, static_image_mode=False, refine_landmarks=True) as mesh:
        for _ in range(3):
            assert mesh.process(face).multi_face_landmarks, "the subject's face is seen"
            mesh.reset()
        assert mesh.process(face).multi_face_landmarks
    assert "inference_feedback_manager" not in capfd.readouterr().err
