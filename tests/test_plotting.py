"""The figures: every number drawn where it belongs, in its method's look, the same each time."""

import pytest
import torch
from conftest import title_of
from matplotlib.colors import to_rgba

from metabin import plotting
from metabin.config import Config
from metabin.plotting import LOOKS, LOSSES, claims, meta, retrieval, save
from metabin.plotting.embeddings import MOMENTS
from metabin.plotting.history import draw_schedule
from metabin.plotting.losses import DOMAINS
from metabin.plotting.rho import BALANCE
from metabin.plotting.speed import SHARES

PEOPLE = torch.randint(
    0, 256, (6, 3, 16, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
SEEDS = [0.2, 0.3, 0.4]
DRIFT = {
    "mean": torch.tensor([[0.1, 9.0], [0.2, 9.0]]),
    "var": torch.tensor([[1.0, 9.0], [0.5, 9.0]]),
}
GAP = {"cosine": torch.tensor([[1.0, 0.5], [1.0, 0.7], [0.9, 0.6]]), "length": torch.ones(3, 2)}
SPACE = dict.fromkeys(MOMENTS.values(), [0.2, 0.4])
LATER = SPACE | {"rank1": [0.4, 0.6], "purity": [0.1, 0.3]}
MOMENT = {"bn": {"10": SPACE, "100": LATER}}
CHANGE = torch.tensor([[0.1, 0.0, 0.2], [-0.2, -0.3, -0.1]])
STEPS = {loss: {"move": CHANGE, "mAP": CHANGE} for loss in ("triplet", "scatter + shuffle")}
QUARTILES = [[1.0] * 4] * 3, [[0.6, 0.4, 0.6, 0.8]] * 3  # of two layers, and of all channels

LINES = {  # figure, number of the panel, y of its first lines
    "readings and guessing": (
        lambda: plotting.draw_readings({"style": {"bn": [0.9, 0.8]}}, {"style": 0.125}),
        0,
        [[90, 80], [12.5, 12.5]],
    ),
    "a knob": (
        lambda: plotting.draw_knob({"style": {"bn": [0.5, 0.25]}}, {"style": [0, 2]}),
        0,
        [[50, 25]],
    ),
    "progress and levels": (
        lambda: plotting.draw_progress([60, 120], [0.2, 0.4], {"bn": 0.3}),
        0,
        [[20, 40], [30, 30]],
    ),
    "an inner step's move": (
        lambda: plotting.draw_inner_step(STEPS, (0.1, 1), {"move": "move", "mAP": "mAP"}),
        0,
        [[0.1, -0.2]],
    ),
    "an inner step's points": (
        lambda: plotting.draw_inner_step(STEPS, (0.1, 1), {"move": "move", "mAP": "mAP"}),
        1,
        [[10, -20]],
    ),
    "rho at a moment": (
        lambda: plotting.draw_rho_moment({"iterations": [0, 30], "rho": [QUARTILES]}, 1),
        0,
        [[0.6, 0.6]],
    ),
    "moments": (lambda: plotting.draw_moments(MOMENT, 0.17), 0, [[30, 50]]),
    "purity and guessing": (lambda: plotting.draw_moments(MOMENT, 0.17), 3, [[30, 20], [17, 17]]),
    "rank k": (
        lambda: retrieval.draw_cmc({"own": {"bn": torch.tensor([0.25, 0.5])}}),
        0,
        [[25, 50]],
    ),
    "needed worlds": (
        lambda: claims.draw_needed({"small": 1.0}, (0.5, 1.0), {"small": [40, 12]}),
        0,
        [[40, 12]],
    ),
    "luck and Holm's line": (
        lambda: claims.draw_luck([0.01, 0.2, 0.5, 0.9]),
        0,
        [[0.2, 0.4, 0.6, 0.8], [0.05 / 4, 0.05 / 3, 0.05 / 2, 0.05], [0.01, 0.2, 0.5, 0.9]],
    ),
    "every split and the median": (
        lambda: meta.draw_order_gap([0.1, 1], {"net": GAP}),
        0,
        [[1, 0.5], [1, 0.7], [0.9, 0.6], [1, 0.6]],
    ),
    "drift of the first layer's mean": (lambda: meta.draw_drift({"held": DRIFT}), 0, [[0.1, 0.2]]),
    "drift of its variance": (lambda: meta.draw_drift({"held": DRIFT}), 1, [[1, 0.5]]),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_are_drawn_at_the_numbers_that_were_given(name):
    draw, panel, expected = LINES[name]
    lines = draw().axes[panel].lines
    drawn = [pytest.approx(list(line.get_ydata())) for line in lines[: len(expected)]]
    assert expected == drawn


def test_the_schedule_has_the_papers_step_sizes():
    alpha, beta = (axis.lines[0] for axis in draw_schedule(Config()).axes)
    at = {round(x): y for x, y in zip(*alpha.get_data(), strict=True) if x == round(x)}
    sizes = [1e-3, 5.5e-3, 1e-2, 1e-2, 1e-3, 1e-4]
    assert [at[x] for x in (0, 5, 10, 39, 40, 70)] == pytest.approx(sizes)
    swing = dict(zip(*beta.get_data(), strict=True))
    assert [swing[x] for x in (0, 2.5, 5)] == pytest.approx([0.001, 0.1, 0.001])
    assert sum(abs(y - 0.1) < 1e-9 for y in swing.values()) == 20, "a hundred epochs, five a swing"


def row(method: str, unseen: list, home: list) -> dict:
    """A row of Table 1 of finished trainings; far streets are like home."""
    also = {test: {"metrics": {"rank1": home}} for test in ("far", "home")}
    return {"method": method, "metrics": {"rank1": unseen}, "also": also}


REPORT = {
    "rows": [
        row("bn", SEEDS, [0.9, 0.9, 0.9]),
        row("ibn", SEEDS, SEEDS),
        row("metabin", [0.5, 0.6, 0.7], SEEDS),
    ]
}


def test_the_three_tests_draw_each_methods_mean_and_each_world():
    home, unseen, _ = plotting.draw_three_tests(REPORT).axes
    assert [bar.get_height() for bar in unseen.patches] == pytest.approx([30, 60])
    assert [bar.get_height() for bar in home.patches] == pytest.approx([90, 30])
    drawn = [line.get_ydata().tolist() for line in unseen.lines]
    assert drawn == [pytest.approx([20, 30, 40]), pytest.approx([50, 60, 70])]
    assert [label.get_text() for label in unseen.get_xticklabels()] == ["BN", "MetaBIN"]


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    paths = [save(plotting.draw_three_tests(REPORT), tmp_path / f"{name}.svg") for name in "ab"]
    one, two = (path.read_bytes() for path in paths)
    assert one == two and len(one) > 1000


def test_pictures_stand_in_rows_of_their_own():
    (axis,) = plotting.draw_pictures({"one": PEOPLE[:4], "two": PEOPLE[4:]}).axes
    corners = [(image.get_extent()[0], image.get_extent()[3]) for image in axis.images]
    places = [(0, 0), (10, 0), (20, 0), (30, 0), (0, 18), (10, 18)]  # two pixels between them
    assert corners == [(x - 0.5, y - 0.5) for x, y in places]
    for image, picture in zip(axis.images, PEOPLE, strict=True):
        assert (image.get_array() == picture.permute(1, 2, 0).numpy()).all()
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]


def test_a_histogram_shows_the_share_of_channels_in_the_colour_of_their_balance():
    bars = plotting.draw_balances({"MetaBIN": torch.tensor([0.0, 0.0, 0.0, 1.0])}).axes[0].patches
    assert (bars[0].get_height(), bars[-1].get_height()) == (75, 25)
    assert sum(bar.get_height() for bar in bars) == 100
    assert bars[0].get_facecolor() == to_rgba(BALANCE(0.025))


def test_a_colour_that_is_no_methods_is_no_methods():
    methods = {look.colour for look in LOOKS.values()}
    losses = {look.colour for look in LOSSES.values()}
    others = {colour for colour, *_ in (*DOMAINS, *SHARES.values())}
    assert not methods & (losses | others) and not losses & others


# ---- a training run ------------------------------------------------------------------------------------------------


def test_losses_are_drawn_by_phase_each_once_faint_and_once_smoothed():
    history = {
        "base/id": [*range(100)],
        "meta_train/scatter": [1, 1, 1],
        "meta_train/shuffle": [4, 5, 6],
    }
    base, meta_train = plotting.draw_losses(history).axes
    assert [title_of(axis) for axis in (base, meta_train)] == ["Base step", "Meta-train"]
    faint, bold = (line.get_ydata().tolist() for line in base.lines)
    assert faint == history["base/id"]
    assert (bold[0], bold[50], bold[99]) == (6, 50, 93)  # as many as there are at both ends
    names = [text.get_text() for text in meta_train.get_legend().get_texts()]
    assert names == ["scatter", "shuffle"]


def test_rhos_history_has_a_panel_for_each_layer_and_one_for_all():
    summaries = torch.rand(4, 6, 4, generator=torch.Generator().manual_seed(0))
    axes = plotting.draw_rho_history([0, 5, 10, 15], summaries).axes
    panels = [axis for axis in axes if axis.get_visible()]
    titles = [f"layer {i}" for i in range(1, 6)] + ["all channels"]
    assert [title_of(axis) for axis in panels] == titles
    for i, axis in enumerate(panels):
        assert axis.lines[0].get_ydata().tolist() == pytest.approx(summaries[:, i, 0].tolist())


# ---- lesson 02 -----------------------------------------------------------------------------------------------------


def test_the_two_channel_world_shows_person_by_fill_and_street_by_marker():
    images = torch.arange(12.0).view(3, 2, 1, 2)
    lines = plotting.draw_two_channels({"BN": images}, [0, 1, 0], [0, 1, 2]).axes[0].lines
    assert [line.get_xdata().tolist() for line in lines] == [[0, 1], [4, 5], [8, 9]]
    assert [line.get_ydata().tolist() for line in lines] == [[2, 3], [6, 7], [10, 11]]
    assert [line.get_marker() for line in lines] == ["o", "s", "*"]
    assert [line.get_markerfacecolor() == "white" for line in lines] == [False, True, False]


def test_images_in_the_same_place_are_drawn_apart_and_counted():
    images = torch.zeros(4, 2, 1, 2)
    images[3] = 1
    axis = plotting.draw_two_channels({"IN": images}, [0, 1, 0, 1], [0, 1, 2, 2]).axes[0]
    heights = [line.get_ydata()[0] for line in axis.lines]
    assert len(set(heights)) == 4 and heights[3] == 1, "who is alone stays in place"
    assert sum(heights[:3]) == pytest.approx(0) and max(map(abs, heights[:3])) < 0.5
    assert [text.get_text() for text in axis.texts] == ["3 pictures\nin one place"]


def test_the_phase_diagram_colours_winners_and_leaves_the_undecided_grey():
    rows = {"bn": {"rank1": [0.6, 0.7]}, "in": {"rank1": [0.2, 0.3]}, "half": {"rank1": [0.5, 0.7]}}
    cell = {"style": 0.0, "colour": 1.0, "methods": rows, "winner": "bn"}
    cell |= {"lead": [0.1, 0.0], "decided": False}
    report = {"methods": ["bn", "in", "half"], "styles": [0.0], "colours": [0.0, 1.0]}
    left, right = plotting.draw_phase(report | {"cells": [cell]}).axes
    assert [[text.get_text() for text in axis.texts] for axis in (left, right)] == [
        ["+40"],
        ["BN\n+5"],
    ]
    undecided = [axis.collections[0].get_array().mask.tolist() for axis in (left, right)]
    assert undecided == [[[True], [False]], [[True], [True]]]  # what was not run, too
