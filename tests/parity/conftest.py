"""Networks with the reference weights: filled in place, and read by the importer from the original's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from modules.importer.release import import_release
from modules.pretrained import load_pretrained
from tests.parity.networks import build
from tests.parity.rule import reference_weights
from tests.support.release import write_release

EXPERIMENTS = {
    "syncnet": ("lrs3/syncnet", ""),
    "lm3d_vae": ("lrs3/lm3d_vae", ""),
    "postnet": ("May/postnet", "generator"),
    "postnet_discriminator": ("May/postnet", "discriminator"),
    "lm3d_nerf": ("May/lm3d_nerf", "head"),
    "lm3d_nerf_torso": ("May/lm3d_nerf_torso", "torso"),
}
Load = Callable[[str], nn.Module]


@pytest.fixture(scope="session")
def imported_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root whose checkpoints were imported from a whole release."""
    root = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        import_release([write_release(root / "release")], root / "checkpoints")
    return root


@pytest.fixture(params=["filled", "imported"])
def load(request: pytest.FixtureRequest) -> Load:
    """Return how to get a network by its published name, in eval mode."""
    if request.param == "filled":
        return lambda name: reference_weights(build(name))
    root = request.getfixturevalue("imported_root")

    def imported(name: str) -> nn.Module:
        exp_name, child = EXPERIMENTS[name]
        return load_pretrained(type(build(name)), root / "checkpoints" / exp_name, child=child)[0]

    return imported
