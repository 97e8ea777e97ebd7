"""People made of capsules, ellipses and upright bodies, seen from any side: ``draw_people``.

A person's own axes: side (to their left), forward, up; metres on a body of 1.75 m. ``yaw`` turns them: 0 faces the
camera, a quarter turn walks to the right, half a turn shows the back. B people; left and right come first: (2, B).
"""

import numpy as np

from metabin.drawing import Canvas, column, fade, fraction, mix, noise, stripes

TOPS = ("t-shirt", "sweater", "hoodie", "jacket", "coat", "dress")
HEM = np.float32([0.87, 0.86, 0.85, 0.81, 0.50, 0.52])  # metres above the ground
LOOSE = np.float32([1.03, 1.05, 1.12, 1.12, 1.14, 0.98])
NECKLINE = np.float32([0.055, 0.035, 0.03, 0.03, 0.03, 0.10])  # metres
BOTTOMS = ("trousers", "slim trousers", "wide trousers", "shorts", "skirt")
LEG_WIDTH = np.float32([1.0, 0.84, 1.25, 0.9, 0.9])
PATTERNS = ("plain", "horizontal stripes", "vertical stripes", "checks", "dots", "block", "band", "logo")
HAIR = ("short", "shaved", "long", "ponytail", "bun", "curly")
HATS = ("none", "cap", "beanie", "brim hat")
BAGS = ("none", "backpack", "shoulder bag", "handbag")
SHOES = ("shoes", "sneakers", "boots")


class People:
    """B people: who they are, how they hold themselves, and where their joints are in the picture plane."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.__dict__.update(arrays)  # every array ends in B

    def only(self, rows: np.ndarray) -> "Some":
        """These people alone."""
        return Some(self, rows)

    def spot(self, side, forward, up):
        """A point of a person's own axes in the picture plane: (x, y)."""
        depth = forward * self.cos - side * self.sin  # towards the camera, which looks down a little
        return (side * self.cos + forward * self.sin) * self.size, (up - self.tilt * depth) * self.size - self.ground

    def breadth(self, frontal, sagittal):
        """Half width in the picture of an upright ellipse with these half widths."""
        return np.sqrt((frontal * self.cos) ** 2 + (sagittal * self.sin) ** 2) * self.size

    def up(self, *metres):
        return [m * self.size - self.ground for m in metres]

    def wears(self, part: str, options: tuple[str, ...], *names: str) -> np.ndarray:
        kind = getattr(self, part)
        return np.logical_or.reduce([kind == options.index(name) for name in names])


class Some(People):
    """Some of the people; what nobody asks for is not copied."""

    def __init__(self, all_people: People, rows: np.ndarray):
        self._all, self._rows = all_people, rows

    def __getattr__(self, name: str) -> np.ndarray:
        values = getattr(self._all, name)[..., self._rows]
        setattr(self, name, values)
        return values


def stand(who: dict, pose: dict) -> People:
    """Put the joints of walking bodies in place, from the phase of their step and the swing of their arms."""
    p = People(who | pose)
    p.cos, p.sin, p.size = np.cos(p.yaw), np.sin(p.yaw), p.height / np.float32(1.75)
    sides = np.float32([[1], [-1]])  # left, right
    swing = p.stride * sides * np.sin(p.phase)  # (2, B) radians
    bend = p.stride * (0.2 + 1.3 * np.maximum(sides * np.cos(p.phase), 0))  # the leg that comes forward is lifted
    upper = p.arm - 0.85 * swing
    fore, out = upper + p.elbow, 0.045 * p.width
    hip = (0.082 * sides * p.width, 0.0, 0.92)
    knee = (0.076 * sides * p.width, 0.44 * np.sin(swing), 0.92 - 0.44 * np.cos(swing))
    ankle = (0.070 * sides * p.width, knee[1] + 0.41 * np.sin(swing - bend), knee[2] - 0.41 * np.cos(swing - bend))
    toe = (0.095 * sides * p.width, ankle[1] + 0.155, ankle[2] - 0.03)
    shoulder = (0.146 * sides * p.shoulders * LOOSE[p.top], 0.0, 1.362)
    elbow = (shoulder[0] + sides * out, 0.28 * np.sin(upper), 1.362 - 0.28 * np.cos(upper))
    hand = (elbow[0] - sides * 0.03 * p.elbow, elbow[1] + 0.24 * np.sin(fore), elbow[2] - 0.24 * np.cos(fore))
    p.ground = (ankle[2].min(0) - 0.072) * p.size  # the lower foot stands on the ground
    p.spread = np.abs(np.sin(p.phase)) * p.stride
    far_first = np.argsort(-sides * p.sin, axis=0)  # (2, B): the side away from the camera, then the near one
    p.right = far_first == 1
    joints = dict(hip=hip, knee=knee, ankle=ankle, toe=toe, shoulder=shoulder, elbow=elbow, hand=hand)
    for name, place in joints.items():
        x, y = (np.take_along_axis(values, far_first, 0) for values in p.spot(*place))
        setattr(p, name, np.stack([x, y]))  # (x and y, far and near, B)
    return p


