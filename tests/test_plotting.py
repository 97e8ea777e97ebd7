"""The figures: every number drawn, and drawn the same each time."""

import matplotlib
import pytest
import torch

from metabin.plotting import METHODS, draw_balances, draw_pictures, draw_rankings, draw_spine, plt, save

matplotlib.use("Agg")
PEOPLE = torch.randint(0, 256, (6, 3, 16, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SEEDS = [0.2, 0.3, 0.4]
ROWS = {"bn": SEEDS, "metabin": [0.5, 0.6, 0.7], "metabin + oracle rho": [0.8, 0.8, 0.8]}
REPORT = {
    setting: {"methods": {name: {"rank1": seeds} for name, seeds in ROWS.items()}}
    for setting in ("unseen_streets", "same_streets")
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_comparison_draws_each_methods_mean_each_seed_and_the_oracle():
    axis = draw_spine(REPORT).axes[0]
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([30, 60])
    assert [line.get_ydata().tolist() for line in axis.lines] == [
        pytest.approx([100 * s for s in ROWS[m]]) for m in ("bn", "metabin")
    ]
    assert axis.collections[0].get_segments()[0][:, 1].tolist() == pytest.approx([80, 80])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["BN", "MetaBIN"]


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    one, two = (save(draw_spine(REPORT), tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert one == two and len(one) > 1000


def test_pictures_stand_in_rows_with_their_colours():
    figure = draw_pictures({"one": PEOPLE[:4], "two": PEOPLE[4:]}, gap=2)
    first, second = (axis.images[0].get_array() for axis in figure.axes)
    assert first.shape == second.shape == (16, 4 * 10 - 2, 3)
    assert (first[:, 10:18] == PEOPLE[1].permute(1, 2, 0).numpy()).all()
    assert (second[:, 20:] == 255).all()  # the shorter row ends in white


def test_a_rank_list_marks_right_pictures_by_more_than_colour():
    figure = draw_rankings({"BN": (PEOPLE[0], PEOPLE[1:4], torch.tensor([True, False, True]))})
    query, *ranked = figure.axes
    assert [axis.get_title() for axis in ranked] == ["1 ✓", "2", "3 ✓"]
    assert len({(a.spines["left"].get_edgecolor(), a.spines["left"].get_linestyle()) for a in ranked}) == 2
    assert query.get_ylabel() == "BN"


def test_a_histogram_counts_every_channel():
    figure = draw_balances({"MetaBIN": torch.linspace(0, 1, 50)})
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 50
    assert figure.axes[0].patches[0].get_facecolor() == matplotlib.colors.to_rgba(METHODS["metabin"].colour)
