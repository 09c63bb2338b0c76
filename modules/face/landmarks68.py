"""The iBUG-68 landmarks as vertices of MediaPipe's 478-point face mesh, image-left first.

Jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, outer lips 48-59, inner lips 60-67.
"""

from __future__ import annotations

import numpy as np

NUM_MESH_POINTS = 478

_JAW = (127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE = (168, 197, 5, 4, 98, 97, 2, 326, 327)
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
_OUTER_LIPS = (61, 40, 37, 0, 267, 270, 291, 405, 314, 17, 84, 181)
_INNER_LIPS = (78, 81, 13, 311, 308, 402, 14, 178)

MESH_OF_68 = np.array(_JAW + _BROWS + _NOSE + _EYES + _OUTER_LIPS + _INNER_LIPS)
"""[68] mesh vertex of every landmark."""

EYE_CORNERS = (33, 263)
"""Mesh vertices of the outer eye corners, image-left first; their distance is the unit of size."""

_RIGHT_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)
_LEFT_OVAL = (152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)

FACE_OVAL = np.array(_RIGHT_OVAL + _LEFT_OVAL)
"""Mesh vertices around the face, from the top of the forehead by the image-right side to the chin and back."""

JAW_LINE = np.array(_RIGHT_OVAL[7:] + _LEFT_OVAL[:12])[::-1]
"""Mesh vertices from ear to ear along the jaw, image-left first."""

LEFT_EYE = np.array([33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7])
"""Mesh vertices around the image-left eye opening."""

RIGHT_EYE = np.array([263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249])
"""Mesh vertices around the image-right eye opening."""

SUBNASALE, NOSE_TIP, CHIN, FOREHEAD = 2, 1, 152, 10


def to_landmarks68(points: np.ndarray) -> np.ndarray:
    """Return the 68 landmarks [...,68,C] of mesh points [...,478,C]."""
    return points[..., MESH_OF_68, :]
