"""README's first picture: one person on three streets, and whom three networks find."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metabin.evaluate.retrieval import extract_features
from metabin.experiments import at_home, finished_metrics, lesson_streets, load_network
from metabin.experiments.tasks import FAR, UNSEEN
from metabin.plotting.retrieval import RankList, draw_rank_list
from metabin.plotting.style import LOOKS
from metabin.streets import query_gallery

METHODS = ("bn", "in", "metabin")
TESTS = {  # of finished trainings -> style of the street, None: as it was trained on; its name
    "home": (None, "A street that\nit was trained on"),
    "unseen": (UNSEEN, "The street looks\nas none in training"),
    "far": (FAR, "… and further\naway still"),
}
STORY = {  # whose best picture is right: of METHODS, in this order
    "home": (True, False, True),
    "unseen": (False, True, True),
    "far": (False, True, False),
}
SHOWN = 3  # pictures of a rank list
SIZE, POINTS = (14, 6.6), 1.9  # inches of the figure; points of one pixel
TOPS, BOTTOM = (-18, 0, 0), 82  # of each row, in pixels: the first has titles


def draw_people() -> Figure:
    """figures/people.svg: the same person on one street, drawn in three styles.

    The person is the first of whom STORY is true: picked, so each list has beside it how many of
    all people the method finds in ten worlds.
    """
    streets, found, person = _picked()
    widths = [1.25, *[SHOWN + 0.9] * len(METHODS)]
    ratios = {"width_ratios": widths, "height_ratios": [BOTTOM - top for top in TOPS]}
    figure, axes = plt.subplots(len(TESTS), len(widths), figsize=SIZE, **ratios)
    for top, row, (test, (_, title)) in zip(TOPS, axes, TESTS.items(), strict=True):
        query, gallery = streets[test]
        _draw(row[0], RankList(query.images[person], query.images[:0], []))
        row[0].text(-8, 46, title, ha="right", va="center", fontsize=16)
        row[0].set_ylim(BOTTOM, top)
        for axis, method in zip(row[1:], METHODS, strict=True):
            order, right = found[test][method]
            _draw(axis, RankList(None, gallery.images[order[person]], right[person]))
            rate = 100 * mean(finished_metrics(method, test)["rank1"])
            words = {"fontsize": 18, "fontweight": "bold", "ha": "center", "va": "center"}
            axis.text(SHOWN * 40 + 24, 46, f"{rate:.0f} %", **words)
            axis.set_ylim(BOTTOM, top)
    for axis, method in zip(axes[0, 1:], METHODS, strict=True):
        look = LOOKS[method]
        axis.text(2, -8, f"{look.name} finds", fontsize=18, fontweight="bold")
        axis.text(SHOWN * 40 + 24, -8, "of all", fontsize=14, ha="center")
        axis.hlines(-4, 2, SHOWN * 40 + 40, color=look.colour, lw=4)
    return figure


def _draw(axis: Axes, ranked: RankList) -> None:
    """A list at the same scale in every panel, with room for a rate beside it."""
    draw_rank_list(axis, ranked, 14, POINTS)
    count = len(ranked.images) or 1
    axis.set(xlim=(0, 40 * count + 8 + 34 * (count > 1)))
    axis.axis("off")


def _picked() -> tuple[dict, dict, int]:
    """Query and gallery of a street by test, what each network finds there, and whom we picked."""
    home = at_home(lesson_streets())
    networks = {method: load_network(method) for method in METHODS}
    for street in home.sources:
        streets, found = {}, {}
        for test, (style, _) in TESTS.items():
            task = replace(home, targets=(street,), target_style=style)
            streets[test] = query_gallery(task.target_set())
            found[test] = {m: _best(network, *streets[test]) for m, network in networks.items()}
        told = torch.stack([_as_told(found[test], STORY[test]) for test in TESTS]).all(0)  # (Q,)
        if told.any():
            return streets, found, int(told.nonzero()[0])
    raise LookupError("of nobody on these streets the story is true")


def _best(network, query, gallery) -> tuple[Tensor, Tensor]:
    """The best pictures of every query, (Q, SHOWN) each: which, and whether they are right."""
    scores = extract_features(network, query) @ extract_features(network, gallery).T  # (Q, G)
    order = scores.topk(SHOWN).indices
    return order, gallery.pids[order] == query.pids[:, None]


def _as_told(found: Mapping[str, tuple], story: tuple[bool, ...]) -> Tensor:
    """Of which queries (Q,) each method's best picture is as right or wrong as the story says."""
    first = torch.stack([right[:, 0] for _, right in found.values()], 1)  # (Q, methods)
    return (first == torch.tensor(story)).all(1)
