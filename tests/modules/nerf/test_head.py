from __future__ import annotations

import numpy as np
import pytest
import torch

from modules.nerf.bounds import carve_by_landmarks, carve_by_masks, head_bounds, intrinsics_of
from modules.nerf.conditions import stored_condition
from modules.nerf.landmark_warp import LandmarkWarp, close_lips, part_lids
from modules.nerf.model import HeadConfig, HeadModel, TorsoConfig, TorsoModel, compose_frame
from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.pose_offsets import PoseOffsets
from modules.nerf.sampling import camera_rays
from tests.support.tiny_head import SMALL, camera_of, learn
from tests.support.tiny_person import write_tiny_person
from utils.commons.runtime import seeded_generator
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PersonStore:
    return write_tiny_person(tmp_path_factory.mktemp("persons") / "tiny")


def make_head(store: PersonStore, **keys: object) -> HeadModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HeadModel(HeadConfig(**{**SMALL, **keys}))
    head.field.fit_person(torch.tensor(store.lm3d_mean), torch.tensor(store.lm3d_std), head_bounds(store))
    carve_by_masks(head.occupancy, head.field.aabb, store)
    return head


def test_the_box_holds_head_and_landmarks(store: PersonStore) -> None:
    low, high = head_bounds(store)
    landmarks = torch.tensor(np.asarray(store.lm3d)) / 100
    assert bool((landmarks > low).all())
    assert bool((landmarks < high).all())
    assert 0.15 < float(high[0] - low[0]) < 0.25, "the drawn head is 15 cm wide and moves little"


def test_the_skull_reaches_from_the_ears_to_the_root_of_the_nose(store: PersonStore) -> None:
    aabb, mean = head_bounds(store), torch.tensor(store.lm3d_mean)
    grid = OccupancyGrid(32)
    carve_by_landmarks(grid, aabb, mean)
    metres = (grid.centers() + 1) * 0.5 * (aabb[1] - aabb[0]) + aabb[0]
    above = metres[(metres[:, 1] > mean[19, 1] / 100 + 0.01) & (metres[:, 0].abs() < 0.02) & grid.occupied]
    assert above[:, 2].min() < mean[0, 2] / 100 - 0.08, "a nod shows the crown"
    assert above[:, 2].max() < mean[27, 2] / 100 + 0.02


def test_a_field_learns_one_frame(store: PersonStore) -> None:
    assert learn(make_head(store), store, steps=60) > 24


def test_whole_frames_equal_single_rays(store: PersonStore) -> None:
    head = make_head(store, tile_rays=700)
    cond, c2w, camera = (
        stored_condition(store, 2, window=1, smoothing=5)[None],
        camera_of(store, 2),
        intrinsics_of(store),
    )
    with torch.no_grad():
        frame = head.renderer.render_frame(head.frame(cond), c2w, camera)
        rows, columns = torch.arange(64).repeat_interleave(64), torch.arange(64).repeat(64)
        seen = head.renderer.render_rays(camera_rays(c2w[None], camera, rows, columns), head.frame(cond))
    torch.testing.assert_close(frame.rgb, seen.rgb, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(frame.opacity, seen.opacity, atol=1e-5, rtol=1e-4)
    assert frame.num_samples == len(seen.weights)


def test_rays_of_many_frames_equal_those_of_each(store: PersonStore) -> None:
    head = make_head(store)
    cond = torch.stack([stored_condition(store, frame, window=1, smoothing=5) for frame in (1, 4, 9)])
    c2w = torch.stack([camera_of(store, frame) for frame in (1, 4, 9)])
    rows, columns = torch.arange(60).repeat(3), torch.arange(2, 62).repeat(3)
    with torch.no_grad():
        both = head.renderer.render_rays(camera_rays(c2w, intrinsics_of(store), rows, columns), head.frame(cond))
        parts = []
        for k in range(3):
            rays = camera_rays(c2w[k : k + 1], intrinsics_of(store), rows[:60], columns[:60])
            parts.append(head.renderer.render_rays(rays, head.frame(cond[k : k + 1])).rgb)
    torch.testing.assert_close(both.rgb, torch.cat(parts), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 47)])
def test_odd_sizes_render(store: PersonStore, height: int, width: int) -> None:
    head, torso = make_head(store), TorsoModel(TorsoConfig(torso_texture_size=16))
    camera = Intrinsics(2.4 * height, width / 2, height / 2, height, width)
    background = torch.rand(height, width, 3)
    cond = stored_condition(store, 2, window=1, smoothing=5)
    with torch.no_grad():
        pictures = [
            compose_frame(head, torso, cond=cond, c2w=camera_of(store, 2), camera=camera, background=background)[0]
            for _ in range(2)
        ]
    assert pictures[0].shape == (height, width, 3)
    assert torch.equal(*pictures), "no jitter when rendering frames"


