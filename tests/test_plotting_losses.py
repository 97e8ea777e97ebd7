"""The figures of lesson 04: every point, arrow and picture where it belongs, and the committed teaser up to date."""

import re
from functools import partial

import matplotlib
import pytest
import torch

from metabin.analysis.plane import eighteen_points, push
from metabin.losses import scatter_loss, shuffle_loss, triplet_loss
from metabin.plotting import LOOKS, LOSSES, STYLE, save
from metabin.plotting.losses import (
    DOMAINS,
    draw_batch,
    draw_chosen,
    draw_pushes,
    draw_teaser,
    draw_walks,
)
from metabin.runs.provenance import ROOT

FIGURES = ROOT / "figures"

POINTS, PIDS, WHERE = eighteen_points()
PUSHES = {
    "scatter": push(partial(scatter_loss, domains=WHERE), POINTS),
    "shuffle": push(partial(shuffle_loss, pids=PIDS, domains=WHERE), POINTS),
    "triplet": push(partial(triplet_loss, pids=PIDS), POINTS),
}


def arrows(axis):
    """Tails and arrows of a panel's quiver, (N, 2) each."""
    (quiver,) = (c for c in axis.collections if isinstance(c, matplotlib.quiver.Quiver))
    return torch.tensor(quiver.get_offsets().tolist()), torch.tensor(
        [quiver.U.tolist(), quiver.V.tolist()]
    ).T


def test_arrows_start_at_the_points_and_the_longest_has_the_length_asked_for():
    figure = draw_pushes(POINTS, PIDS, WHERE, PUSHES, longest=0.5)
    for axis, (name, expected) in zip(figure.axes, PUSHES.items(), strict=True):
        tails, drawn = arrows(axis)
        torch.testing.assert_close(tails, POINTS)
        torch.testing.assert_close(drawn, expected * 0.5 / expected.norm(dim=1).max())
        assert axis.get_xlabel() == f"longest arrow: {expected.norm(dim=1).max():.2g}"
        assert axis.collections[0].get_facecolor()[0].tolist() == list(
            matplotlib.colors.to_rgba(LOSSES[name][0])
        )


def test_a_loss_that_pushes_nothing_is_drawn_as_that():
    (axis,) = draw_pushes(POINTS, PIDS, WHERE, {"shuffle": torch.zeros(18, 2)}).axes
    assert not arrows(axis)[1].any() and axis.get_xlabel() == "longest arrow: 0"


def test_a_points_marker_says_the_domain_and_its_fill_the_person():
    axis = draw_walks({"here": POINTS[None]}, PIDS, WHERE).axes[0]
    last = [line for line in axis.lines if line.get_marker() != "None"][
        18:36
    ]  # after the faint first positions
    for line, pid, domain in zip(last, PIDS.tolist(), WHERE.tolist(), strict=True):
        assert line.get_marker() == DOMAINS[domain][1]
        assert (line.get_markerfacecolor() == "white") == bool(pid % 2)


def test_a_walk_is_drawn_from_its_first_to_its_last_position():
    path = torch.stack([POINTS, POINTS + 1, POINTS + 3])
    axis = draw_walks({"away": path}, PIDS, WHERE).axes[0]
    trails = [line for line in axis.lines if len(line.get_xdata()) == 3]
    drawn = torch.tensor([line.get_xydata().tolist() for line in trails])  # (N, T, 2)
    torch.testing.assert_close(drawn, path.transpose(0, 1))
    low, high = axis.get_xlim()
    assert low < 0 and high > path[..., 0].max()  # the origin and all positions are in the picture


def test_an_anchors_picks_are_joined_to_it_and_their_distances_written():
    (axis,) = draw_chosen(POINTS, PIDS, WHERE, {"triplet": (5, {"p": 3, "n": 1})}).axes
    joined = [line for line in axis.lines if len(line.get_xdata()) == 2]
    expected = [POINTS[[5, i]] for i in (3, 1)]
    torch.testing.assert_close(
        [torch.tensor(line.get_xydata().tolist()) for line in joined], expected
    )
    assert joined[0].get_linestyle() != joined[1].get_linestyle()
    for pick in (3, 1):
        assert f"{(POINTS[5] - POINTS[pick]).norm():.2f}" in axis.get_xlabel()


def test_a_batch_shows_every_picture_with_people_apart_and_its_side_marked():
    images = torch.randint(
        0, 255, (2, 4, 3, 6, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    figure = draw_batch({"a": images[0], "b": images[1]}, images_per_id=2, meta_train=["b"], gap=1)
    ground, bars = figure.axes[0].images[0].get_array(), figure.axes[0].patches
    for row, top in enumerate((0, 7)):
        for i, left in enumerate((0, 5, 14, 19)):  # 4 wide, gap 1; another person 4 further
            assert (
                ground[top : top + 6, left : left + 4] == images[row, i].permute(1, 2, 0).numpy()
            ).all()
    assert [bar.get_hatch() for bar in bars] == ["////", None]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_a_domains_colour_is_no_methods_and_no_losss():
    taken = {look.colour for look in LOOKS.values()} | {colour for colour, _ in LOSSES.values()}
    assert {colour for colour, _, _ in DOMAINS} & taken == set()


def test_the_same_points_give_the_same_bytes(tmp_path):
    one, two = (save(draw_teaser(), tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert one == two and len(one) > 1000


def test_the_opening_picture_asks_the_points_are_there_and_no_arrow():
    figure = draw_teaser()
    for axis, name in zip(figure.axes, ("scatter", "shuffle", "triplet"), strict=True):
        assert (axis.get_title(loc="left") or axis.get_title()).startswith(name)
        assert not axis.collections and not axis.texts, "an arrow would be the answer"
        drawn = {tuple(line.get_xydata()[0]) for line in axis.lines if line.get_marker() != "None"}
        assert {tuple(point) for point in POINTS.double().tolist()} <= drawn


def test_the_committed_opening_picture_is_todays(tmp_path):
    """By where its markers stand."""
    with matplotlib.style.context(STYLE):
        today = save(draw_teaser(), tmp_path / "losses.svg")
    drawn, kept = (
        [
            float(number)
            for place in re.findall(
                r'<use [^>]*?x="(.*?)" y="(.*?)"', path.read_text(encoding="utf-8")
            )
            for number in place
        ]
        for path in (today, FIGURES / "losses.svg")
    )
    assert len(drawn) > 100 and kept == pytest.approx(drawn, abs=1), (
        "draw it again: python -m metabin figures --picture losses"
    )
