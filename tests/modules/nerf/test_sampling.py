from __future__ import annotations

import pytest
import torch

from modules.nerf.bounds import carve_by_landmarks
from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.sampling import camera_rays, march
from modules.nerf.tiles import depth_bounds
from tests.reference.volume_loops import march_loop
from utils.commons.runtime import seeded_generator
from utils.geometry.cameras import Intrinsics

AABB = torch.tensor([[-0.1, -0.12, -0.08], [0.1, 0.12, 0.11]])


def make_grid(share: float, seed: int = 3, size: int = 8) -> OccupancyGrid:
    grid = OccupancyGrid(size)
    grid.occupied.copy_(torch.rand(size**3, generator=seeded_generator(seed)) < share)
    return grid


def make_camera(x: float = 0.0) -> torch.Tensor:
    c2w = torch.eye(4)
    c2w[:3, 3] = torch.tensor([x, 0.0, 0.7])
    return c2w


@pytest.mark.parametrize("max_steps", [3, 50])
def test_march_equals_the_loop(max_steps: int) -> None:
    grid = make_grid(0.4)
    camera = Intrinsics(60.0, 8.0, 8.0, 16, 16)
    rows = torch.arange(16).repeat_interleave(16)
    rays = camera_rays(make_camera()[None], camera, rows, torch.arange(16).repeat(16))
    packed = march(rays.origins, rays.directions, grid, aabb=AABB, step=0.007, max_steps=max_steps)
    occupied = grid.occupied.view(8, 8, 8)
    for ray in range(0, 256, 17):
        slow = march_loop(rays.origins[ray], rays.directions[ray], occupied, aabb=AABB, step=0.007, max_steps=max_steps)
        mine = packed.ray_index == ray
        torch.testing.assert_close(packed.depths[mine], torch.tensor(slow), atol=1e-6, rtol=1e-5)
        assert packed.rank[mine].tolist() == list(range(len(slow)))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (1, 1), (13, 29)])
def test_bounds_of_tiles_lose_no_sample(height: int, width: int) -> None:
    grid = make_grid(0.05)
    camera = Intrinsics(3.0 * height, width / 2, height / 2, height, width)
    c2w = make_camera(0.02)
    rows = torch.arange(height).repeat_interleave(width)
    rays = camera_rays(c2w[None], camera, rows, torch.arange(width).repeat(height))
    near, far = depth_bounds(grid, AABB, c2w, camera, step=0.004)
    arguments = {"aabb": AABB, "step": 0.004, "max_steps": 99}
    free = march(rays.origins, rays.directions, grid, **arguments)
    bound = march(rays.origins, rays.directions, grid, bounds=(near.reshape(-1), far.reshape(-1)), **arguments)
    assert torch.equal(free.depths, bound.depths)
    assert torch.equal(free.ray_index, bound.ray_index)


def test_a_camera_that_misses_the_box_takes_no_sample() -> None:
    camera = Intrinsics(60.0, 8.0, 8.0, 16, 16)
    rays = camera_rays(make_camera(5.0)[None], camera, torch.arange(16), torch.arange(16))
    assert len(march(rays.origins, rays.directions, make_grid(1.0), aabb=AABB, step=0.01, max_steps=9).depths) == 0


def test_an_empty_grid_takes_no_sample() -> None:
    camera = Intrinsics(60.0, 8.0, 8.0, 16, 16)
    rays = camera_rays(make_camera()[None], camera, torch.arange(16), torch.arange(16))
    assert len(march(rays.origins, rays.directions, make_grid(0.0), aabb=AABB, step=0.01, max_steps=9).depths) == 0


def test_autocast_does_not_round_rays() -> None:
    camera = Intrinsics(61.7, 8.3, 7.9, 16, 16)
    exact = camera_rays(make_camera(0.013)[None], camera, torch.arange(16), torch.arange(16))
    with torch.autocast("cpu", torch.bfloat16):
        rays = camera_rays(make_camera(0.013)[None], camera, torch.arange(16), torch.arange(16))
    assert torch.equal(rays.directions, exact.directions)


def test_a_cell_seen_stays_with_its_neighbours_and_others_are_forgotten() -> None:
    grid = OccupancyGrid(8)
    for _ in range(20):
        grid.observe(torch.tensor([3 + 8 * (4 + 8 * 5)]), torch.tensor([0.9]))
        grid.update(0.7)
    occupied = grid.occupied.view(8, 8, 8)
    assert int(occupied.sum()) == 27
    assert bool(occupied[4:7, 3:6, 2:5].all())


def test_a_settled_surface_keeps_only_the_neighbours_that_share_a_face() -> None:
    grid = OccupancyGrid(8)
    cells = torch.tensor([3 + 8 * (4 + 8 * 5), 0])
    grid.observe(cells, torch.tensor([0.9, 0.04]))
    grid.weight[1:].mul_(grid.weight[1:] > 0.5)
    grid.update(1.0, thin=True)
    occupied = grid.occupied.view(8, 8, 8)
    expected = torch.zeros(8, 8, 8, dtype=torch.bool)
    expected[4:7, 4, 3] = expected[5, 3:6, 3] = expected[5, 4, 2:5] = True
    expected[0, 0, :2] = expected[0, :2, 0] = expected[:2, 0, 0] = True  # remembers the weight it began with
    assert torch.equal(occupied, expected)


def test_only_cells_near_a_face_and_a_skull_stay() -> None:
    grid, aabb = OccupancyGrid(20), torch.tensor([[-0.1] * 3, [0.1] * 3])
    corners = torch.tensor([[-6.0, -6.0, 1.2], [6.0, -6.0, 1.2], [-6.0, 6.0, 1.2], [6.0, 6.0, 1.2]])
    carve_by_landmarks(grid, aabb, corners.repeat(17, 1))
    occupied = grid.occupied.view(20, 20, 20)  # z, y, x; cells of a centimetre
    depths = (torch.arange(20) + 0.5) / 100 - 0.1
    assert torch.equal(occupied[:, 10, 10], (depths > -0.013) & (depths < 0.027)), "the face"
    assert torch.equal(occupied[:, 18, 10], depths < 0.002), "hair and crown reach to the back of the box"


def test_a_thin_grid_leaves_out_what_is_faint() -> None:
    grid = OccupancyGrid(8)
    grid.weight.zero_()
    grid.observe(torch.tensor([3 + 8 * (4 + 8 * 5)]), torch.tensor([0.03]))
    grid.update(1.0)
    assert int(grid.occupied.sum()) == 27
    grid.update(1.0, thin=True)
    assert not grid.occupied.any()


def test_cells_of_centers_are_in_order() -> None:
    grid = OccupancyGrid(5)
    assert torch.equal(grid.cells_of(grid.centers()), torch.arange(125))
