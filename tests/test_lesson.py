"""What notebooks use: shown source, figures with alt text, records and checked answers, without a notebook around them."""

import base64
import json
import re

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from metabin import plotting
from metabin.course import answers, figures, lesson
from metabin.course.answers import CheckFailed, Exercise
from metabin.course.lesson import (
    agree,
    brief,
    check,
    figure,
    follow,
    record,
    report_interval,
    show,
    widget_with_twin,
)


@pytest.fixture
def published(monkeypatch):
    """The output bundles that a notebook would get."""
    bundles = []
    for module in (figures, lesson):
        monkeypatch.setattr(module, "publish", bundles.append)
    return bundles


@pytest.fixture
def live(monkeypatch):
    for module in (figures, answers):
        monkeypatch.setattr(module, "is_live", lambda: True)


# ---- show ----------------------------------------------------------------------------------------------------------


def test_show_gives_the_real_source_with_its_file_and_line(published):
    show(plotting.use_style)
    lines = (lesson.repo_root() / "metabin" / "plotting" / "style.py").read_text().splitlines()
    place, first = published[0]["text/plain"].split("\n")[:2]
    line = int(re.fullmatch(r"# metabin/plotting/style\.py, line (\d+)", place)[1])
    assert first == lines[line - 1] == "def use_style() -> None:"
    assert "matplotlib.style.use(STYLE)" in published[0]["text/markdown"]


def test_show_takes_a_class_and_looks_through_a_decorator(published):
    show(plotting.Look)
    show(torch.no_grad()(brief))
    assert "@dataclass(frozen=True)\nclass Look:" in published[0]["text/plain"]
    assert "def brief(value, unit" in published[1]["text/plain"]


def test_show_says_where_a_function_of_another_package_comes_from(published):
    show(torch.nn.functional.relu)
    assert published[0]["text/plain"].startswith("# torch.nn.functional, line ")


def test_show_keeps_a_source_with_a_code_fence_in_one_block(published):
    def fenced():
        """Like this: ```python x```."""

    show(fenced)
    markdown = published[0]["text/markdown"]
    fence = re.search(r"^(`+)python$", markdown, re.MULTILINE)[1]
    assert len(fence) > 3 and markdown.count(fence) == 2


@pytest.mark.parametrize("thing", [3, len, "metabin.norm"])
def test_show_says_what_it_takes(thing):
    with pytest.raises(TypeError, match="a function or a class"):
        show(thing)


def test_outside_a_notebook_the_plain_text_is_printed_and_a_record_is_silent(capsys):
    show(brief)
    record("rank1", 0.51234)
    printed = capsys.readouterr().out
    assert printed.startswith("# metabin/course/lesson.py, line ") and "rank1" not in printed


# ---- agree ---------------------------------------------------------------------------------------------------------


def test_loops_and_package_that_agree_are_timed(capsys):
    agree(lambda x: 2.0 * x, lambda x: torch.tensor(2.0) * x, 3)
    pair = torch.ones(2), torch.zeros(1)
    agree(lambda: pair, lambda: tuple(t + 1e-12 for t in pair))
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"equal; the loops take [\d.]+ ms, the fast version [\d.]+ ms", first)
    assert second.startswith("equal")


@pytest.mark.parametrize("wrong", [torch.tensor([1.0, 2.001]), torch.tensor([1.0, torch.nan])])
def test_loops_and_package_that_differ_are_refused(wrong):
    right = torch.tensor([1.0, 2.0])
    with pytest.raises(AssertionError):
        agree(lambda: right, lambda: wrong)
    with pytest.raises(AssertionError):
        agree(lambda: 2.0, lambda: wrong[1])


def test_how_far_loops_and_package_may_differ_is_said():
    agree(lambda: 1.0, lambda: torch.tensor(1.0 + 1e-4).double(), tolerance=1e-3)


# ---- figure --------------------------------------------------------------------------------------------------------