def test_an_empty_head_shows_the_background_exactly(store: PersonStore) -> None:
    head = make_head(store)
    head.occupancy.occupied.zero_()
    background = torch.rand(64, 64, 3)
    cond = stored_condition(store, 0, window=1, smoothing=5)
    with torch.no_grad():
        shown, _ = compose_frame(
            head, None, cond=cond, c2w=camera_of(store, 0), camera=intrinsics_of(store), background=background
        )
    assert torch.equal(shown, background)


def test_the_warp_carries_landmarks_to_the_mean(store: PersonStore) -> None:
    warp = LandmarkWarp(64, radius=1.2, ridge=0.01)
    aabb = head_bounds(store)
    warp.fit(torch.tensor(store.lm3d_mean), aabb)
    lm3d = torch.tensor(np.asarray(store.lm3d[:8]))
    grids = warp(lm3d)
    moved = (lm3d - torch.tensor(store.lm3d_mean))[..., :2]
    box = (lm3d[..., :2] / 100 - aabb[0, :2]) * 2 / (aabb[1, :2] - aabb[0, :2]) - 1
    read = torch.nn.functional.grid_sample(grids, box[:, :, None], align_corners=True)[..., 0].transpose(1, 2)
    left = moved - read * warp.extent
    assert float(left.norm(dim=-1).mean()) < 0.35 * float(moved.norm(dim=-1).mean())


def test_closed_lips_touch_and_keep_their_thickness(store: PersonStore) -> None:
    face = torch.tensor(store.lm3d_mean)
    closed = close_lips(face)
    torch.testing.assert_close(closed[61:64], closed[[67, 66, 65]])
    torch.testing.assert_close(closed[51] - closed[62], face[51] - face[62])
    torch.testing.assert_close(closed[57] - closed[66], face[57] - face[66])
    assert torch.equal(closed[:48], face[:48])


def test_padding_changes_no_sample(store: PersonStore) -> None:
    head = make_head(store)
    state = head.frame(stored_condition(store, 2, window=1, smoothing=5)[None])
    positions = torch.rand(200, 3, generator=seeded_generator(5)) * 2 - 1
    whole = head.field.query(positions, state, [200])
    part = head.field.query(positions[:77], state, [77])
    for one, other in zip(whole, part, strict=True):
        torch.testing.assert_close(one[:77], other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("keys", [{"warp_grid_size": 0}, {"blend_planes": 0}, {"cond_bias": False}])
def test_every_road_of_the_condition_changes_the_picture(store: PersonStore, keys: dict[str, int]) -> None:
    off = {"warp_grid_size": 0, "blend_planes": 0, "blend_eye_planes": 0, "cond_bias": False}
    kept = next(iter(keys))
    head = make_head(store, **{**off, kept: HeadConfig.model_fields[kept].default if kept != "warp_grid_size" else 24})
    camera, c2w = intrinsics_of(store), camera_of(store, 0)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if "encoder" in name:
                parameter.mul_(3)
        one, other = (
            head.renderer.render_frame(head.frame(stored_condition(store, t, window=1, smoothing=5)[None]), c2w, camera)
            for t in (0, 2)
        )
    assert float((one.rgb - other.rgb).abs().max()) > 1e-4


def test_windows_do_not_cross_cuts(tmp_path: pytest.TempPathFactory) -> None:
    store = write_tiny_person(tmp_path / "cut", num_frames=20, size=16, segments=[(0, 10), (10, 20)])  # type: ignore[operator]
    at_cut = stored_condition(store, 10, window=4, smoothing=3)
    own = torch.tensor(store.normalize_lm3d(np.asarray(store.lm3d[10]))).flatten()
    torch.testing.assert_close(at_cut[1, 0], own, atol=1e-5, rtol=1e-5)


def test_pose_offsets_begin_as_nothing_and_are_rigid() -> None:
    poses = PoseOffsets(5)
    c2w = torch.eye(4).repeat(2, 1, 1)
    c2w[:, 2, 3] = 0.7
    assert torch.equal(poses(c2w, torch.tensor([0, 3])), c2w)
    with torch.no_grad():
        poses.offsets.normal_(generator=seeded_generator(1))
    moved = poses(c2w, torch.tensor([0, 3]))
    rotation = moved[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)
    assert not torch.equal(moved, c2w)


def test_lids_that_cross_are_warped_as_lids_that_meet(store: PersonStore) -> None:
    mean = torch.tensor(store.lm3d_mean)
    warp = LandmarkWarp(32, radius=1.2, ridge=0.05)
    warp.fit(mean, head_bounds(store))
    apart, crossed, met = (mean[None].clone() for _ in range(3))
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        middle = mean[[upper, lower], 1].mean()
        for face, half in ((apart, 0.3), (crossed, -0.1), (met, 0.0)):
            face[0, upper, 1], face[0, lower, 1] = middle + half, middle - half
    torch.testing.assert_close(warp(crossed), warp(met))
    assert torch.equal(part_lids(apart), apart)
