"""One look per method and per loss, the house style, and files that come out the same each time."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

STYLE = Path(__file__).with_name("metabin.mplstyle")
INK, FAINT = "#222222", "#999999"  # lines that are no method's and no loss's, and their ground
RIGHT, WRONG = "#009E73", "#C84B00"  # pictures of a rank list


@dataclass(frozen=True)
class Look:
    """How a method is drawn everywhere: a colour and, as second cues, marker, hatch and line."""

    name: str
    colour: str
    marker: str
    hatch: str
    line: str | tuple

    @property
    def size(self) -> int:
        """The marker's size in points: a star's rays are thin."""
        return 16 if self.marker == "*" else 10

    @property
    def marks(self) -> dict:
        """Colour and marker, as `Axes.plot` takes them."""
        return {"color": self.colour, "marker": self.marker}

    @property
    def curve(self) -> dict:
        """Colour, marker, line and name, as `Axes.plot` takes them."""
        return self.marks | {"ls": self.line, "label": self.name}

    @property
    def bars(self) -> dict:
        """Colour and hatch, as `Axes.bar` takes them."""
        return {"color": self.colour, "hatch": self.hatch}


class Looks(dict[str, Look]):
    """Looks by name; what has none, such as a method from outside, gets a neutral look."""

    def __missing__(self, name: str) -> Look:
        return Look(name, "#777777", "o", "", "-")


# Okabe and Ito's colour-blind safe palette, its lightness stretched so that a greyscale print
# keeps the methods apart: L* is 37, 80, 70, 58, 49 in this order, 73 for the paper's numbers, 0
# for what nobody may claim.
LOOKS = Looks(
    {
        "bn": Look("BN", "#005A9C", "o", "//", "-"),
        "in": Look("IN", "#F5BE41", "s", "\\\\", "--"),
        "half": Look("Half", "#56B4E9", "^", "..", "-."),
        "bin": Look("BIN", "#009E73", "D", "xx", (0, (5, 1, 1, 1, 1, 1))),
        "metabin": Look("MetaBIN", "#C84B00", "*", "", "-"),
        "paper": Look("paper", "#B3B3B3", "P", "--", ":"),
        "oracle": Look("oracle", "#000000", "X", "oo", (0, (1, 1))),
    }
)


# No loss looks like a method; the last two are sums for an inner step.
LOSSES = Looks(
    {
        "id": Look("id", "#332288", "v", "", "-"),
        "triplet": Look("triplet", "#AA4499", "o", "", "-"),
        "scatter": Look("scatter", "#999933", "s", "", "--"),
        "shuffle": Look("shuffle", "#44AA99", "^", "", "-."),
        "scatter + shuffle": Look("scatter + shuffle", "#44AA99", "s", "", "--"),
        "all": Look("all", "#222222", "D", "", ":"),
    }
)


def use_style() -> None:
    """Draw in the house style (metabin.mplstyle) from here on."""
    matplotlib.style.use(STYLE)


def save(figure: Figure, path: Path | str) -> Path:
    """Write a figure, the same numbers as the same bytes; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # would change every time
    with matplotlib.style.context(STYLE):
        figure.savefig(path, metadata=dated.get(path.suffix))
    return path


def to_picture(image: Tensor) -> np.ndarray:
    """A uint8 image (3, H, W) as matplotlib wants it, (H, W, 3)."""
    return image.permute(1, 2, 0).cpu().numpy()