def test_a_figure_carries_its_alt_text_and_its_picture(published):
    fig = Figure(figsize=(4, 2))
    fig.subplots().plot([0, 1])
    figure(fig, alt='A line that rises, "fast" & < 2')
    html = published[0]["text/html"]
    assert (
        html.count("A line that rises, &quot;fast&quot; &amp; &lt; 2") == 2
    )  # for the figure and for the image
    assert 'role="img"' in html and "width:384px" in html and "data:image/png;base64," in html
    assert published[0]["text/plain"] == '[figure: A line that rises, "fast" & < 2]'


def test_a_figure_without_alt_text_is_refused():
    with pytest.raises(ValueError, match="alt text"):
        figure(Figure(), alt=" ")


# ---- record --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, kept",
    [
        (0.5, 0.5),
        (torch.tensor(0.5), 0.5),
        (torch.arange(3), [0, 1, 2]),
        (np.float64(0.25), 0.25),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        ({"bn": 0.1}, {"bn": 0.1}),
        ("yes", "yes"),
        (True, True),
    ],
)
def test_numbers_arrays_and_tensors_are_recorded_as_plain_values(published, value, kept):
    record("it", value, meaning="what it is")
    [bundle] = published
    assert list(bundle) == [lesson.RECORD], "nothing is shown"
    result = json.loads(json.dumps(bundle[lesson.RECORD]))
    assert result == {"name": "it", "value": kept, "unit": "", "meaning": "what it is"}


@pytest.mark.parametrize("value", [float("nan"), torch.tensor([1.0, float("inf")]), object()])
def test_what_json_cannot_hold_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"record\('loss'\)"):
        record("loss", value)


def test_an_interval_is_printed_and_recorded(published, capsys):
    label = "MetaBIN minus BN"
    report_interval("gap", torch.tensor(0.125), (-0.05, 0.3), "points", label)
    assert capsys.readouterr().out == "MetaBIN minus BN: 12.5 points, 95 % CI [-5.0, 30.0]\n"
    value = {"estimate": 0.125, "low": -0.05, "high": 0.3}
    result = {"name": "gap", "value": value, "unit": "points", "meaning": label}
    assert published[0][lesson.RECORD] == result


# ---- check ---------------------------------------------------------------------------------------------------------

CASES = {
    "one positive": (torch.tensor([1.0, 2.0]),),
    "a negative one": (torch.tensor([-1.0, 3.0]),),
}


def test_a_right_answer_is_said(capsys):
    check(lambda x: x.clamp(min=0), torch.relu, CASES)
    assert capsys.readouterr().out == "✓ right in 2 cases\n"


def test_a_wrong_answer_names_the_case_and_its_arguments_but_not_the_right_value():
    with pytest.raises(CheckFailed) as caught:
        check(lambda x: x.abs() * 1.5 - 0.5, lambda x: x * 1.5 - 0.5, CASES)
    assert str(caught.value) == (
        "case “a negative one” (tensor([-1.,  3.])): 1 of 2 values are off, by up to 3."
    )


def test_long_arguments_of_a_case_are_left_out():
    with pytest.raises(CheckFailed) as caught:
        check(torch.neg, torch.relu, {"many": (torch.ones(99),)})
    assert str(caught.value) == "case “many”: 99 of 99 values are off, by up to 2."


def complaints(count: int, *exercise, **options) -> list[str]:
    """What a wrong answer is told, several times in a row."""
    told = []
    for _ in range(count):
        with pytest.raises(CheckFailed) as caught:
            check(torch.neg, *exercise, **options)
        told.append(str(caught.value))
    return told


@pytest.mark.parametrize("with_exercise", [True, False])
def test_hints_come_one_by_one_from_the_second_failure(with_exercise):
    hints = f"look below zero {with_exercise}", "and at zero"
    if with_exercise:
        told = complaints(4, Exercise(torch.relu, CASES, hints))
    else:
        told = complaints(4, torch.relu, CASES, hint=hints)
    assert told[0].endswith("(A hint comes with the next failure.)")
    assert told[1].endswith(f"\n  Hint 1 of 2: {hints[0]}")
    assert told[2] == told[3]
    assert told[2].endswith(f"\n  Hint 1 of 2: {hints[0]}\n  Hint 2 of 2: and at zero")


