"""A small trained head and torso that backends draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modules.nerf.backends.base import Scene
from modules.nerf.bounds import carve_by_masks, head_bounds, intrinsics_of
from modules.nerf.conditions import stored_condition
from modules.nerf.fields.head import FrameState
from modules.nerf.fields.torso import pose_vector
from modules.nerf.model import HeadConfig, HeadModel, TorsoConfig, TorsoModel
from tests.support.tiny_head import SMALL, learn
from tests.support.tiny_person import write_tiny_person
from utils.commons.runtime import seeded_generator
from utils.data.person_store import PersonStore

SceneMaker = Callable[..., tuple[Scene, FrameState, torch.Tensor]]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> PersonStore:
    return write_tiny_person(tmp_path_factory.mktemp("persons") / "tiny")


def make_models(store: PersonStore, *, steps: int, **keys: object) -> tuple[HeadModel, TorsoModel]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HeadModel(HeadConfig(**{**SMALL, **keys}))
        torso = TorsoModel(TorsoConfig(torso_texture_size=16, torso_grid_size=8, torso_shade_size=8))
        for parameter in torso.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    poses = pose_vector(torch.tensor(np.asarray(store.c2w)))
    torso.field.fit_person(poses, torch.rand(4, 20, 20, generator=seeded_generator(1)))
    head.field.fit_person(torch.tensor(store.lm3d_mean), torch.tensor(store.lm3d_std), head_bounds(store))
    carve_by_masks(head.occupancy, head.field.aabb, store)
    learn(head, store, steps=steps)
    return head.eval().requires_grad_(False), torso.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def trained(store: PersonStore) -> tuple[HeadModel, TorsoModel]:
    """Return a head after 60 steps and a torso."""
    return make_models(store, steps=60)


@pytest.fixture
def make_scene(store: PersonStore, trained: tuple[HeadModel, TorsoModel]) -> SceneMaker:
    """Return a function from sizes, models and numbers to a scene, the state of a frame and its camera."""

    def make(
        *, size: tuple[int, int] = (64, 64), models: tuple[HeadModel, TorsoModel] | None = None, **keys: object
    ) -> tuple[Scene, FrameState, torch.Tensor]:
        head, torso = models or trained
        camera = intrinsics_of(store).resized(*size)
        background = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
        state = head.frame(stored_condition(store, 3, window=1, smoothing=5)[None])
        scene = replace(Scene(head, torso, background, camera), **keys)  # type: ignore[arg-type]
        return scene, state, torch.tensor(np.asarray(store.c2w[3]))

    return make
