from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.nerf.backends.base import Backend, Scene
from modules.nerf.backends.choice import build_backend, fastest_backend
from modules.nerf.backends.compiler import choose_path, cpu_features, find_compiler
from modules.nerf.backends.torch_backend import TorchBackend
from modules.nerf.fields.head import FrameState
from modules.nerf.super_resolution import SuperResolution, SuperResolutionConfig
from modules.registry import names, resolve
from tests.modules.nerf.backends.conftest import SceneMaker, make_models
from utils.data.person_store import PersonStore

FAST = [name for name in names("backend") if name != "torch"]
HAS_COMPILER = any(shutil.which(name) for name in ("c++", "g++", "clang++"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEFACE_CACHE", str(tmp_path_factory.getbasetemp() / "kernels"))


@pytest.fixture
def _no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GENEFACE_CACHE", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


def backend_of(name: str, scene: Scene) -> Backend:
    if name == "cpp" and not HAS_COMPILER:
        pytest.skip("no C++ compiler")
    backend: Backend = resolve("backend", name)(scene)
    return backend


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.square((one.astype(np.float64) - other) / 255).mean()
    return float(-10 * np.log10(max(error, 1e-12)))


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize(("amp", "least"), [("off", 60), ("bf16", 50)])
def test_a_backend_agrees_with_torch(name: str, amp: str, least: float, make_scene: SceneMaker) -> None:
    scene, state, c2w = make_scene(amp="off")
    truth = TorchBackend(scene).draw(state, c2w)
    fast, _, _ = make_scene(amp=amp, threads=2)
    shown = backend_of(name, fast).draw(state, c2w)
    assert psnr(truth, shown) >= least
    assert psnr(truth, scene.background) < 20, "there is something to see"


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (16, 90)])
def test_a_backend_draws_any_size(name: str, size: tuple[int, int], make_scene: SceneMaker) -> None:
    scene, state, c2w = make_scene(size=size)
    backend = backend_of(name, scene)
    shown = backend.draw(state, c2w)
    assert psnr(TorchBackend(scene).draw(state, c2w), shown) >= 55, "one grey level in a tiny picture counts"
    assert np.array_equal(shown, backend.draw(state, c2w)), "drawing is deterministic"


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize(
    "keys",
    [
        {"hidden_size": 20, "plane_channels": 3, "blend_channels": 5, "geo_feat_dim": 17},
        {"warp_grid_size": 0, "cond_bias": False},
        {"blend_planes": 0, "blend_eye_planes": 0, "plane_channels": 8},
        {"blend_warped": "all", "max_steps": 3, "stop_transmittance": 0.3},
    ],
)
def test_a_backend_draws_other_fields(
    name: str, keys: dict[str, object], store: PersonStore, make_scene: SceneMaker
) -> None:
    scene, state, c2w = make_scene(models=make_models(store, steps=4, **keys), size=(40, 40))
    assert psnr(TorchBackend(scene).draw(state, c2w), backend_of(name, scene).draw(state, c2w)) >= 60


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 1)])
@pytest.mark.parametrize("scale", [2, 4])
def test_smaller_heads_are_enlarged_as_torch_does(
    name: str, size: tuple[int, int], scale: int, make_scene: SceneMaker
) -> None:
    sr = SuperResolution(SuperResolutionConfig(sr_channels=20)).requires_grad_(False)
    for conv in sr.convs:
        torch.nn.init.normal_(conv.weight, std=0.1)
        torch.nn.init.normal_(conv.bias, std=0.1)
    least = {"off": 60 if size[0] > 1 else 40, "bf16": 50 if size[0] > 1 else 40}
    for amp in least:
        scene, state, c2w = make_scene(size=size, scale=scale, sr=sr if scale == 2 else None, amp=amp, threads=2)
        truth = TorchBackend(replace(scene, amp="off")).draw(state, c2w)
        assert psnr(truth, backend_of(name, scene).draw(state, c2w)) >= least[amp]
    plain, _, _ = make_scene(size=size, scale=scale)
    if scale == 2 and size[0] > 1:
        assert psnr(truth, TorchBackend(plain).draw(state, c2w)) < 40, "the network changes the picture"