def test_a_stub_costs_no_hint(live):
    exercise = Exercise(torch.relu, CASES, ("only for those who try",))
    check(stub, exercise)
    assert complaints(1, exercise)[0].endswith("(A hint comes with the next failure.)")


def test_an_exercise_compares_what_it_measures_of_an_answer(capsys):
    summed = Exercise(lambda x: x.sum(), CASES, measured=lambda answer: lambda x: answer(x).sum())
    check(lambda x: x.flip(0), summed)
    assert capsys.readouterr().out == "✓ right in 2 cases\n"
    with pytest.raises(CheckFailed, match="6 is not right"):
        check(lambda x: 2 * x, summed)


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda x: x[:1], r"shape \(2,\) was expected, not \(1,\)"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: None, "there is no value"),
        (lambda x: [1.0], r"shape \(2,\) was expected"),
        (lambda x: "text", "another value was expected"),
        (lambda x: 1 // 0, "raised ZeroDivisionError"),
        (lambda: 3, "raised TypeError"),
    ],
)
def test_every_kind_of_wrong_answer_is_described(answer, said):
    with pytest.raises(CheckFailed, match=said):
        check(answer, torch.relu, CASES)


def test_an_answer_that_works_in_place_does_not_spoil_the_comparison():
    check(
        lambda x: x.mul_(2), lambda x: 2 * x, {"once": (torch.ones(2),), "again": (torch.ones(2),)}
    )


def test_tuples_and_dicts_are_compared_part_by_part():
    check(lambda: {"a": (1, [2.0])}, lambda: {"a": (1, [2.0])})
    with pytest.raises(CheckFailed, match="at 'a': at 1: at 0: 3 is not right"):
        check(lambda: {"a": (1, [3.0])}, lambda: {"a": (1, [2.0])})
    with pytest.raises(CheckFailed, match="other keys"):
        check(lambda: {"b": 1}, lambda: {"a": 1})
    with pytest.raises(CheckFailed, match="a tuple of 2 was expected, not a tuple of 3"):
        check(lambda: (1, 2, 3), lambda: (1, 2))


def test_a_plain_value_is_checked_and_a_wrong_one_does_not_give_the_right_one_away():
    check(0.5, 0.5)
    check("BN", "BN")
    with pytest.raises(CheckFailed) as caught:
        check(0.7, 0.51234)
    assert "0.7 is not right" in str(caught.value) and "0.5" not in str(caught.value)
    with pytest.raises(CheckFailed) as caught:
        check("IN", "BN")
    assert "BN" not in str(caught.value)


def test_the_tolerance_decides():
    check(1.001, 1.0, tolerance=1e-2)
    with pytest.raises(CheckFailed):
        check(1.001, 1.0, tolerance=1e-4)


def stub(x):
    raise NotImplementedError


@pytest.mark.parametrize("answer, reference", [(stub, torch.relu), (..., 3)])
def test_an_exercise_not_begun_lets_run_all_go_on(live, capsys, answer, reference):
    check(answer, reference, CASES)
    assert capsys.readouterr().out.startswith("○ not written yet")


@pytest.mark.parametrize("answer, reference", [(stub, torch.relu), (..., 3)])
def test_headless_a_solution_that_is_not_there_is_a_failure(answer, reference):
    with pytest.raises(CheckFailed, match="nothing is written here yet"):
        check(answer, reference, CASES)


# ---- widgets and looks ---------------------------------------------------------------------------------------------


def test_outside_a_notebook_only_the_twin_is_drawn():
    drawn = []
    widget_with_twin(lambda: drawn.append("widget"), lambda: drawn.append("twin"))
    assert drawn == ["twin"]


def test_with_somebody_there_the_widget_comes_before_its_twin(live, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "display", drawn.append)
    widget_with_twin(lambda: "widget", lambda: drawn.append("twin"))
    assert drawn == ["widget", "twin"]


