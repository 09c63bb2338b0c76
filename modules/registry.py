"""Names in YAML to classes, resolved late: importing this file imports no network and no heavy library."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from utils.commons.schema import ConfigError

_TABLE: dict[str, dict[str, str]] = {
    "speech_encoder": {
        "moonshine": "modules.audio.moonshine:MoonshineEncoder",
        "mel": "modules.audio.mel:MelEncoder",
        "hubert": "modules.audio.hubert:HubertEncoder",
    },
    "landmarker": {
        "mediapipe": "modules.face.landmarkers.mediapipe:MediapipeLandmarker",
        "face_alignment": "modules.face.landmarkers.face_alignment:FaceAlignmentLandmarker",
    },
    "segmenter": {
        "mediapipe": "modules.face.segmenters.mediapipe:MediapipeSegmenter",
        "bisenet": "modules.face.segmenters.bisenet:BisenetSegmenter",
    },
    "field": {
        "triplane": "modules.nerf.fields.head:HeadField",
    },
    "backend": {
        "torch": "modules.nerf.backends.torch_backend:TorchBackend",
        "cpp": "modules.nerf.backends.cpp_backend:CppBackend",
        "numba": "modules.nerf.backends.numba_backend:NumbaBackend",
    },
    "renderer": {
        "torch": "modules.nerf.renderers.torch_renderer:TorchRenderer",
    },
}


def names(kind: str) -> list[str]:
    """Return the names known for ``kind``."""
    return sorted(_TABLE[kind])


def resolve(kind: str, name: str) -> Any:
    """Return the class registered as ``name``.

    Raises:
        ConfigError: The name is unknown; the text lists the known ones.
    """
    table = _TABLE[kind]
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown {kind} {name!r}{hint} (known: {', '.join(sorted(table))})")
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
