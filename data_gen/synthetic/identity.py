"""The people of the demo: shape sliders, colours, hair and clothes of each identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.face.morphable.head_asset import FloatArray, HeadAsset

Rgb = tuple[float, float, float]
EYE_CENTER = np.array([0.0, 0.728, 0.125], np.float32)
"""Where the middle of the eyes lies in mesh coordinates, the same for every identity; metres."""


ORGAN_SHIFTS = {
    "tongue": (0.0, -0.0035, -0.004),
    "teeth_upper": (0.0, -0.0025, -0.0005),
    "teeth_lower": (0.0, -0.001, -0.001),
}
"""The organs' rest place relative to the asset's, metres: the tongue lies lower, the upper teeth show below the lip."""


@dataclass(frozen=True)
class Identity:
    """One person. Colours are sRGB in [0, 1]."""

    name: str
    shapes: dict[str, float]
    skin: Rgb
    lips: Rgb
    hair: Rgb
    iris: Rgb
    cloth: Rgb
    background: tuple[Rgb, Rgb]
    hair_length: float = 0.012
    """Thickness of the hair above the scalp, metres."""
    hairline: float = 0.0
    """How much higher than usual the hair begins over the forehead, metres."""
    is_long_haired: bool = False
    beard: float = 0.0
    """Stubble, 0 to 1."""
    freckles: float = 0.0
    age: float = 0.0
    """Creases and blotches of the skin, 0 to 1."""
    voice_variant: str = "m3"
    articulation: float = 1.0


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "Ada", {"caucasian-female-young": 1.0, "head-oval": 0.4, "mouth-lowerlip-volume-incr": 0.4,
                "eye-scale-incr": 0.25,
                "mouth-upperlip-volume-incr": 0.3, "nose-scale-horiz-decr": 0.2, "neck-scale-horiz-decr": 0.2},
        skin=(0.86, 0.66, 0.57), lips=(0.74, 0.36, 0.36), hair=(0.25, 0.14, 0.08), iris=(0.20, 0.29, 0.31),
        cloth=(0.16, 0.30, 0.42), background=((0.80, 0.83, 0.86), (0.52, 0.60, 0.68)), hair_length=0.015,
        is_long_haired=True, freckles=0.5, voice_variant="f2",
    ),
    Identity(
        "Ben", {"caucasian-male-young": 1.0, "head-rectangular": 0.5, "chin-width-incr": 0.3, "nose-hump-incr": 0.35,
                "cheek-bones-incr": 0.3, "eyebrows-trans-down": 0.3},
        skin=(0.82, 0.61, 0.51), lips=(0.66, 0.39, 0.36), hair=(0.12, 0.08, 0.06), iris=(0.34, 0.23, 0.13),
        cloth=(0.35, 0.37, 0.34), background=((0.87, 0.84, 0.78), (0.63, 0.56, 0.50)), beard=0.55, voice_variant="m3",
    ),
    Identity(
        "Chi", {"asian-female-young": 1.0, "head-round": 0.5, "cheek-volume-incr": 0.3, "mouth-scale-horiz-decr": 0.15},
        skin=(0.87, 0.69, 0.57), lips=(0.74, 0.38, 0.38), hair=(0.06, 0.05, 0.05), iris=(0.20, 0.12, 0.07),
        cloth=(0.62, 0.24, 0.27), background=((0.76, 0.84, 0.80), (0.44, 0.58, 0.54)), hair_length=0.013,
        is_long_haired=True, voice_variant="f4",
    ),
    Identity(
        "Dayo", {"african-male-young": 1.0, "head-square": 0.3, "mouth-upperlip-volume-incr": 0.3,
                 "chin-prominent-incr": 0.2},
        skin=(0.45, 0.29, 0.21), lips=(0.43, 0.25, 0.22), hair=(0.05, 0.04, 0.035), iris=(0.17, 0.10, 0.06),
        cloth=(0.80, 0.72, 0.50), background=((0.80, 0.80, 0.86), (0.50, 0.48, 0.62)), hair_length=0.006,
        hairline=0.004, beard=0.35, voice_variant="m1",
    ),
    Identity(
        "Emil", {"caucasian-male-old": 0.75, "caucasian-male-young": 0.25, "head-invertedtriangular": 0.4,
                 "head-fat-decr": 0.3,
                 "eye-bag-incr": 0.5, "nose-scale-vert-incr": 0.3, "ear-wing-decr": 0.2},
        skin=(0.83, 0.64, 0.56), lips=(0.66, 0.43, 0.40), hair=(0.62, 0.60, 0.57), iris=(0.32, 0.43, 0.52),
        cloth=(0.24, 0.22, 0.30), background=((0.84, 0.82, 0.76), (0.48, 0.52, 0.46)), hair_length=0.009,
        hairline=0.016, beard=0.2, age=1.0, voice_variant="m7", articulation=0.9,
    ),
    Identity(
        "Fay", {"caucasian-female-old": 0.5, "caucasian-female-young": 0.5, "head-fat-incr": 0.5, "head-round": 0.3,
                "cheek-volume-incr": 0.4},
        skin=(0.88, 0.70, 0.63), lips=(0.75, 0.42, 0.44), hair=(0.52, 0.34, 0.16), iris=(0.30, 0.45, 0.30),
        cloth=(0.42, 0.24, 0.44), background=((0.88, 0.80, 0.76), (0.66, 0.50, 0.46)), hair_length=0.016,
        is_long_haired=True, age=0.6, voice_variant="f5", articulation=1.05,
    ),
)  # fmt: skip


def identity_vertices(head: HeadAsset, identity: Identity) -> FloatArray:
    """Neutral vertices [V, 3] of one identity, moved so that the middle of the eyes is `EYE_CENTER`."""
    vertices = head.vertices.copy()
    for name, weight in identity.shapes.items():
        head.shapes.add(vertices, name, weight)
    eyes = [vertices[head.vertices_of(part)].mean(axis=0) for part in ("eye_left", "eye_right")]
    for part, shift in ORGAN_SHIFTS.items():
        vertices[head.vertices_of(part)] += np.array(shift, np.float32)
    return vertices + (EYE_CENTER - (eyes[0] + eyes[1]) / 2)


def random_identity(seed: int) -> Identity:
    """A person between two of the known ones, with colours of the first; the same seed gives the same person."""
    rng = np.random.default_rng([seed, 77])
    first, second = (IDENTITIES[i] for i in rng.choice(len(IDENTITIES), 2, replace=False))
    share = float(rng.uniform(0.05, 0.35))
    shapes = {k: v * (1 - share) for k, v in first.shapes.items()}
    for key, value in second.shapes.items():
        shapes[key] = shapes.get(key, 0.0) + share * value
    cloth = tuple(float(c) for c in rng.uniform(0.15, 0.75, 3))
    return Identity(**{**first.__dict__, "name": f"{first.name}{seed}", "shapes": shapes, "cloth": cloth})


def identity_of(number: int) -> Identity:
    """The identity with this number: the drawn-up ones first, mixtures of them from there on."""
    return IDENTITIES[number] if number < len(IDENTITIES) else random_identity(number)
