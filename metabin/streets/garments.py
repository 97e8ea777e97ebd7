"""What people wear and carry: patterns and cut of the upper garment, hood and bags."""

import numpy as np

from metabin.streets.bodies import KINDS, People
from metabin.streets.drawing import Canvas, column, fade, fraction, mix, stripes

# Depth in front, metres, for each kind of top.
NECKLINE = np.float32([0.055, 0.035, 0.03, 0.03, 0.03, 0.10])
FAR = np.float32(9)  # a period longer than anything: one line only


def pattern(kind, u, v, scale, pixel) -> np.ndarray:
    """Where cloth shows its second colour (B, h, w), at u metres across and v down.

    `kind` is (B,), the others (B, h, w) or (B, 1, 1); `scale` is that of a stripe and a gap.
    """
    mask = np.zeros(u.shape, np.float32)
    for number in np.unique(kind[kind > 0]):
        rows = np.flatnonzero(kind == number)
        name = KINDS["pattern"][number]
        mask[rows] = one_pattern(name, u[rows], v[rows], scale[rows], pixel[rows])
    return mask


def one_pattern(name: str, u, v, scale, pixel) -> np.ndarray:
    """As `pattern`, where everyone wears the pattern of this name."""
    match name:
        case "horizontal stripes":
            return stripes(v, scale, 0.5 * scale, pixel)
        case "vertical stripes":
            return stripes(u, scale, 0.5 * scale, pixel)
        case "checks":
            across = stripes(u, 1.2 * scale, 0.6 * scale, pixel)
            return 0.5 * (across + stripes(v, 1.2 * scale, 0.6 * scale, pixel))
        case "dots":
            u = (fraction(u / scale) - 0.5) * scale
            v = (fraction(v / scale + 0.25) - 0.5) * scale
            inside = 0.28 * scale - np.sqrt(u * u + v * v)
        case "block":
            inside = 2.0 * scale - v
        case "band":
            inside = 0.6 * scale - np.abs(v - 0.24)
        case "logo":
            inside = 0.07 - np.maximum(np.abs(u), np.abs(v - 0.19))
    return fade(0.5 + inside / pixel)


def top_colours(p: People, u: np.ndarray, v: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Colours (3, B, h, w) of the upper garment and the straps on it.

    u is metres round the body from its front, v metres down.
    """

    def within(distance):
        """How much of a pixel lies inside, from the distance to the edge."""
        return fade(0.5 + distance / pixel)

    around = np.abs(u)
    mask = pattern(p.pattern, u, v, column(p.pattern_scale), pixel)
    colour = mix(column(p.top_rgb), column(p.second_rgb), mask)

    opened = p.has("top", "jacket", "coat")
    gap = column(np.where(opened, p.opening, -1.0)) * (1 - 0.5 * fade(v / 0.5))
    lapel = column(opened) * within(gap + 0.035 - around) * within(0.26 - v)
    zip_line = column(opened & (p.opening <= 0)) * within(0.006 - around)
    colour = colour * (1 - 0.22 * lapel - 0.45 * zip_line)
    colour = mix(colour, column(p.inner_rgb) * 0.92, within(gap - around))

    pocket_outline = 0.007 - np.abs(np.maximum(around - 0.085, np.abs(v - 0.43) - 0.06))
    from_back = np.float32(0.16 * np.pi) - around
    hood = 0.10 - np.sqrt(from_back * from_back + np.square(v - 0.05))
    hoodie = column(p.has("top", "hoodie"))
    belt = column(p.has("top", "dress")) * within(0.02 - np.abs(v - 0.42))
    dark = hoodie * (0.25 * within(pocket_outline) + 0.2 * within(hood))
    colour = colour * (1 - dark - 0.3 * belt)

    neckline = 1 - np.square(u / 0.075) - np.square(v / column(NECKLINE[p.top]))
    colour = mix(colour, column(p.skin_rgb), within(0.06 * neckline) * (gap < 0))

    straps = column(p.has("bag", "backpack")) * within(0.02 - np.abs(around - 0.095))
    straps = straps * within(0.36 - v)
    # A sling runs from the right shoulder to the left hip.
    line = 0.17 * np.sin(u / np.float32(0.16)) + (v - 0.26) * 0.62
    sling = column(p.has("bag", "shoulder bag")) * within(0.016 - np.abs(line))
    sling = sling * within(0.56 - v)
    return mix(colour, column(p.bag_rgb * np.float32(0.8)), np.maximum(straps, sling))


def draw_hood(canvas: Canvas, p: People) -> None:
    """The hood of a hoodie, lying round the neck."""
    centre = p.point(0.0, -0.035, 1.475)
    canvas.ellipse(centre, (0.098 * p.size, 0.055 * p.size), p.top_rgb * np.float32(0.8))


def draw_handbag(canvas: Canvas, p: People) -> None:
    """A bag in the hand of this side."""
    x, y = p.hand
    radius = 0.009 * np.ones_like(x)
    for side in (-0.06, 0.06):  # two handles
        canvas.limb((x, y), (x + side, y - 0.15), (radius, radius), p.bag_rgb * np.float32(0.75))
    half = np.sqrt((0.06 * p.cos) ** 2 + (0.14 * p.sin) ** 2)
    levels = [y - 0.13, y - 0.15, y - 0.33, y - 0.35]
    box, alpha, across, down = canvas.body(x, levels, [half * 0.8, half * 0.9, half * 1.1, half])
    seam = stripes(down - 0.07, FAR, np.float32(0.012), canvas.pixel)
    canvas.paint(box, alpha, column(p.bag_rgb) * canvas.shade(across * 0.7) * (1 - 0.3 * seam))


def draw_shoulder_bag(canvas: Canvas, p: People) -> None:
    """A bag at the left hip; its strap is part of the torso."""
    x, y = p.point(0.20 * p.width, 0.0, 0.97)
    half = p.breadth(0.05, 0.135)
    levels = [y - down * p.size for down in (0, 0.02, 0.19, 0.21)]
    box, alpha, across, down = canvas.body(x, levels, [half * 0.9, half, half, half * 0.85])
    flap = fade(0.5 + (0.1 - down) / canvas.pixel)
    canvas.paint(box, alpha, column(p.bag_rgb) * canvas.shade(across * 0.7) * (0.82 + 0.18 * flap))


def draw_backpack(canvas: Canvas, p: People) -> None:
    """A backpack; its straps are part of the torso."""
    x, shift = p.point(0.0, -0.18 * p.width, 0.0)
    half, pixel = p.breadth(0.145, 0.095), canvas.pixel
    levels = [y + shift + p.ground for y in p.heights(1.43, 1.41, 1.36, 1.04, 0.99)]
    widths = [half * 0.5, half * 0.8, half * 0.95, half, half * 0.88]
    box, alpha, across, down = canvas.body(x, levels, widths)
    sideways = np.abs(across * column(half)) - 0.1 * column(p.size)
    outline = np.maximum(sideways, np.abs(down - 0.31) - 0.085)
    pocket = fade(0.5 + (0.008 - np.abs(outline)) / pixel)
    pocket = pocket + 0.6 * stripes(down - 0.13, FAR, np.float32(0.012), pixel)
    canvas.paint(box, alpha, column(p.bag_rgb) * canvas.shade(across * 0.85) * (1 - 0.35 * pocket))
