"""How the style mixer of lesson 02 is drawn. Light enough to follow a slider."""

from collections.abc import Mapping

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metabin.analysis import Seen
from metabin.plotting.retrieval import RankList, draw_rank_list
from metabin.plotting.style import FAINT, LOOKS, to_picture


def draw_style_mixer(
    picture: Tensor, seen: Mapping[str, Seen], gallery: Tensor, first: int = 6
) -> Figure:
    """A query (3, H, W) in its style and, a row for each network, its feature and its rank list.

    The list shows the `first` pictures of the gallery (G, 3, H, W). The feature's numbers are
    sorted by their neutral values, which are the grey line: a dot on it didn't move. A layout
    engine would take half of the time, so all stands at fixed shares of the figure.
    """
    row = 1 / len(seen)  # a row's height, in figures
    figure = plt.figure(figsize=(10.4, 1.66 * len(seen)), layout="none")
    axis = figure.add_axes((0.0, 0.5 - 0.9 * row, 0.16, 1.8 * row))
    axis.imshow(to_picture(picture))
    axis.set_axis_off()
    axis.set_title("the query", fontsize=14, loc="center")
    for number, (name, view) in enumerate(seen.items(), 1):
        bottom = 1 - number * row
        _draw_feature(figure.add_axes((0.27, bottom + 0.12 * row, 0.27, 0.76 * row)), name, view)
        axis = figure.add_axes((0.56, bottom, 0.44, row), frameon=False, xticks=[], yticks=[])
        order = view.order[:first]
        draw_rank_list(axis, RankList(None, gallery[order], view.right[:first]), 0, 1.6)
        height, width = gallery.shape[-2:]
        axis.set(xlim=(0, (width + 8) * first + 8), ylim=(height + 3, -14))
    return figure


def _draw_feature(axis: Axes, name: str, view: Seen) -> None:
    look, order = LOOKS[name], view.neutral.argsort()  # (D,)
    size = 8 if look.marker == "*" else 5  # a star fills less of its square
    dots = {"marker": look.marker, "ms": size, "mfc": look.colour, "mec": "none", "ls": ""}
    axis.plot(view.neutral[order].numpy(), color=FAINT, lw=2)
    axis.plot(view.feature[order].numpy(), **dots)
    axis.set(xticks=[], yticks=[], ylim=(-0.5, 0.5))
    left = {"transform": axis.transAxes, "ha": "right"}
    axis.text(-0.04, 0.62, look.name, fontsize=15, weight="bold", **left)
    axis.text(-0.04, 0.1, f"cos {view.kept:.2f}\nrank {view.rank}", fontsize=13, **left)