def draw_people(canvas: Canvas, who: dict[str, np.ndarray], pose: dict[str, np.ndarray]) -> None:
    """Paint one person per image, back to front, standing at x = 0."""
    p = stand(who, pose)
    back, side = p.cos < 0, np.abs(p.sin) > 0.4  # what shows; from the side the body hides the far arm
    on_left_hip = p.sin < 0.1  # whether the left hip is on the near side
    draw_shadow(canvas, p)
    draw_leg(canvas, p, 0)
    draw_leg(canvas, p, 1)
    draw_hips(canvas, p)
    paint_some(canvas, p, ~back, draw_backpack, draw_long_hair, draw_ponytail)
    paint_some(canvas, p, ~on_left_hip, draw_shoulder_bag)
    paint_some(canvas, p, side, draw_far_arm)
    paint_some(canvas, p, p.wears("top", TOPS, "hoodie"), draw_hood)
    draw_torso(canvas, p)
    paint_some(canvas, p, on_left_hip, draw_shoulder_bag)
    paint_some(canvas, p, ~side, draw_far_arm)
    draw_arm(canvas, p, 1)
    draw_head(canvas, p)
    paint_some(canvas, p, back, draw_backpack, draw_long_hair, draw_ponytail)


def paint_some(canvas: Canvas, p: People, mask: np.ndarray, *draws) -> None:
    """Let each ``draw`` paint on the images of the mask, narrowed to those that its ``wearers`` say."""
    for draw in draws:
        rows = np.flatnonzero(mask & draw.wearers(p) if hasattr(draw, "wearers") else mask)
        if len(rows):
            draw(canvas.only(rows), p.only(rows))


def worn_by(part: str, options: tuple[str, ...], *names: str):
    """Mark what a function draws as worn by some people only."""

    def mark(draw):
        draw.wearers = lambda p: p.wears(part, options, *names)
        return draw

    return mark


def draw_shadow(canvas: Canvas, p: People) -> None:
    foot = p.ankle[1].min(0) - 0.055 * p.size
    x = p.ankle[0].mean(0) - 0.10 * p.light * p.size
    box, _, u, v = canvas.oval((x, foot), (0.40 * p.size, 0.07 * p.size))
    canvas.paint(box, 0.6 * fade(1.1 - np.sqrt(u * u + v * v)), np.zeros((3, 1, 1, 1), np.float32))


