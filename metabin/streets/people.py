"""People, painted back to front: `draw_people`. Lengths are metres on a body of 1.75 m."""

import numpy as np

from metabin.streets import garments, heads
from metabin.streets.bodies import LOOSE, People, stand
from metabin.streets.drawing import Canvas, clamp, column, fade, mix, noise, paint_some

HEM = np.float32([0.87, 0.86, 0.85, 0.81, 0.50, 0.52])  # height for each kind of top
LEG_WIDTH = np.float32([1.0, 0.84, 1.25, 0.9, 0.9])  # for each kind of bottom
# Half widths of the torso from the neck down, without the hem.
TORSO_FRONTAL = [0.050, 0.066, 0.118, 0.150, 0.154, 0.132, 0.156]
TORSO_SAGITTAL = [0.055, 0.070, 0.085, 0.100, 0.114, 0.100, 0.118]


def draw_people(canvas: Canvas, identities: dict[str, np.ndarray], pose: dict) -> None:
    """Paint one person per image, standing at x = 0."""
    p = stand(identities, pose)
    back = p.cos < 0  # shows the back
    hidden = np.abs(p.sin) > 0.4  # the far arm, by the body, seen from the side
    left_near = p.sin < 0.1
    shoulder_bag = p.has("bag", "shoulder bag")
    at_back = {
        garments.draw_backpack: p.has("bag", "backpack"),
        heads.draw_long_hair: p.has("hair", "long"),
        heads.draw_ponytail: p.has("hair", "ponytail"),
    }
    far, near = p.one_side(0), p.one_side(1)
    draw_shadow(canvas, p)
    draw_leg(canvas, far)
    draw_leg(canvas, near)
    draw_hips(canvas, p)
    for draw, has in at_back.items():
        paint_some(canvas, p, has & ~back, draw)
    paint_some(canvas, p, shoulder_bag & ~left_near, garments.draw_shoulder_bag)
    paint_some(canvas, far, hidden, draw_arm)
    paint_some(canvas, p, p.has("top", "hoodie"), garments.draw_hood)
    draw_torso(canvas, p)
    paint_some(canvas, p, shoulder_bag & left_near, garments.draw_shoulder_bag)
    paint_some(canvas, far, ~hidden, draw_arm)
    draw_arm(canvas, near)
    heads.draw_head(canvas, p)
    for draw, has in at_back.items():
        paint_some(canvas, p, has & back, draw)


def draw_shadow(canvas: Canvas, p: People) -> None:
    """The shadow on the ground, away from the light."""
    x, y = p.ankle[0].mean(0) - 0.10 * p.light * p.size, p.ankle[1].min(0) - 0.055 * p.size
    box, _, u, v = canvas.oval((x, y), (0.40 * p.size, 0.07 * p.size))
    canvas.paint(box, 0.6 * fade(1.1 - np.sqrt(u * u + v * v)), np.zeros((3, 1, 1, 1), np.float32))


def draw_leg(canvas: Canvas, p: People) -> None:
    """Thigh, shin and shoe of one side."""
    bare = p.has("bottom", "shorts", "skirt") | p.has("top", "dress")
    wide = np.where(bare, 0.88, LEG_WIDTH[p.bottom]) * p.width**0.7 * p.size
    colour = np.where(bare, p.leg_rgb, p.bottom_rgb) * p.dim
    canvas.limb(p.hip, p.knee, (0.088 * wide, 0.066 * wide), colour)
    radii = 0.064 * wide, np.where(bare, 0.04, 0.052) * wide
    box, alpha, along, across = canvas.capsule(p.knee, p.ankle, radii)
    folds = 0.9 + 0.2 * noise(across * 14, along * 60 + column(p.phase * 30))
    shade = canvas.shade(across)
    canvas.paint(box, alpha, column(colour) * shade * np.where(column(bare), 1, folds))
    paint_some(canvas, p, p.has("shoes", "boots"), draw_boot)
    heel = p.ankle[0] - 0.25 * (p.toe[0] - p.ankle[0]), p.ankle[1] - 0.03 * p.size
    canvas.limb(heel, p.toe, (0.044 * p.size, 0.034 * p.size), p.shoe_rgb * p.dim)
    paint_some(canvas, p, p.has("shoes", "sneakers"), draw_sole)
    paint_some(canvas, p, p.has("bottom", "shorts"), draw_shorts)


def draw_boot(canvas: Canvas, p: People) -> None:
    top = mix(p.knee, p.ankle, np.float32(0.4))
    canvas.limb(p.ankle, top, (0.05 * p.size, 0.062 * p.size), p.shoe_rgb * p.dim, flat=True)


def draw_sole(canvas: Canvas, p: People) -> None:
    """The white sole of a sneaker."""
    heel = p.ankle[0] - 0.25 * (p.toe[0] - p.ankle[0]), p.ankle[1] - 0.06 * p.size
    toe = p.toe[0], p.toe[1] - 0.02 * p.size
    white = np.full_like(p.shoe_rgb, 0.85)
    canvas.limb(heel, toe, (0.016 * p.size, 0.014 * p.size), white * p.dim)


