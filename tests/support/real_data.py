"""Real clips for tests: never part of the repository, skipped where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from utils.data.paths import CODE_ROOT


def real_clip(name: str) -> Path:
    """Return the path of a real clip such as ``video/obama_oval_20s_sync.mp4``, or skip the test.

    Looked for in the folder ``GENEFACE_TEST_DATA`` names, else in ``shared/data`` beside the repository.
    """
    root = Path(os.environ.get("GENEFACE_TEST_DATA", CODE_ROOT.parent / "shared" / "data"))
    if not (root / name).exists():
        pytest.skip(f"needs the real clip {name}; set GENEFACE_TEST_DATA to the folder that holds it")
    return root / name