def draw_leg(canvas: Canvas, p: People, near: int) -> None:
    """Thigh, shin and shoe of the far (0) or near (1) side."""
    hip, knee, ankle, toe = (joint[:, near] for joint in (p.hip, p.knee, p.ankle, p.toe))
    dim = np.float32(1.0 if near else 0.85)
    bare = p.wears("bottom", BOTTOMS, "shorts", "skirt") | p.wears("top", TOPS, "dress")
    wide = np.where(bare, 0.88, LEG_WIDTH[p.bottom]) * p.width**0.7 * p.size
    colour = np.where(bare, p.leg_rgb, p.bottom_rgb) * dim
    canvas.limb(hip, knee, (0.088 * wide, 0.066 * wide), colour)
    box, alpha, along, across = canvas.capsule(knee, ankle, (0.064 * wide, np.where(bare, 0.04, 0.052) * wide))
    folds = 0.9 + 0.2 * noise(across * 14, along * 60 + column(p.phase * 30))
    canvas.paint(box, alpha, column(colour) * canvas.shade(across) * np.where(column(bare), 1, folds))
    paint_some(canvas, p, p.wears("shoes", SHOES, "boots"), lambda c, q: draw_boot(c, q, near, dim))
    heel = ankle[0] - 0.25 * (toe[0] - ankle[0]), ankle[1] - 0.03 * p.size
    radii = (0.044 * p.size, 0.034 * p.size)
    canvas.limb(heel, toe, radii, p.shoe_rgb * dim)
    paint_some(canvas, p, p.wears("shoes", SHOES, "sneakers"), lambda c, q: draw_sole(c, q, near, dim))
    paint_some(canvas, p, p.wears("bottom", BOTTOMS, "shorts"), lambda c, q: draw_shorts(c, q, near, dim))


def draw_boot(canvas: Canvas, p: People, near: int, dim: np.float32) -> None:
    top = mix(p.knee[:, near], p.ankle[:, near], np.float32(0.4))
    canvas.limb(p.ankle[:, near], top, (0.05 * p.size, 0.062 * p.size), p.shoe_rgb * dim, flat=True)


def draw_sole(canvas: Canvas, p: People, near: int, dim: np.float32) -> None:
    """The white sole of a sneaker."""
    ankle, toe = p.ankle[:, near], p.toe[:, near]
    heel = ankle[0] - 0.25 * (toe[0] - ankle[0]), ankle[1] - 0.06 * p.size
    white = np.full_like(p.shoe_rgb, 0.85) * dim
    canvas.limb(heel, (toe[0], toe[1] - 0.02 * p.size), (0.016 * p.size, 0.014 * p.size), white)


def draw_shorts(canvas: Canvas, p: People, near: int, dim: np.float32) -> None:
    end = mix(p.hip[:, near], p.knee[:, near], np.float32(0.86))
    canvas.limb(p.hip[:, near], end, (0.095 * p.size, 0.092 * p.size), p.bottom_rgb * dim, flat=True)


def draw_hips(canvas: Canvas, p: People) -> None:
    """Hips in the colour of the trousers, or a skirt."""
    skirt = p.wears("bottom", BOTTOMS, "skirt")
    fall = np.where(skirt, p.skirt_length, 0.80)
    front = [0.138, 0.160, np.where(skirt, 0.19, 0.145)]
    deep = [0.10, 0.120, np.where(skirt, 0.15 + 0.25 * p.spread, 0.10)]
    widths = [p.breadth(f * p.width, s * p.width) for f, s in zip(front, deep, strict=True)]
    box, alpha, across, down = canvas.body(np.zeros_like(p.size), p.up(1.03, 0.92, fall), widths)
    pleats = 0.88 + 0.24 * noise(across * 40, down * 30 + column(p.phase * 30))
    canvas.paint(box, alpha, column(p.bottom_rgb) * canvas.shade(across) * pleats)


def draw_torso(canvas: Canvas, p: People) -> None:
    """The upper garment from the neck to its hem: pattern, neckline, opening, pocket, straps of bags."""
    loose, hem = LOOSE[p.top], HEM[p.top]
    long = hem < 0.7
    front = [0.050, 0.066, 0.118, 0.150, 0.154, 0.132, 0.156, np.where(long, 0.195, 0.155)]
    deep = [0.055, 0.070, 0.085, 0.100, 0.114, 0.100, 0.118, np.where(long, 0.15 + 0.25 * p.spread, 0.115)]
    by = [1.0, 1.0, p.shoulders, p.shoulders, p.width, p.width, p.width, p.width]
    widths = [p.breadth(f * b, s * b) * loose for f, s, b in zip(front, deep, by, strict=True)]
    levels = p.up(1.475, 1.455, 1.428, 1.390, 1.26, 1.07, 0.93, hem)
    box, alpha, across, down = canvas.body(np.zeros_like(p.size), levels, widths)
    turn = np.arcsin(np.minimum(np.maximum(across, np.float32(-0.999)), np.float32(0.999))) - column(p.yaw)
    turn = turn - np.float32(2 * np.pi) * np.round(turn / np.float32(2 * np.pi))  # (B, h, w) radians from the front
    u, v = turn * np.float32(0.16), down / column(p.size) + 0 * turn  # metres round the body and down
    colour = dress_torso(p, u, v, canvas.pixel)
    folds = 0.9 + 0.2 * noise(across * 30 + v * 60 + column(p.phase * 30), v * 50, 12)
    canvas.paint(box, alpha, colour * (canvas.shade(across) * folds))