def draw_shorts(canvas: Canvas, p: People) -> None:
    end = mix(p.hip, p.knee, np.float32(0.86))
    canvas.limb(p.hip, end, (0.095 * p.size, 0.092 * p.size), p.bottom_rgb * p.dim, flat=True)


def draw_hips(canvas: Canvas, p: People) -> None:
    """Hips in the colour of the trousers, or a skirt."""
    skirt = p.has("bottom", "skirt")
    frontal = [0.138, 0.160, np.where(skirt, 0.19, 0.145)]
    sagittal = [0.10, 0.120, np.where(skirt, 0.15 + 0.25 * p.spread, 0.10)]
    widths = [p.breadth(f * p.width, s * p.width) for f, s in zip(frontal, sagittal, strict=True)]
    levels = p.heights(1.03, 0.92, np.where(skirt, p.skirt_length, 0.80))
    box, alpha, across, down = canvas.body(np.zeros_like(p.size), levels, widths)
    pleats = 0.88 + 0.24 * noise(across * 40, down * 30 + column(p.phase * 30))
    canvas.paint(box, alpha, column(p.bottom_rgb) * canvas.shade(across) * pleats)


def draw_torso(canvas: Canvas, p: People) -> None:
    """The upper garment from the neck to its hem, a cylinder whose cloth turns with the body."""
    hem = HEM[p.top]
    long = hem < 0.7
    levels = p.heights(1.475, 1.455, 1.428, 1.390, 1.26, 1.07, 0.93, hem)
    frontal = [*TORSO_FRONTAL, np.where(long, 0.195, 0.155)]
    sagittal = [*TORSO_SAGITTAL, np.where(long, 0.15 + 0.25 * p.spread, 0.115)]
    build = [1.0] * 2 + [p.shoulders] * 2 + [p.width] * 4
    parts = zip(frontal, sagittal, build, strict=True)
    widths = [p.breadth(f * b, s * b) * LOOSE[p.top] for f, s, b in parts]
    box, alpha, across, down = canvas.body(np.zeros_like(p.size), levels, widths)
    turn = np.arcsin(clamp(across, -0.999, 0.999)) - column(p.yaw)
    whole = np.float32(2 * np.pi)
    turn = turn - whole * np.round(turn / whole)  # (B, h, w) radians from the front
    u = turn * np.float32(0.16)  # metres round the body
    v = down / column(p.size) + 0 * turn  # metres down
    folds = 0.9 + 0.2 * noise(across * 30 + v * 60 + column(p.phase * 30), v * 50, 12)
    colours = garments.top_colours(p, u, v, canvas.pixel)
    canvas.paint(box, alpha, colours * (canvas.shade(across) * folds))


def draw_arm(canvas: Canvas, p: People) -> None:
    """Hand, forearm and upper arm of one side, and the bag that the right hand carries."""
    bare = p.has("top", "t-shirt", "dress")
    wide = p.width**0.7 * p.size
    cloth = np.where(bare, 0, 0.05 * (LOOSE[p.top] - 0.95)) * p.size
    colour = np.where(bare, p.skin_rgb, p.sleeve_rgb) * p.dim
    canvas.ellipse(p.hand, (0.036 * p.size, 0.046 * p.size), p.skin_rgb * p.dim)
    wrist = mix(p.elbow, p.hand, np.where(bare, 1, 0.92))
    all_over = p.has("pattern", "horizontal stripes", "vertical stripes", "checks", "dots")
    kind = np.where(all_over & ~bare, p.pattern, 0)
    forearm = p.elbow, wrist, (0.040 * wide + cloth, 0.030 * wide + cloth)
    upper = p.shoulder, p.elbow, (0.049 * wide + cloth, 0.042 * wide + cloth)
    for limb in (forearm, upper):
        box, alpha, along, across = canvas.capsule(*limb)
        u, v = across * np.float32(0.07) - 0.02, along * np.float32(0.26)
        mask = garments.pattern(kind, u, v, column(p.pattern_scale), canvas.pixel)
        colours = mix(column(colour), column(p.second_rgb * p.dim), mask)
        canvas.paint(box, alpha, colours * canvas.shade(across))
    paint_some(canvas, p, bare, draw_short_sleeve)
    paint_some(canvas, p, p.right & p.has("bag", "handbag"), garments.draw_handbag)


def draw_short_sleeve(canvas: Canvas, p: People) -> None:
    end = mix(p.shoulder, p.elbow, np.where(p.has("top", "dress"), 0.35, 0.66))
    wide = p.width**0.7 * p.size
    canvas.limb(p.shoulder, end, (0.056 * wide, 0.060 * wide), p.sleeve_rgb * p.dim, flat=True)
