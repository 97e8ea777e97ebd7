"""The figures of lesson 04: every point, arrow and picture where it belongs."""

from functools import partial

import torch
from matplotlib.colors import to_rgba

from metabin.analysis.plane import eighteen_points, push
from metabin.losses import scatter_loss, shuffle_loss, triplet_loss
from metabin.plotting import LOSSES
from metabin.plotting.losses import DOMAINS, draw_batch, draw_chosen, draw_pushes, draw_walks

POINTS, PIDS, WHERE = eighteen_points()
PUSHES = {
    "scatter": push(partial(scatter_loss, domains=WHERE), POINTS),
    "shuffle": push(partial(shuffle_loss, pids=PIDS, domains=WHERE), POINTS),
    "triplet": push(partial(triplet_loss, pids=PIDS), POINTS),
}


def arrows(axis):
    """Tails and arrows of a panel's quiver, (N, 2) each."""
    [quiver] = axis.collections
    lengths = torch.tensor([quiver.U.tolist(), quiver.V.tolist()]).T
    return torch.tensor(quiver.get_offsets().tolist()), lengths


def test_arrows_start_at_the_points_and_the_longest_has_the_length_asked_for():
    figure = draw_pushes(POINTS, PIDS, WHERE, PUSHES)
    for axis, (name, expected) in zip(figure.axes, PUSHES.items(), strict=True):
        tails, drawn = arrows(axis)
        torch.testing.assert_close(tails, POINTS)
        torch.testing.assert_close(drawn, expected * 0.8 / expected.norm(dim=1).max())
        assert axis.get_xlabel() == f"longest arrow: {expected.norm(dim=1).max():.2g}"
        [colour] = axis.collections[0].get_facecolor().tolist()
        assert tuple(colour) == to_rgba(LOSSES[name].colour)


def test_a_loss_that_pushes_nothing_is_drawn_as_that():
    (axis,) = draw_pushes(POINTS, PIDS, WHERE, {"shuffle": torch.zeros(18, 2)}).axes
    assert not arrows(axis)[1].any() and axis.get_xlabel() == "longest arrow: 0"


def test_a_points_marker_says_the_domain_and_its_fill_the_person():
    axis = draw_walks({"here": POINTS[None]}, PIDS, WHERE).axes[0]
    marks = [line for line in axis.lines if line.get_marker() != "None"]
    last = marks[18:36]  # after the faint first positions
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
    drawn = torch.tensor([line.get_xydata().tolist() for line in joined])  # (2, 2, 2)
    torch.testing.assert_close(drawn, POINTS[torch.tensor([[5, 3], [5, 1]])])
    assert joined[0].get_linestyle() != joined[1].get_linestyle()
    for pick in (3, 1):
        assert f"{(POINTS[5] - POINTS[pick]).norm():.2f}" in axis.get_xlabel()


def test_a_batch_shows_every_picture_with_people_apart_and_its_side_marked():
    images = torch.arange(8).view(2, 4, 1, 1, 1).expand(2, 4, 3, 6, 4).byte()
    rows = {"a": images[0], "b": images[1]}
    (axis,) = draw_batch(rows, images_per_id=2, meta_train=["b"]).axes
    corners = [(image.get_extent()[0], image.get_extent()[3]) for image in axis.images]
    lefts = [0, 7, 26, 33]  # 4 wide, gap 3; another person 12 further
    assert corners == [(left - 0.5, top - 0.5) for top in (0, 9) for left in lefts]
    assert [image.get_array().max() for image in axis.images] == list(range(8))
    assert [bar.get_hatch() for bar in axis.patches] == ["////", None]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
