"""Bodies that walk and can be seen from any side.

A person's own axes: side (to their left), forward, up; metres on a body of 1.75 m. `yaw` turns
them: 0 faces the camera, a quarter turn walks to the right, half a turn shows the back. B people;
far and near, or left and right, come first.
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
LOOSE = np.float32([1.03, 1.05, 1.12, 1.12, 1.14, 0.98])  # a top's width relative to the body's


class People(Record):
    """B people: who they are, how they hold themselves, where their joints are in the picture."""

    def point(self, side, forward, up):
        """A point of a person's own axes in the picture plane: (x, y)."""
        depth = forward * self.cos - side * self.sin  # towards the camera
        x = (side * self.cos + forward * self.sin) * self.size
        # The camera looks down a little.
        y = (up - self.tilt * depth) * self.size - self.ground
        return x, y

    def heights(self, *metres):
        """Heights in the picture plane."""
        return [height * self.size - self.ground for height in metres]

    def breadth(self, frontal, sagittal):
        """Half width in the picture of an upright ellipse with these half widths."""
        return np.sqrt((frontal * self.cos) ** 2 + (sagittal * self.sin) ** 2) * self.size

    def one_side(self, near: int) -> "People":
        """The same people with the joints of their far (0) or near (1) side; far is dimmer."""
        people = self.only(slice(None))
        for joint in JOINTS:
            setattr(people, joint, getattr(self, joint)[:, near])  # (2, B)
        people.right = self.right[near]
        people.dim = np.where(near, 1.0, 0.85) * np.ones_like(self.size)
        return people

    def has(self, attribute: str, *kinds: str) -> np.ndarray:
        """Whose garment, hair or bag is one of these kinds (B,)."""
        numbers = [KINDS[attribute].index(kind) for kind in kinds]
        return np.isin(getattr(self, attribute), numbers)


def stand(identities: dict[str, np.ndarray], pose: dict[str, np.ndarray]) -> People:
    """Put the joints of walking bodies in place, from the phase of their step and their arms.

    Each joint becomes an array (2, 2, B): x and y; the side away from the camera, then the near
    one.
    """
    p = People(identities | pose)
    p.cos, p.sin, p.size = np.cos(p.yaw), np.sin(p.yaw), p.height / np.float32(1.75)
    sides = np.float32([[1], [-1]])  # left, right
    joints = place_legs(p, sides) | place_arms(p, sides)
    p.ground = (joints["ankle"][2].min(0) - 0.072) * p.size  # the lower foot stands on the ground
    p.spread = np.abs(np.sin(p.phase)) * p.stride  # of the legs, radians
    far_first = np.argsort(-sides * p.sin, axis=0)  # (2, B)
    p.right = far_first == 1  # whether the far and the near side is the right one
    for name, axes in joints.items():
        x, y = p.point(*axes)  # (2, B) each, left and right
        ordered = [np.take_along_axis(values, far_first, 0) for values in (x, y)]
        setattr(p, name, np.stack(ordered))
    return p


def place_legs(p: People, sides: np.ndarray) -> dict[str, tuple]:
    """Hips, knees, ankles and toes on a person's own axes, (2, B) left and right."""
    swing = p.stride * sides * np.sin(p.phase)  # (2, B) radians
    # The leg that comes forward is lifted.
    shin = swing - p.stride * (0.2 + 1.3 * np.maximum(sides * np.cos(p.phase), 0))
    knee_forward, knee_up = 0.44 * np.sin(swing), 0.92 - 0.44 * np.cos(swing)
    forward, up = knee_forward + 0.41 * np.sin(shin), knee_up - 0.41 * np.cos(shin)
    return {
        "hip": (0.082 * sides * p.width, 0.0, 0.92),
        "knee": (0.076 * sides * p.width, knee_forward, knee_up),
        "ankle": (0.070 * sides * p.width, forward, up),
        "toe": (0.095 * sides * p.width, forward + 0.155, up - 0.03),
    }


def place_arms(p: People, sides: np.ndarray) -> dict[str, tuple]:
    """Shoulders, elbows and hands on a person's own axes, (2, B) left and right."""
    upper = p.arm - 0.85 * (p.stride * sides * np.sin(p.phase))  # (2, B) radians
    fore = upper + p.elbow
    shoulder = 0.146 * sides * p.shoulders * LOOSE[p.top]
    side = shoulder + sides * (0.045 * p.width)
    forward, up = 0.28 * np.sin(upper), 1.362 - 0.28 * np.cos(upper)
    return {
        "shoulder": (shoulder, 0.0, 1.362),
        "elbow": (side, forward, up),
        "hand": (
            side - sides * 0.03 * p.elbow,
            forward + 0.24 * np.sin(fore),
            up - 0.24 * np.cos(fore),
        ),
    }
