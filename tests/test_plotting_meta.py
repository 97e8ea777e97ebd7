"""The meta-step's figures: the numbers that were given, and the opening keeps its answer back."""

import pytest
import torch
from matplotlib.colors import to_hex

from metabin.analysis.toy import toy_step
from metabin.analysis.trace import GROUPS, Phase
from metabin.plotting import LOOKS
from metabin.plotting import meta as drawing
from metabin.plotting.pictures import meta_question


def arrows(axis) -> list[tuple[float, float]]:
    """From where to where the arrows of an axis point, across."""
    found = [text for text in axis.texts if getattr(text, "arrowprops", None)]
    return [(text.xyann[0], text.xy[0]) for text in found]


def test_a_step_is_drawn_on_both_curves_as_the_pencil_computes_it():
    axis = drawing.draw_steps({"one": toy_step(0.6, inner_lr=0.5, outer_lr=0.25)}).axes[0]
    assert arrows(axis) == [pytest.approx((0.6, 0.4)), pytest.approx((0.6, 0.7))]
    for line, (lowest, curvature) in zip(axis.lines[:2], ((0.2, 1.0), (0.5, 4.0)), strict=True):
        x, y = torch.tensor(line.get_xydata()).T
        torch.testing.assert_close(y, curvature / 2 * (x - lowest) ** 2)


def test_the_opening_picture_shows_the_inner_move_and_keeps_the_outer_one_back():
    axis = meta_question().axes[0]
    assert arrows(axis) == [pytest.approx((0.6, 0.4))]
    assert {"1", "2", "ρ′"} <= {text.get_text() for text in axis.texts}
    assert not {"3", "new ρ"} & {text.get_text() for text in axis.texts}


def test_a_step_without_an_inner_move_has_one_arrow_and_says_so():
    axis = drawing.draw_steps({"plain": toy_step(0.6, 0.0, 0.1)}).axes[0]
    assert arrows(axis) == [pytest.approx((0.6, 0.56))]
    assert {"ρ = ρ′", "3", "new ρ"} <= {text.get_text() for text in axis.texts}


def test_tangents_touch_the_curves_with_the_given_slopes():
    step = toy_step(0.6, 0.5, 0.25)
    axis = drawing.draw_steps({"": step}).axes[0]
    straight = [line for line in axis.lines[2:] if line.get_ls() == "-"]
    tangents = [line.get_xydata() for line in straight if len(line.get_xydata()) == 2]
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in tangents]
    assert slopes == pytest.approx([0.4, -0.4])


PHASES = (
    Phase("3, 5, 6", "base update", {"weights θ_f": (1200, 0.5)}),
    Phase("9, 11, 12", "inner update", {}, virtual=0.25),
    Phase("13, 15", "meta update", {"ρ": (7, 0.125)}),
)


def test_a_phases_cells_say_what_moved_and_how_far():
    axis = drawing.draw_phases(PHASES).axes[0]
    rho, virtual = GROUPS.index("ρ"), len(GROUPS)
    written = {}
    for text in axis.texts:
        x, y = text.get_position()
        written[int(y), int(x)] = text.get_text()
    assert written == {(0, 0): "0.5  in 1,200", (1, virtual): "0.25", (2, rho): "0.12  in 7"}
    tiles = axis.collections[0].get_array()
    assert (tiles != drawing.STILL).sum() == len(written)
    assert tiles[0, 0] == drawing.MOVED and tiles[1, virtual] == drawing.VIRTUAL
    colour = to_hex(axis.collections[0].get_facecolors()[2 * tiles.shape[1] + rho])
    assert colour.upper() == LOOKS["metabin"].colour


def test_later_phases_stay_empty_while_one_steps_through():
    axis = drawing.draw_phases(PHASES, until=1).axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.5  in 1,200"]
    assert axis.collections[0].get_array().shape == (len(PHASES), len(GROUPS) + 1)
