"""Who walks on a street: garments, colours and build, as frequent as one meets them."""

from collections.abc import Iterator, Sequence

import numpy as np

from metabin.streets.bodies import KINDS
from metabin.streets.drawing import mix

COLOURS = {  # red, green, blue; how often it is worn above and below the waist
    "black": (0.09, 0.09, 0.10, 16, 22),
    "charcoal": (0.22, 0.23, 0.25, 9, 12),
    "grey": (0.48, 0.49, 0.50, 9, 9),
    "light grey": (0.70, 0.70, 0.70, 5, 4),
    "white": (0.90, 0.90, 0.88, 10, 4),
    "navy": (0.12, 0.16, 0.33, 10, 10),
    "denim": (0.27, 0.38, 0.55, 3, 16),
    "light blue": (0.55, 0.70, 0.85, 5, 4),
    "blue": (0.13, 0.30, 0.68, 5, 2),
    "teal": (0.08, 0.45, 0.47, 3, 1),
    "green": (0.15, 0.45, 0.22, 3, 1),
    "olive": (0.36, 0.36, 0.20, 4, 4),
    "beige": (0.78, 0.69, 0.54, 5, 6),
    "brown": (0.38, 0.25, 0.16, 4, 4),
    "burgundy": (0.42, 0.09, 0.15, 3, 1),
    "red": (0.74, 0.12, 0.13, 5, 1),
    "orange": (0.86, 0.43, 0.12, 2, 0),
    "yellow": (0.90, 0.76, 0.23, 2, 0),
    "pink": (0.88, 0.55, 0.64, 3, 1),
    "purple": (0.42, 0.25, 0.56, 2, 1),
}
HAIR_COLOURS = {  # red, green, blue; how often
    "black": (0.07, 0.06, 0.06, 35),
    "dark brown": (0.19, 0.12, 0.08, 30),
    "brown": (0.36, 0.23, 0.14, 15),
    "blond": (0.75, 0.60, 0.36, 10),
    "red": (0.55, 0.23, 0.11, 3),
    "grey": (0.62, 0.62, 0.62, 7),
}
SKINS = {
    "fair": (0.93, 0.76, 0.66, 30),
    "light": (0.85, 0.65, 0.52, 28),
    "tan": (0.70, 0.50, 0.37, 18),
    "brown": (0.50, 0.33, 0.23, 14),
    "dark": (0.34, 0.22, 0.16, 10),
}
COMMON = {  # what everyone has where colour_identity is 0
    "top": (0.30, 0.36, 0.46),
    "second": (0.72, 0.70, 0.66),
    "bottom": (0.20, 0.21, 0.25),
    "bag": (0.22, 0.19, 0.17),
    "shoe": (0.13, 0.12, 0.12),
    "hat": (0.25, 0.25, 0.28),
    "hair": (0.19, 0.12, 0.08),
    "skin": (0.85, 0.65, 0.52),
    "inner": (0.72, 0.70, 0.66),
}
FREQUENCIES = {  # of kinds; the first is everyone's where shape_identity is 0
    "top": (22, 24, 16, 20, 11, 7),
    "bottom": (34, 24, 14, 16, 12),
    "pattern": (52, 10, 5, 8, 4, 8, 6, 7),
    "hair": (40, 7, 24, 13, 7, 9),
    "hat": (76, 11, 8, 5),
    "bag": (44, 24, 18, 14),
    "shoes": (48, 34, 18),
}
ABOVE, BELOW = 3, 4  # columns of COLOURS
PALETTES = {  # of what is worn: its colours, and the column that says how often
    "top": (COLOURS, ABOVE),
    "second": (COLOURS, ABOVE),
    "bottom": (COLOURS, BELOW),
    "bag": (COLOURS, BELOW),
    "shoe": (COLOURS, BELOW),
    "hat": (COLOURS, ABOVE),
    "hair": (HAIR_COLOURS, 3),
    "skin": (SKINS, 3),
}
BUILD = ("height", "width", "shoulders")  # metres; relative to the average
ATTRIBUTES: dict[str, tuple[str, ...]] = {  # name: its options; none where it is a measure
    **KINDS,
    **{f"{item}_colour": tuple(palette) for item, (palette, _) in PALETTES.items()},
    **dict.fromkeys(BUILD, ()),
}


