"""Make `landmarks.safetensors`: where MediaPipe's 478 points lie on the open head; run by maintainers only.

    python data_gen/synthetic/extract_landmarks.py

Drawn people look about with mouths shut and open; every point MediaPipe finds is cast onto the mesh, and the median
place over all pictures is kept, so that MediaPipe's own habits are in it. People 0 and 1, on whom tracking is
measured, are left out. Notation: N = 478 points, F triangles, V vertices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

from data_gen.synthetic.mesh import _chart_of_skin
from data_gen.synthetic.render import HEAD_ORIGIN, Pose, Renderer, camera_to_world, load_person, project
from modules.face.landmarks68 import MESH_OF_68
from modules.face.morphable.head_asset import ASSET_PATH, HeadAsset, load_head

PEOPLE = (2, 3, 4, 5, 6, 7, 8, 9)
TURNS_DEG = ((0, 0, 0), (3, 8, 0), (-4, -8, 2), (6, -3, -2), (-7, 4, 1), (0, 14, 0), (0, -14, 0))
ACTIONS: tuple[dict[str, float], ...] = (
    {},
    {"jawOpen": 0.25},
    {"jawOpen": 0.45, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
)
SIZE = 512
_INNER_LIPS = set(MESH_OF_68[60:68]) | {
    191,
    80,
    81,
    82,
    13,
    312,
    311,
    310,
    415,
    95,
    88,
    178,
    87,
    14,
    317,
    402,
    318,
    324,
}
_IRIS = slice(468, 478)


def mesh_points(picture: np.ndarray) -> np.ndarray | None:
    """MediaPipe's points [478, 2] in pixels of one picture."""
    import mediapipe as mp

    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        faces = mesh.process(picture).multi_face_landmarks
    return np.array([(p.x, p.y) for p in faces[0].landmark]) * SIZE if faces else None


def triangles_of(head: HeadAsset) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [F, 3] of the face's skin without the inside of the mouth, and of the eyes."""
    skin = head.faces[head.faces_of("skin")]
    chart = _chart_of_skin(head.uvs[head.faces_uv[head.faces_of("skin")]].mean(axis=1))
    outside = (chart == 0) & (head.head_share[skin].min(axis=1) > 0.9)
    return skin[outside], head.faces[head.faces_of("eye_left", "eye_right")]


