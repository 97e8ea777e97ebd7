"""The teaser of lesson 06: the paper's step sizes by hand, and the committed drawing up to date."""

import pytest
from matplotlib import pyplot as plt

from metabin.config import Config
from metabin.plotting import STYLE, save
from metabin.plotting.training import draw_schedule
from metabin.runs.provenance import ROOT

FIGURES = ROOT / "figures"


def test_the_schedule_has_the_papers_step_sizes():
    alpha, beta = (axis.lines[0] for axis in draw_schedule(Config()).axes)
    at = {round(x): y for x, y in zip(*alpha.get_data(), strict=True) if x == round(x)}
    assert [at[x] for x in (0, 5, 10, 39, 40, 70)] == pytest.approx(
        [1e-3, 5.5e-3, 1e-2, 1e-2, 1e-3, 1e-4]
    )
    swing = dict(zip(*beta.get_data(), strict=True))
    assert [swing[x] for x in (0, 2.5, 5)] == pytest.approx([0.001, 0.1, 0.001])
    assert sum(abs(y - 0.1) < 1e-9 for y in swing.values()) == 20, "a hundred epochs, five a swing"


def test_the_committed_drawing_is_the_one_of_today(tmp_path):
    with plt.style.context(STYLE):
        one, two = (
            save(draw_schedule(Config()), tmp_path / f"{name}.svg").read_bytes() for name in "ab"
        )
    assert one == two
    committed = FIGURES / "schedule.svg"
    assert committed.read_text(encoding="utf-8").count("<path") == one.decode().count("<path")
