"""README's first picture: one person on three streets, and whom three networks find."""

from dataclasses import replace
from statistics import mean

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import extract_features
from metabin.experiments import at_home, finished_metrics, lesson_streets, load_network
from metabin.experiments.tasks import FAR, UNSEEN
from metabin.plotting.retrieval import RankList, draw_rank_list
from metabin.plotting.style import LOOKS
from metabin.streets import query_gallery

METHODS = ("bn", "in", "metabin")
# Test of finished trainings -> style of the street (None: as it was trained on), its title, and
# which of METHODS have the right person first.
TESTS = {
    "home": (None, "A street that\nit was trained on", (True, False, True)),
    "unseen": (UNSEEN, "The street looks\nas none in training", (False, True, True)),
    "far": (FAR, "… and further\naway still", (False, True, False)),
}
SHOWN = 3  # pictures of a rank list
SIZE, POINTS = (14, 6.6), 1.9  # inches of the figure; points of one pixel
TOPS, BOTTOM = (-18, 0, 0), 82  # of each row, in pixels: the first has titles
BOLD = {"fontsize": 18, "fontweight": "bold"}


def draw_people() -> plt.Figure:
    """figures/people.svg: the same person on one street, drawn in three styles.

    The person is the first with whom every network does as TESTS says: picked, so each list has
    beside it how many of all people the method finds in ten worlds.
    """
    lists, person = _picked()
    widths = [1.25, *[SHOWN + 0.9] * len(METHODS)]
    ratios = {"width_ratios": widths, "height_ratios": [BOTTOM - top for top in TOPS]}
    figure, axes = plt.subplots(len(TESTS), len(widths), figsize=SIZE, **ratios)
    for top, row, (test, (_, title, _)) in zip(TOPS, axes, TESTS.items(), strict=True):
        query, best = lists[test]
        _draw(row[0], RankList(query.images[person], query.images[:0], []), top)
        row[0].text(-8, 46, title, ha="right", va="center", fontsize=16)
        for axis, method in zip(row[1:], METHODS, strict=True):
            images, right = best[method]
            _draw(axis, RankList(None, images[person], right[person]), top)
            rate = 100 * mean(finished_metrics(method, test)["rank1"])
            axis.text(SHOWN * 40 + 24, 46, f"{rate:.0f} %", ha="center", va="center", **BOLD)
    for axis, method in zip(axes[0, 1:], METHODS, strict=True):
        look = LOOKS[method]
        axis.text(2, -8, f"{look.name} finds", **BOLD)
        axis.text(SHOWN * 40 + 24, -8, "of all", fontsize=14, ha="center")
        axis.hlines(-4, 2, SHOWN * 40 + 40, color=look.colour, lw=4)
    return figure


def _draw(axis: plt.Axes, ranked: RankList, top: float) -> None:
    """A list at the same scale in every panel, with room for a rate beside it."""
    draw_rank_list(axis, ranked, 14, POINTS)
    count = len(ranked.images) or 1
    axis.set(xlim=(0, 40 * count + 8 + 34 * (count > 1)), ylim=(BOTTOM, top))
    axis.axis("off")


def _picked() -> tuple[dict, int]:
    """Queries and each network's best pictures by test, on the first street with such a person."""
    home = at_home(lesson_streets())
    networks = {method: load_network(method) for method in METHODS}
    for street in home.sources:
        lists, as_told = {}, torch.tensor(True)
        for test, (style, _, story) in TESTS.items():
            task = replace(home, targets=(street,), target_style=style)
            query, gallery = query_gallery(task.target_set())
            best = {method: _best(networks[method], query, gallery) for method in METHODS}
            first = torch.stack([right[:, 0] for _, right in best.values()], 1)  # (Q, methods)
            as_told = as_told & (first == torch.tensor(story)).all(1)  # (Q,)
            lists[test] = query, best
        if as_told.any():
            return lists, int(as_told.nonzero()[0])
    raise LookupError("with nobody on these streets do the networks do as the picture says")


def _best(network: nn.Module, query: ImageSet, gallery: ImageSet) -> tuple[Tensor, Tensor]:
    """Every query's best pictures (Q, SHOWN, 3, H, W), and which of them are right (Q, SHOWN)."""
    scores = extract_features(network, query) @ extract_features(network, gallery).T  # (Q, G)
    order = scores.topk(SHOWN).indices
    return gallery.images[order], gallery.pids[order] == query.pids[:, None]