def test_a_widgets_controls_show_their_whole_names(live, monkeypatch):
    from ipywidgets import FloatSlider, HBox, VBox

    monkeypatch.setattr(figures, "display", lambda shown: None)
    slider, other = FloatSlider(description="a long name of a knob"), FloatSlider()
    widget_with_twin(lambda: VBox([HBox([slider]), other]), lambda: None)
    assert slider.style.description_width == "9em" and slider.layout.width == "28em"
    assert other.layout.width is None


def test_a_picture_is_saved_finely_for_a_page_and_quickly_for_whoever_waits(published, monkeypatch):
    def size():
        figure(Figure((2, 1)), "nothing")
        picture = base64.b64decode(re.search('base64,([^"]*)', published[-1]["text/html"])[1])
        return tuple(
            int.from_bytes(picture[at : at + 4], "big") for at in (16, 20)
        )  # a PNG's width and height

    assert size() == (384, 192)
    monkeypatch.setattr(figures, "is_live", lambda: True)
    assert size() == (288, 144)


def lightness(colour: str) -> float:
    """CIE L* of a colour, what a greyscale print keeps of it."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in matplotlib.colors.to_rgb(colour)
    )
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_methods_can_be_told_apart_without_colour():
    looks = list(plotting.LOOKS.values())
    assert {"bn", "in", "half", "bin", "metabin", "paper", "oracle"} <= set(plotting.LOOKS)
    for cue in ("name", "colour", "marker", "hatch"):
        assert len({getattr(look, cue) for look in looks}) == len(looks), cue
    grey = sorted(
        lightness(plotting.LOOKS[name].colour) for name in ("bn", "in", "half", "bin", "metabin")
    )
    assert min(np.diff(grey)) > 7


# How red-, green- and blue-blind people see linear RGB (Machado et al. 2009, severity 1).
BLIND = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("kind", BLIND)
def test_methods_can_be_told_apart_by_colour_blind_people(kind):
    def lab(colour):
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
        to_xyz = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        )
        x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1, 1.089])
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    colours = [lab(look.colour) for look in plotting.LOOKS.values()]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i]]
    assert min(apart) > 12  # 2.3 is the least that is seen side by side


def test_the_style_is_read_and_large_enough_to_project():
    with matplotlib.style.context(plotting.STYLE):
        assert matplotlib.rcParams["svg.hashsalt"] == "metabin"
        assert matplotlib.rcParams["figure.constrained_layout.use"]
        assert (
            min(matplotlib.rcParams[f"{what}.labelsize"] for what in ("xtick", "ytick", "axes"))
            >= 12
        )


# ---- follow --------------------------------------------------------------------------------------------------------


def test_headless_a_training_is_passed_on_and_says_only_how_long_it_took(published, capsys):
    assert list(
        follow(iter("abc"), total=3, draw=lambda: pytest.fail("nobody watches"), every=1)
    ) == ["a", "b", "c"]
    assert published == []
    assert re.fullmatch(r"3 steps in \d+ s, \d+\.\d\d s each\n", capsys.readouterr().out)


def test_whoever_watches_sees_progress_and_the_picture_so_far(live, monkeypatch):
    shown = []

    class Handle:
        def update(self, bundle, raw):
            shown.append(bundle)

    monkeypatch.setattr(figures, "display", lambda *_, **__: Handle())
    drawn = iter([Figure((1, 1)), Figure((1, 1))])
    assert list(follow(range(5), total=5, draw=lambda: next(drawn), every=3)) == list(range(5))
    assert [
        re.match(r"step \d of 5, .* to go", bundle["text/plain"])[0][:11] for bundle in shown
    ] == [
        "step 3 of 5",
        "step 5 of 5",
    ]
    assert all(
        "<p>step" in bundle["text/html"] and "<img" in bundle["text/html"] for bundle in shown
    )


def test_a_training_that_is_stopped_says_how_far_it_came(capsys):
    for step in follow(range(10), total=10):
        if step == 3:
            break
    assert capsys.readouterr().out.startswith("4 steps in ")