def nearest_on_triangles(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance and barycentric shares [N, F], [N, F, 3] of the nearest places on flat triangles [F, 3, D] (clipped)."""
    a, b, c = (corners[:, k] for k in range(3))
    u, v = b - a, c - a
    uu, uv, vv = ((x * y).sum(-1) for x, y in ((u, u), (u, v), (v, v)))
    w = points[:, None] - a
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    det = np.maximum(uu * vv - uv * uv, 1e-18)
    beta, gamma = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    share = np.clip(np.stack([1 - beta - gamma, beta, gamma], axis=-1), 0, None)
    share /= share.sum(-1, keepdims=True)
    place = np.einsum("nfk,fkd->nfd", share, corners)
    return np.linalg.norm(place - points[:, None], axis=-1), share


def cast(pixels: np.ndarray, shaped: np.ndarray, faces: np.ndarray, c2w: np.ndarray, focal: float) -> np.ndarray:
    """Vertices and shares as one table [N, 6] of where rays through pixels meet the front of the mesh."""
    seen = project(shaped - HEAD_ORIGIN, c2w, focal, (SIZE / 2, SIZE / 2))
    w2c = np.linalg.inv(c2w)
    depth = -((shaped - HEAD_ORIGIN) @ w2c[:3, :3].T + w2c[:3, 3])[:, 2]
    corners = seen[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    front = area < 0  # rows go down
    faces, corners = faces[front], corners[front]
    result = np.zeros((len(pixels), 6))
    for begin in range(0, len(pixels), 60):
        part = slice(begin, begin + 60)
        apart, share = nearest_on_triangles(pixels[part], corners)
        cost = apart + 400 * (depth[faces].mean(axis=1) - depth[faces].min())[None] * 0.02
        best = cost.argmin(axis=1)
        result[part] = np.column_stack([faces[best], share[np.arange(len(best)), best]])
    return result


def template_places(head: HeadAsset) -> np.ndarray:
    """Where every picture puts the points on the neutral mesh, [pictures, N, 3]; not-a-number where unfit."""
    skin, eyes = triangles_of(head)
    places = []
    for number in PEOPLE:
        person = load_person(number, 1024)
        renderer = Renderer(person, SIZE, np.full((SIZE, SIZE, 3), 150, np.uint8))
        for actions in ACTIONS:
            weights = np.array([actions.get(name, 0.0) for name in person.action_names], np.float32)
            shaped = person.neutral + (weights @ person.action_matrix).reshape(-1, 3)
            for turn in TURNS_DEG:
                pose = Pose(np.radians(turn), np.zeros(3), np.zeros(3))
                pixels = mesh_points(renderer.draw(weights, pose).image)
                if pixels is None:
                    continue
                c2w = camera_to_world(pose)
                table = cast(pixels, shaped, skin, c2w, renderer.focal)
                table[_IRIS] = cast(pixels[_IRIS], shaped, eyes, c2w, renderer.focal)
                place = np.einsum("nk,nkc->nc", table[:, 3:], head.vertices[table[:, :3].astype(int)])
                if not actions:
                    place[list(_INNER_LIPS)] = np.nan  # shut lips do not tell upper from lower
                places.append(place)
    return np.array(places)


def main() -> int:
    """Write the file and a picture of the points for the eye."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ASSET_PATH.with_name("landmarks.safetensors"))
    parser.add_argument("--picture", type=Path, help="draw the points on a neutral head here (.png)")
    args = parser.parse_args()
    head = load_head()
    places = template_places(head)
    middle = np.nanmedian(places, axis=0)
    spread = np.nanmedian(np.linalg.norm(places - middle, axis=-1), axis=0)
    skin, eyes = triangles_of(head)
    vertex, share = np.zeros((len(middle), 3), np.uint16), np.zeros((len(middle), 3), np.float32)
    for index, place in enumerate(middle):
        faces = eyes if index >= _IRIS.start else skin
        apart, shares = nearest_on_triangles(place[None], head.vertices[faces].astype(np.float64))
        best = int(apart.argmin())
        vertex[index], share[index] = faces[best], shares[0, best]
    save_file({"vertex": vertex, "share": share, "spread": spread.astype(np.float32)}, args.out,
              metadata={"license": "CC0-1.0"})  # fmt: skip
    sys.stdout.write(f"{args.out}: {len(places)} pictures, median spread {1000 * np.median(spread):.2f} mm\n")
    if args.picture:
        _draw(head, vertex.astype(int), share, args.picture)
    return 0


def _draw(head: HeadAsset, vertex: np.ndarray, share: np.ndarray, path: Path) -> None:
    person = load_person(0, 1024)
    renderer = Renderer(person, 1024, np.full((1024, 1024, 3), 150, np.uint8))
    weights = np.zeros(len(person.action_names), np.float32)
    weights[person.action_names.index("jawOpen")] = 0.3
    pose = Pose(np.zeros(3), np.zeros(3), np.zeros(3))
    picture = np.ascontiguousarray(renderer.draw(weights, pose).image[..., ::-1])
    shaped = person.neutral + (weights @ person.action_matrix).reshape(-1, 3)
    points = np.einsum("nk,nkc->nc", share, shaped[vertex])
    for x, y in project(points - HEAD_ORIGIN, camera_to_world(pose), renderer.focal, (512, 512)):
        cv2.circle(picture, (round(x), round(y)), 2, (0, 255, 0), -1)
    cv2.imwrite(str(path), picture)


if __name__ == "__main__":
    sys.exit(main())