@pytest.mark.parametrize("name", FAST)
def test_a_head_out_of_sight_leaves_torso_and_background(name: str, make_scene: SceneMaker) -> None:
    scene, state, c2w = make_scene()
    away = c2w.clone()
    away[:3, 0] *= -1
    away[:3, 2] *= -1  # looks back
    assert psnr(TorchBackend(scene).draw(state, away), backend_of(name, scene).draw(state, away)) >= 60


@pytest.mark.parametrize("name", FAST)
def test_an_empty_head_without_torso_shows_the_background_exactly(
    name: str, store: PersonStore, make_scene: SceneMaker
) -> None:
    models = make_models(store, steps=0)
    models[0].occupancy.occupied.zero_()
    scene, state, c2w = make_scene(models=models, torso=None)
    assert np.array_equal(backend_of(name, scene).draw(state, c2w), scene.background)


@pytest.mark.parametrize("name", FAST)
def test_threads_do_not_change_the_picture(name: str, make_scene: SceneMaker) -> None:
    pictures = []
    for threads in (1, 3):
        scene, state, c2w = make_scene(threads=threads)
        pictures.append(backend_of(name, scene).draw(state, c2w))
    assert np.array_equal(*pictures)


def test_auto_takes_one_that_works(make_scene: SceneMaker, caplog: pytest.LogCaptureFixture) -> None:
    scene, state, c2w = make_scene(size=(20, 20))
    with caplog.at_level(logging.INFO):
        backend = fastest_backend(scene, state, c2w)
    assert backend.draw(state, c2w).shape == (20, 20, 3)
    assert "torch " in caplog.text
    assert ("cpp " if HAS_COMPILER else "numba ") in caplog.text.split("ms a frame")[1]


@pytest.mark.usefixtures("_no_compiler")
def test_auto_compiles_by_numba_where_there_is_no_compiler(
    make_scene: SceneMaker, caplog: pytest.LogCaptureFixture
) -> None:
    scene, state, c2w = make_scene(size=(20, 20))
    with caplog.at_level(logging.INFO):
        fastest_backend(scene, state, c2w)
    assert "cpp is left out: " in caplog.text
    assert "numba " in caplog.text.split("ms a frame")[1]


@pytest.mark.usefixtures("_no_compiler")
def test_without_a_compiler_torch_draws_and_a_note_says_so(
    make_scene: SceneMaker, caplog: pytest.LogCaptureFixture
) -> None:
    scene, _, _ = make_scene()
    assert isinstance(build_backend("cpp", scene), TorchBackend)
    assert "no C++ compiler" in caplog.text


def test_a_compiler_that_fails_is_named(
    make_scene: SceneMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("GENEFACE_CACHE", str(tmp_path))
    assert find_compiler() == str(broken)
    scene, _, _ = make_scene()
    assert isinstance(build_backend("cpp", scene), TorchBackend)
    assert "no such flag" in caplog.text
    assert not list(tmp_path.glob("*.so"))


def test_the_path_follows_the_cpu() -> None:
    assert choose_path(bf16=True, features=frozenset()).name == "generic"
    assert choose_path(bf16=True, features=frozenset({"avx2", "fma"})).name == "avx2"
    everything = frozenset(["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma", "avx512_bf16"])
    assert choose_path(bf16=True, features=everything).name == "avx512_bf16"
    assert choose_path(bf16=False, features=everything).name == "avx512"


@pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler")
@pytest.mark.parametrize("kept", [frozenset(), frozenset({"avx2", "fma"})])
def test_older_cpus_draw_the_same(
    kept: frozenset[str], make_scene: SceneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cpu_features().issuperset(kept):
        pytest.skip("this CPU cannot do it")
    monkeypatch.setattr("modules.nerf.backends.cpp_backend.cpu_features", lambda: kept)
    scene, state, c2w = make_scene()
    assert psnr(TorchBackend(scene).draw(state, c2w), backend_of("cpp", scene).draw(state, c2w)) >= 60


def test_the_state_of_a_frame_reaches_the_picture(make_scene: SceneMaker) -> None:
    scene, state, c2w = make_scene()
    assert state.bias is not None
    other = FrameState(state.warp, state.blend, state.bias + 3 * torch.rand_like(state.bias))
    for name in FAST:
        backend = backend_of(name, scene)
        assert psnr(backend.draw(state, c2w), backend.draw(other, c2w)) < 50