def dress_torso(p: People, u: np.ndarray, v: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Colours (3, B, h, w) of the upper garment at u metres round the body from its front, v metres down."""
    soft = lambda distance: fade(0.5 + distance / pixel)  # noqa: E731
    part = lambda mask: column(mask.astype(np.float32))  # noqa: E731
    mask = pattern(p.pattern, u, v, column(p.pattern_scale), pixel)
    colour = mix(column(p.top_rgb), column(p.second_rgb), mask)
    opened = p.wears("top", TOPS, "jacket", "coat")
    gap = column(np.where(opened, p.opening, -1.0)) * (1 - 0.5 * fade(v / 0.5))
    lapel = part(opened) * soft(gap + 0.035 - np.abs(u)) * soft(0.26 - v)
    zipped = part(opened & (p.opening <= 0)) * soft(0.006 - np.abs(u))
    colour = mix(colour * (1 - 0.22 * lapel - 0.45 * zipped), column(p.inner_rgb) * 0.92, soft(gap - np.abs(u)))
    hoodie = part(p.wears("top", TOPS, "hoodie"))
    pocket = np.abs(np.maximum(np.abs(u) - 0.085, np.abs(v - 0.43) - 0.06))
    hood = 1.57 * np.float32(0.32) - np.abs(u)  # metres round the body from the back
    hood = soft(0.10 - np.sqrt(hood * hood + np.square(v - 0.05)))
    colour = colour * (1 - hoodie * (0.25 * soft(0.007 - pocket) + 0.2 * hood))
    belt = part(p.wears("top", TOPS, "dress")) * soft(0.02 - np.abs(v - 0.42))
    neck = soft(0.06 * (1 - np.square(u / 0.075) - np.square(v / column(NECKLINE[p.top]))))
    colour = mix(colour * (1 - 0.3 * belt), column(p.skin_rgb), neck * (gap < 0))
    strap = part(p.wears("bag", BAGS, "backpack")) * soft(0.02 - np.abs(np.abs(u) - 0.095)) * soft(0.36 - v)
    line = 0.17 * np.sin(u / np.float32(0.16)) + (v - 0.26) * 0.62  # from the right shoulder to the left hip
    sling = part(p.wears("bag", BAGS, "shoulder bag")) * soft(0.016 - np.abs(line)) * soft(0.56 - v)
    return mix(colour, column(p.bag_rgb * np.float32(0.8)), np.maximum(strap, sling))


def pattern(kind: np.ndarray, u: np.ndarray, v: np.ndarray, scale: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Where a garment shows its second colour (B, h, w); ``scale`` (B, 1, 1) is a stripe and a gap in metres."""
    mask = np.zeros(u.shape, np.float32)
    for number in np.unique(kind[kind > 0]):
        rows = np.flatnonzero(kind == number)
        a, b, s, px = u[rows], v[rows], scale[rows], pixel[rows]
        match PATTERNS[number]:
            case "horizontal stripes":
                mask[rows] = stripes(b, s, 0.5 * s, px)
            case "vertical stripes":
                mask[rows] = stripes(a, s, 0.5 * s, px)
            case "checks":
                mask[rows] = 0.5 * (stripes(a, 1.2 * s, 0.6 * s, px) + stripes(b, 1.2 * s, 0.6 * s, px))
            case "dots":
                a, b = (fraction(a / s) - 0.5) * s, (fraction(b / s + 0.25) - 0.5) * s
                mask[rows] = fade(0.5 + (0.28 * s - np.sqrt(a * a + b * b)) / px)
            case "block":
                mask[rows] = fade(0.5 + (2.0 * s - b) / px)
            case "band":
                mask[rows] = fade(0.5 + (0.6 * s - np.abs(b - 0.24)) / px)
            case "logo":
                mask[rows] = fade(0.5 + (0.07 - np.maximum(np.abs(a), np.abs(b - 0.19))) / px)
    return mask


def draw_far_arm(canvas: Canvas, p: People) -> None:
    draw_arm(canvas, p, 0)


def draw_arm(canvas: Canvas, p: People, near: int) -> None:
    """Upper arm, forearm and hand of the far (0) or near (1) side, and the bag in the right hand."""
    shoulder, elbow, hand = p.shoulder[:, near], p.elbow[:, near], p.hand[:, near]
    dim = np.float32(1.0 if near else 0.85)
    bare = p.wears("top", TOPS, "t-shirt", "dress")
    wide = p.width**0.7 * p.size
    extra = np.where(bare, 0, 0.05 * (LOOSE[p.top] - 0.95)) * p.size
    colour = np.where(bare, p.skin_rgb, p.sleeve_rgb) * dim
    canvas.ellipse(hand, (0.036 * p.size, 0.046 * p.size), p.skin_rgb * dim)
    wrist = mix(elbow, hand, np.where(bare, 1, 0.92))
    cloth = np.where(bare | (p.pattern >= PATTERNS.index("block")), 0, p.pattern)
    scale = column(p.pattern_scale)
    for start, end, radii in (
        (elbow, wrist, (0.040 * wide + extra, 0.030 * wide + extra)),
        (shoulder, elbow, (0.049 * wide + extra, 0.042 * wide + extra)),
    ):
        box, alpha, along, across = canvas.capsule(start, end, radii)
        mask = pattern(cloth, across * np.float32(0.07) - 0.02, along * np.float32(0.26), scale, canvas.pixel)
        canvas.paint(box, alpha, mix(column(colour), column(p.second_rgb * dim), mask) * canvas.shade(across))
    paint_some(canvas, p, bare, lambda c, q: draw_sleeve(c, q, near, dim))
    paint_some(canvas, p, p.right[near] & p.wears("bag", BAGS, "handbag"), lambda c, q: draw_handbag(c, q, near))


def draw_sleeve(canvas: Canvas, p: People, near: int, dim: np.float32) -> None:
    """A short sleeve."""
    end = mix(p.shoulder[:, near], p.elbow[:, near], np.where(p.wears("top", TOPS, "dress"), 0.35, 0.66))
    wide = p.width**0.7 * p.size
    canvas.limb(p.shoulder[:, near], end, (0.056 * wide, 0.060 * wide), p.sleeve_rgb * dim, flat=True)


def draw_handbag(canvas: Canvas, p: People, near: int) -> None:
    x, y = p.hand[:, near]
    colour, one = p.bag_rgb, np.ones_like(x)
    for side in (-1, 1):  # two handles
        canvas.limb((x, y), (x + side * 0.06, y - 0.15), (0.009 * one, 0.009 * one), colour * np.float32(0.75))
    half = np.sqrt((0.06 * p.cos) ** 2 + (0.14 * p.sin) ** 2)
    levels, widths = [y - 0.13, y - 0.15, y - 0.33, y - 0.35], [half * 0.8, half * 0.9, half * 1.1, half]
    box, alpha, across, down = canvas.body(x, levels, widths)
    seam = stripes(down - 0.07, np.float32(9), np.float32(0.012), canvas.pixel)
    canvas.paint(box, alpha, column(colour) * canvas.shade(across * 0.7) * (1 - 0.3 * seam))


@worn_by("bag", BAGS, "shoulder bag")
def draw_shoulder_bag(canvas: Canvas, p: People) -> None:
    """A bag at the left hip; its strap is part of the torso."""
    x, y = p.spot(0.20 * p.width, 0.0, 0.97)
    half = p.breadth(0.05, 0.135)
    levels = [y - d * p.size for d in (0, 0.02, 0.19, 0.21)]
    box, alpha, across, down = canvas.body(x, levels, [half * 0.9, half, half, half * 0.85])
    flap = fade(0.5 + (0.1 - down) / canvas.pixel)
    canvas.paint(box, alpha, column(p.bag_rgb) * canvas.shade(across * 0.7) * (0.82 + 0.18 * flap))


@worn_by("bag", BAGS, "backpack")
def draw_backpack(canvas: Canvas, p: People) -> None:
    x, shift = p.spot(0.0, -0.18 * p.width, 0.0)
    half = p.breadth(0.145, 0.095)
    levels = [y + shift + p.ground for y in p.up(1.43, 1.41, 1.36, 1.04, 0.99)]
    box, alpha, across, down = canvas.body(x, levels, [half * 0.5, half * 0.8, half * 0.95, half, half * 0.88])
    px = canvas.pixel
    edge = np.maximum(np.abs(across * column(half)) - 0.1 * column(p.size), np.abs(down - 0.31) - 0.085)
    pocket = fade(0.5 + (0.008 - np.abs(edge)) / px) + 0.6 * stripes(down - 0.13, np.float32(9), np.float32(0.012), px)
    canvas.paint(box, alpha, column(p.bag_rgb) * canvas.shade(across * 0.85) * (1 - 0.35 * pocket))


@worn_by("hair", HAIR, "long")
def draw_long_hair(canvas: Canvas, p: People) -> None:
    x, _ = p.spot(0.0, -0.04, 0.0)
    half = p.breadth(0.105, 0.075)
    crown, *rest = p.up(np.where(p.hat > 0, 1.63, 1.70), 1.55, 1.34, 1.31)  # below a hat
    box, alpha, across, down = canvas.body(x, [crown, *rest], [half * 0.8, half, half, half * 0.7])
    strands = 0.85 + 0.3 * noise(across * 60, down * 20)
    canvas.paint(box, alpha, column(p.hair_rgb) * canvas.shade(across) * strands)


@worn_by("hair", HAIR, "ponytail")
def draw_ponytail(canvas: Canvas, p: People) -> None:
    (x0, _), (x1, _) = p.spot(0.0, -0.09, 0.0), p.spot(0.0, -0.13, 0.0)
    high, low = p.up(1.67, 1.45)
    canvas.limb((x0, high), (x1, low), (0.034 * p.size, 0.02 * p.size), p.hair_rgb)


def draw_hood(canvas: Canvas, p: People) -> None:
    """The hood of a hoodie, lying round the neck."""
    x, y = p.spot(0.0, -0.035, 1.475)
    canvas.ellipse((x, y), (0.098 * p.size, 0.055 * p.size), p.top_rgb * np.float32(0.8))


def draw_head(canvas: Canvas, p: People) -> None:
    """Neck, hair, head with a hint of a face, hat."""
    turn = p.yaw + p.look
    p = p.only(np.arange(len(turn)))
    p.cos, p.sin = np.cos(turn), np.sin(turn)  # the head has a direction of its own
    zero, (low, high) = np.zeros_like(p.size), p.up(1.45, 1.55)
    canvas.limb((zero, low), (zero, high), (0.053 * p.size, 0.046 * p.size), p.skin_rgb * np.float32(0.85))
    x, (y,) = 0.022 * p.sin, p.up(1.635)
    a, b = p.breadth(0.077, 0.094), 0.118 * p.size
    paint_some(canvas, p, p.hair == HAIR.index("bun"), draw_bun)
    puff = np.select([p.hair == HAIR.index("shaved"), p.hair == HAIR.index("curly")], [1.0, 1.38], 1.09)
    puff = np.where(p.hat > 0, np.minimum(puff, 1.12), puff)
    up = np.where(puff > 1.2, 0.035, 0.014)
    canvas.ellipse((x - 0.014 * p.sin, y + up * p.size), (a * puff, b * np.minimum(puff, 1.25)), p.hair_rgb)
    paint_some(canvas, p, ~p.wears("hair", HAIR, "long", "curly"), draw_ears)
    canvas.limb((x + 0.085 * p.sin, y), (x + 0.098 * p.sin, y - 0.018), (0.012 + zero, 0.016 + zero), p.skin_rgb)
    box, alpha, u, v = canvas.oval((x, y), (a, b))
    canvas.paint(box, alpha, face(p, u, v, canvas.pixel / column(b)) * canvas.shade(u * 0.9))
    paint_some(canvas, p, p.hat > 0, draw_hat)


def draw_bun(canvas: Canvas, p: People) -> None:
    canvas.ellipse((-0.08 * p.sin, p.up(1.735)[0]), (0.05 * p.size, 0.048 * p.size), p.hair_rgb)


def draw_ears(canvas: Canvas, p: People) -> None:
    for side in (-1, 1):
        x = 0.022 * p.sin + side * 0.077 * p.cos * p.size
        canvas.ellipse((x, p.up(1.625)[0]), (0.016 * p.size, 0.027 * p.size), p.skin_rgb * np.float32(0.9))


def face(p: People, u: np.ndarray, v: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Colours (3, B, h, w) of a head at u across and v up (-1 … 1): skin, hair, eyes, mouth, the band of a hat."""
    out = np.sqrt(np.maximum(1 - u * u - v * v, 0))  # how much the surface faces the camera
    front = out * column(p.cos) + u * column(p.sin)  # 1 at the nose … -1 at the back of the head
    side = np.abs(u * column(p.cos) - out * column(p.sin))
    line = -0.55 + 0.45 * fade((front + 0.2) / 0.35) + 0.6 * fade((front - 0.15) / 0.3)  # hair grows above it
    full = column(p.wears("hair", HAIR, "long", "curly"))
    line = line - full * (0.7 * (1 - fade((front - 0.25) / 0.3)) + 0.08)
    scalp = fade(0.5 + (v - line) / pixel) * column(np.where(p.hair == HAIR.index("shaved"), 0.25, 1.0))
    shown = fade(front * 3 - 0.6)

    def spot(across, up, half_width, half_height):
        return shown * fade(1.4 - np.square((side - across) / half_width) - np.square((v - up) / half_height))

    skin, hair = column(p.skin_rgb), column(p.hair_rgb)
    colour = skin * (1 - 0.22 * fade(-v - 0.75) * 2 - 0.12 * spot(0, -0.2, 0.12, 0.16) + 0.06 * spot(0, 0.05, 0.1, 0.3))
    colour = mix(colour, np.float32(0.08), 0.8 * spot(0.36, 0.02, 0.12, 0.07))
    colour = mix(colour, hair, 0.7 * spot(0.37, 0.19, 0.18, 0.04))
    colour = mix(colour, skin * column(np.float32([[0.78], [0.42], [0.42]])), 0.8 * spot(0, -0.5, 0.22, 0.055))
    shine = 1 + 0.35 * fade(1 - np.abs(v - 0.55) / 0.25)
    colour = mix(colour, hair * shine, scalp)
    low = np.select([p.hat == HATS.index("none"), p.hat == HATS.index("beanie")], [9.0, 0.22], 0.34)
    return mix(colour, column(p.hat_rgb), fade(0.5 + (v - column(low)) / pixel))


def draw_hat(canvas: Canvas, p: People) -> None:
    """What stands out from the head: dome, peak or brim."""
    x, (y,) = 0.022 * p.sin, p.up(1.67)
    box, alpha, u, v = canvas.oval((x, y), (p.breadth(0.082, 0.1), 0.098 * p.size))
    canvas.paint(box, alpha * fade(0.5 + v * 0.1 / canvas.pixel), column(p.hat_rgb) * canvas.shade(u))
    cap, brim = p.hat == HATS.index("cap"), p.hat == HATS.index("brim hat")
    dark = np.float32(0.8)

    def draw_peak(c, q):
        centre = 0.115 * q.sin, q.up(1.672)[0] - 0.012 * q.cos
        c.ellipse(centre, (q.breadth(0.068, 0.06), (0.013 + 0.014 * np.abs(q.cos)) * q.size), q.hat_rgb * dark)

    def draw_brim(c, q):
        c.ellipse((0.022 * q.sin, q.up(1.682)[0]), (0.165 * q.size, (0.016 + 0.1 * q.tilt) * q.size), q.hat_rgb * dark)

    paint_some(canvas, p, cap & (p.cos > -0.3), draw_peak)
    paint_some(canvas, p, brim, draw_brim)