def pick(uniform: np.ndarray, frequencies: Sequence[float]) -> np.ndarray:
    """Numbers of options, drawn with these frequencies, from uniform numbers."""
    edges = np.cumsum(frequencies) / np.sum(frequencies)
    return np.minimum(np.searchsorted(edges, uniform, side="right"), len(frequencies) - 1)


def pick_colour(uniform: np.ndarray, palette: dict[str, tuple], column: int) -> np.ndarray:
    return pick(uniform, [colour[column] for colour in palette.values()])


def rgb(palette: dict[str, tuple], numbers: np.ndarray) -> np.ndarray:
    """Colours (3, n) of a palette by number."""
    return np.float32([colour[:3] for colour in palette.values()])[numbers].T


def draw_identities(
    rng: np.random.Generator, n: int, colour: float, shape: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n people: arrays that end in n, for `draw_people`, and their attributes (n, A) float32.

    `colour` and `shape` (0 … 1) say how far people differ in them. An attribute's column holds
    the number of its option (0 for every colour where all wear the same), or a measure. The
    colour of what is not worn means nothing.
    """
    uniform = iter(rng.random((64, n)).astype(np.float32))
    normal = iter(rng.standard_normal((32, n)).astype(np.float32))
    identities = draw_shapes(uniform, normal, shape)
    worn = {}
    for item, (palette, column) in PALETTES.items():
        worn[item] = pick_colour(next(uniform), palette, column)
    worn["second"] = in_contrast(worn["second"], worn["top"])
    colours = {item: rgb(palette, worn[item]) for item, (palette, _) in PALETTES.items()}
    colours["inner"] = rgb(COLOURS, pick_colour(next(uniform), COLOURS, ABOVE))
    for item, common in COMMON.items():
        # No two dyes are equal.
        shade, tint = 1 + 0.09 * next(normal), 0.018 * rng.standard_normal((3, n))
        dyed = np.clip(colours[item] * shade + tint, 0.03, 0.97)
        identities[f"{item}_rgb"] = mix(np.float32(common)[:, None], dyed, colour)
    block = identities["pattern"] == KINDS["pattern"].index("block")
    second_sleeves = block & (next(uniform) < 0.6)
    sleeves = np.where(second_sleeves, identities["second_rgb"], identities["top_rgb"])
    tights = np.float32([[0.12], [0.11], [0.12]])
    identities["sleeve_rgb"] = sleeves
    identities["leg_rgb"] = np.where(next(uniform) < 0.35, tights, identities["skin_rgb"])

    columns = [identities[kind] for kind in FREQUENCIES]
    columns += [worn[item] * (colour > 0) for item in PALETTES]
    columns += [identities[measure] for measure in BUILD]
    return as_float32(identities), np.stack(columns, 1).astype(np.float32)


def draw_shapes(
    uniform: Iterator[np.ndarray], normal: Iterator[np.ndarray], shape: float
) -> dict[str, np.ndarray]:
    """Kinds of garments, hair and bags, and measures of bodies and clothes."""
    shapes = {}
    for kind, frequencies in FREQUENCIES.items():
        number, differs = pick(next(uniform), frequencies), next(uniform) < shape
        shapes[kind] = np.where(differs, number, 0)
    shapes["height"] = 1.72 + shape * np.clip(0.085 * next(normal), -0.2, 0.2)
    shapes["width"] = np.exp(shape * np.clip(0.11 * next(normal), -0.2, 0.28))
    shoulders = np.exp(shape * np.clip(0.05 * next(normal), -0.1, 0.1))
    shapes["shoulders"] = shapes["width"] ** 0.5 * shoulders
    # Metres of a stripe and a gap; of a jacket, closed below 0; above the ground.
    shapes["pattern_scale"] = 0.11 + shape * 0.07 * (next(uniform) - 0.4)
    shapes["opening"] = 0.02 + shape * 0.13 * (next(uniform) - 0.5)
    shapes["skirt_length"] = 0.60 + shape * 0.24 * (next(uniform) - 0.6)
    return shapes


def in_contrast(second: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Second colours of a pattern; black or white where they are too close to the first."""
    names, first = list(COLOURS), rgb(COLOURS, top)
    other = np.where(first.mean(0) > 0.45, names.index("black"), names.index("white"))
    return np.where(np.abs(rgb(COLOURS, second) - first).sum(0) < 0.6, other, second)


def as_float32(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays, real numbers as float32 and whole ones as they are."""
    real = {name: v.astype(np.float32) for name, v in arrays.items() if v.dtype.kind == "f"}
    return arrays | real
