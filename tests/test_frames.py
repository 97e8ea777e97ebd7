"""Frames: what a widget leaves where nobody can move it, and the HTML that moves it in a page."""

import base64
import io
import json
import re

import pytest
from bs4 import BeautifulSoup
from ipywidgets import Dropdown, FloatSlider, IntSlider, interactive
from matplotlib.figure import Figure
from PIL import Image

from metabin.course import figures, frames
from metabin.course.frames import FRAMES, frames_of, smallest, to_html
from metabin.course.lesson import figure, widget_with_twin


def draw(weight=0.5, person=1, method="bn", order=True):
    fig = Figure((2, 1))
    fig.text(0, 0, f"{weight:g} {person} {method} {order}")
    figure(fig, f"weight {weight:g}, person {person}, {method}, {order}")
    print("order", order)


def widget():
    return interactive(
        draw,
        weight=FloatSlider(0.5, min=0, max=1, step=0.1, description="ρ_style"),
        person=IntSlider(1, 0, 39),
        method=Dropdown(options=[("BN", "bn"), ("IN", "in")], value="in"),
        order=True,
    )


@pytest.fixture
def published(monkeypatch):
    """What a headless notebook would keep of a widget."""
    bundles = []
    monkeypatch.setattr(figures, "get_ipython", lambda: object())
    monkeypatch.setattr(figures, "publish", bundles.append)
    return bundles


def frames_for(*moving):
    return frames_of(widget, figures._shoot, moving)


def alts(made) -> list[str]:
    return [alt for frame in made["frames"] for _, _, alt in frame["figures"]]


def labels(made) -> dict:
    return {control["name"]: control["labels"] for control in made["controls"]}


def test_headless_a_widget_leaves_frames_of_its_own_function_before_its_twin(published):
    widget_with_twin(widget, lambda: draw(0.25), moving=["method"])
    kept, twin = published
    assert list(kept) == [FRAMES] and "text/html" in twin
    made = json.loads(json.dumps(kept[FRAMES]))
    assert alts(made) == ["weight 0.5, person 1, bn, True", "weight 0.5, person 1, in, True"]
    assert [frame["text"] for frame in made["frames"]] == ["order True"] * 2
    picture, width, _ = made["frames"][0]["figures"][0]
    size = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))).size
    assert (size, width) == ((200, 100), 192)


def test_a_headless_widget_is_known_to_no_kernel_and_draws_only_its_frames(published, monkeypatch):
    known = []
    monkeypatch.setattr("comm.create_comm", lambda **options: known.append(options))
    assert len(frames_for("method")["frames"]) == 2
    assert known == [] and published == []


def test_two_sliders_are_thinned_to_five_positions_that_hold_ends_and_middle():
    made = frames_for()
    assert labels(made) == {
        "ρ style": ["0", "0.25", "0.5", "0.75", "1"],
        "person": ["0", "10", "20", "29", "39"],
    }
    assert [control["start"] for control in made["controls"]] == [2, 0]
    assert len(set(alts(made))) == 25 and alts(made)[1] == "weight 0, person 10, in, True"


def test_a_slider_alone_keeps_all_its_positions_and_more_controls_share_forty():
    assert labels(frames_for("person"))["person"] == [str(i) for i in range(40)]
    made = frames_for("weight", "method", "order", "person")
    assert [len(values) for values in labels(made).values()] == [3, 2, 2, 3]
    assert len(made["frames"]) == 36


def test_a_slider_whose_step_is_longer_than_itself_stays_where_it_is():
    made = frames_of(lambda: interactive(draw, weight=(0.5, 1.0, 4.0)), figures._shoot, ["weight"])
    assert len(made["frames"]) == 1


def test_choices_that_are_too_many_are_refused():
    many = Dropdown(options=list(range(50)))
    with pytest.raises(ValueError, match="^50 frames, more than 40: name fewer in `moving`"):
        frames_of(lambda: interactive(lambda choice: None, choice=many), figures._shoot)


def test_a_frame_without_a_figure_shows_what_was_printed():
    def tell(on=False):
        draw() if on else print("choose < one")

    made = frames_of(lambda: interactive(tell, on=False), figures._shoot)
    nothing, drawn = BeautifulSoup(to_html(made), "html.parser").select(".frame")
    assert nothing.get_text() == "choose < one" and not nothing.img and drawn.img


def test_controls_are_labelled_and_every_frame_has_its_alt_text():
    made = frames_for("weight", "method", "order")
    page = BeautifulSoup(to_html(made), "html.parser")
    assert [label.get_text(" ", strip=True) for label in page("label")] == [
        "ρ style 0.5",
        "method BN IN",
        "order",
    ]
    slider, choice, box = page.select("input, select")
    slider = page.select_one("[type=range]")
    assert (slider["max"], slider["value"], slider["aria-valuetext"]) == ("4", "2", "0.5")
    assert page.select_one("option[selected]").string == "IN"
    [play] = page("button")
    assert play.find_previous_sibling().find("input") is slider
    assert page.select_one("[type=checkbox]").has_attr("checked")
    assert [image["alt"] for image in page("img")] == alts(made)
    [current] = page.select(".frame:not([hidden])")
    assert current.img["alt"] == "weight 0.5, person 1, in, True"
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page("img"))
    assert not re.search(r"https?:|//", to_html({**made, "frames": []}) + code_of(frames.SCRIPT))


def code_of(script: str) -> str:
    return re.sub(r"^\s*//.*", "", script, flags=re.MULTILINE)


def test_a_drawing_is_kept_by_few_colours_and_a_photograph_as_one():
    drawing = Image.new("RGB", (300, 200), "white")
    drawing.paste("black", (10, 10, 60, 160))
    noise = Image.effect_noise((300, 200), 80).convert("RGB")
    # A mixture of three ramps has more shades than few colours can show.
    ramp = Image.linear_gradient("L").resize((300, 200))
    shades = Image.merge(
        "RGB",
        (ramp, ramp.rotate(180), ramp.transpose(Image.Transpose.ROTATE_90).resize((300, 200))),
    )
    for picture, kind, most in (
        (drawing, b"VP8L", 1_000),
        (noise, b"VP8 ", 60_000),
        (shades, b"VP8 ", 10_000),
    ):
        source = smallest(picture, colours=64, quality=80)
        data = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
        assert data[12:16] == kind and len(data) < most
        assert Image.open(io.BytesIO(data)).size == picture.size
