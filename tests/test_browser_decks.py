"""Decks as a lecturer meets them: offline, by keys and mouse, with notes, printed."""

import copy
from html import escape

import pytest
from browsing import assert_every_picture_is_drawn, in_a_browser
from browsing import opened_offline as opened_offline
from browsing import started_browser as started_browser
from nbformat.v4 import new_output

from metabin.course.deck import lesson_deck
from metabin.course.lessons import find_lessons, read_notebook, working_copy
from metabin.runs.provenance import ROOT

pytestmark = in_a_browser
LESSONS = find_lessons(ROOT / "notebooks")
MISFITS = """() => slides.flatMap((slide, number) => {
    show(number);
    const bad = [], body = slide.querySelector(".body");
    const bottom = slide.querySelector("footer").getBoundingClientRect().top;
    for (const part of body.children)
        if (part.getBoundingClientRect().bottom > bottom + 1) bad.push("too high");
    for (const image of slide.querySelectorAll("img"))
        if (image.getBoundingClientRect().height < 200) bad.push("a small figure");
    if (parseFloat(getComputedStyle(body).fontSize) < 20) bad.push("small letters");
    return bad.map(what => `${number + 1} ${slide.querySelector("h2").textContent}: ${what}`);
})"""


def with_figures(notebook):
    """A lesson that wasn't run with a picture, as high as wide, in place of every figure."""
    notebook = copy.deepcopy(notebook)
    square = escape("<svg xmlns='http://www.w3.org/2000/svg' width='900' height='900'/>")
    picture = f'<figure><img alt="a" src="data:image/svg+xml;utf8,{square}"></figure>'
    for code in notebook.cells:
        if code.cell_type == "code" and "figure(" in code.source:
            code.outputs = [new_output("display_data", {"text/html": picture})]
    return notebook


def written_deck(lesson, folder):
    notebook = with_figures(working_copy(read_notebook(lesson), lesson.parent))
    (folder / "deck.html").write_text(lesson_deck(lesson.stem, notebook), encoding="utf-8")
    return folder / "deck.html"


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    return written_deck(LESSONS[0], tmp_path_factory.mktemp("deck"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_everything_of_a_deck_fits_on_its_slides(path, offline, tmp_path):
    page, complaints = offline(written_deck(path, tmp_path))
    page.set_viewport_size({"width": 1280, "height": 720})
    assert page.evaluate("slides.length") > 8
    assert page.evaluate(MISFITS) == [] and complaints == []


def test_a_deck_opens_offline_goes_on_by_key_and_stays_where_it_is_reloaded(deck, offline):
    page, complaints = offline(deck)
    assert_every_picture_is_drawn(page)
    last = page.evaluate("slides.length")
    for key, number in (("Space", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", last)):
        page.keyboard.press(key)
        assert page.evaluate("current") + 1 == number
    page.reload()
    assert page.evaluate("current") + 1 == last
    page.keyboard.press("Home")
    page.get_by_role("button", name="on").click()
    page.keyboard.press("o")
    page.locator("section").nth(3).click()
    assert page.evaluate("current") == 3 and page.locator("section.present").count() == 1
    page.keyboard.press("n")
    assert page.locator("#notes").inner_text() and complaints == []


def test_the_speakers_window_follows(deck, offline):
    page, _ = offline(deck)
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.locator("#notes").wait_for()
    page.keyboard.press("Space")
    speaker.wait_for_function("current === 1")


def test_a_printed_deck_has_a_slide_a_page(deck, offline, tmp_path):
    page, _ = offline(deck)
    page.pdf(path=tmp_path / "deck.pdf", prefer_css_page_size=True)
    pages = (tmp_path / "deck.pdf").read_bytes().count(b"/Type /Page\n")
    assert pages == page.evaluate("slides.length")
