"""Bodies that walk and can be seen from any side.

A person's own axes: side (to their left), forward, up; metres on a body of 1.75 m. `yaw` turns them: 0 faces the camera,
a quarter turn walks to the right, half a turn shows the back. B people; far and near, or left and right, come first.
"""

import numpy as np

from metabin.streets.drawing import Record

KINDS = {
    "top": ("t-shirt", "sweater", "hoodie", "jacket", "coat", "dress"),
    "bottom": ("trousers", "slim trousers", "wide trousers", "shorts", "skirt"),
    "pattern": (
        *("plain", "horizontal stripes", "vertical stripes", "checks"),
        *("dots", "block", "band", "logo"),
    ),
    "hair": ("short", "shaved", "long", "ponytail", "bun", "curly"),
    "hat": ("none", "cap", "beanie", "brim hat"),
    "bag": ("none", "backpack", "shoulder bag", "handbag"),
    "shoes": ("shoes", "sneakers", "boots"),
}
JOINTS = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "hand")
LOOSE = np.float32([1.03, 1.05, 1.12, 1.12, 1.14, 0.98])  # how wide a top is, relative to the body


class People(Record):
    """B people: who they are, how they hold themselves, where their joints are in the picture plane."""

    def spot(self, side, forward, up):
        """A point of a person's own axes in the picture plane: (x, y)."""
        depth = (
            forward * self.cos - side * self.sin
        )  # towards the camera, which looks down a little
        return (side * self.cos + forward * self.sin) * self.size, (
            up - self.tilt * depth
        ) * self.size - self.ground

    def up(self, *metres):
        """Heights in the picture plane."""
        return [m * self.size - self.ground for m in metres]

    def breadth(self, frontal, sagittal):
        """Half width in the picture of an upright ellipse with these half widths."""
        return np.sqrt((frontal * self.cos) ** 2 + (sagittal * self.sin) ** 2) * self.size

    def on(self, near: int) -> "People":
        """The same people with the joints of their far (0) or near (1) side, the far one dimmer."""
        part = self.only(slice(None))
        for joint in JOINTS:
            setattr(part, joint, getattr(self, joint)[:, near])  # (2, B)
        part.right, part.dim = self.right[near], np.where(near, 1.0, 0.85) * np.ones_like(self.size)
        return part

    def has(self, part: str, *kinds: str) -> np.ndarray:
        """Whose garment, hair or bag is one of these kinds (B,)."""
        return np.logical_or.reduce(
            [getattr(self, part) == KINDS[part].index(kind) for kind in kinds]
        )


def stand(who: dict[str, np.ndarray], pose: dict[str, np.ndarray]) -> People:
    """Put the joints of walking bodies in place, from the phase of their step and the swing of their arms.

    Each joint becomes an array (2, 2, B): x and y; the side away from the camera, then the near one.
    """
    p = People(who | pose)
    p.cos, p.sin, p.size = np.cos(p.yaw), np.sin(p.yaw), p.height / np.float32(1.75)
    sides = np.float32([[1], [-1]])  # left, right
    swing = p.stride * sides * np.sin(p.phase)  # (2, B) radians
    bend = p.stride * (
        0.2 + 1.3 * np.maximum(sides * np.cos(p.phase), 0)
    )  # the leg that comes forward is lifted
    upper = p.arm - 0.85 * swing
    fore, out = upper + p.elbow, 0.045 * p.width
    joints = dict(hip=(0.082 * sides * p.width, 0.0, 0.92))
    joints["knee"] = knee = (
        0.076 * sides * p.width,
        0.44 * np.sin(swing),
        0.92 - 0.44 * np.cos(swing),
    )
    ankle = (
        0.070 * sides * p.width,
        knee[1] + 0.41 * np.sin(swing - bend),
        knee[2] - 0.41 * np.cos(swing - bend),
    )
    joints["ankle"], joints["toe"] = (
        ankle,
        (0.095 * sides * p.width, ankle[1] + 0.155, ankle[2] - 0.03),
    )
    joints["shoulder"] = shoulder = (0.146 * sides * p.shoulders * LOOSE[p.top], 0.0, 1.362)
    elbow = (shoulder[0] + sides * out, 0.28 * np.sin(upper), 1.362 - 0.28 * np.cos(upper))
    hand = (
        elbow[0] - sides * 0.03 * p.elbow,
        elbow[1] + 0.24 * np.sin(fore),
        elbow[2] - 0.24 * np.cos(fore),
    )
    p.ground = (ankle[2].min(0) - 0.072) * p.size  # the lower foot stands on the ground
    p.spread = np.abs(np.sin(p.phase)) * p.stride  # of the legs, radians
    far_first = np.argsort(-sides * p.sin, axis=0)  # (2, B)
    p.right = far_first == 1  # whether the far and the near side is the right one
    for name, place in (joints | dict(elbow=elbow, hand=hand)).items():
        setattr(
            p,
            name,
            np.stack([np.take_along_axis(values, far_first, 0) for values in p.spot(*place)]),
        )
    return p
