"""Slides: what of a lesson stands on them, and what is spoken or left out."""

import re

import pytest
import tiny_lesson
import tiny_notebooks as tiny
from nbformat.v4 import new_output
from tiny_lesson import cell, print_of

from metabin.course.blocks import (
    Block,
    blocks_of,
    chunks,
    docstring_and_code,
    first_sentence,
    pages_of,
)
from metabin.course.slides import SlideLayout, slides_of


@pytest.fixture
def slides():
    return slides_of(tiny_lesson.executed(), "03_a_layer")


@pytest.fixture
def layout():
    return SlideLayout("03", "A")


def outline(slides):
    return [(slide.heading, [block.kind for block in slide.shown]) for slide in slides]


def texts(blocks):
    return [block.source for block in blocks]


def test_headings_begin_slides_and_each_holds_little(slides):
    assert outline(slides) == [
        ("A layer", ["picture", "text"]),
        ("After this lesson you can", ["list"]),
        ("First part", ["text", "figure", "text"]),
        ("First part", ["predict"]),
        ("First part", ["table"]),
        ("Second part", ["quote", "math"]),
        ("Second part", ["code"]),
        ("Second part", ["code", "output"]),
        ("What you learned", ["list"]),
        ("Exercise 1: Twice (easy, 5 minutes)", ["text", "code"]),
    ]
    assert [slide.below for slide in slides] == [False] * 6 + [True] * 2 + [False] * 2


def test_a_paragraph_shows_its_first_sentence_and_is_spoken_whole(slides):
    shown = [block.source for block in slides[2].shown if block.kind == "text"]
    assert shown == ["And now a figure follows here.", "The line is straight, as Eq. 1 says."]
    assert "This leads to it, does it not? More, that is spoken." in texts(slides[2].notes)


def test_a_source_stands_without_its_docstring_which_is_spoken(slides):
    spec, package = slides[6], slides[7]
    assert texts(spec.shown) == ["def eq(x):\n    return x"]
    assert package.shown[0].title == "metabin/a.py, line 7"
    assert package.notes[0].source == "Eq. 1.\n\nx is (N,)."


def test_code_choices_solutions_further_reading_and_appendices_are_left_out(slides):
    everything = "\n".join(block.source for slide in slides for block in slide.shown)
    absent = ["import torch", "left out", "Choice", "right 1", "A book", "Details", "cases = {1"]
    assert [word for word in [*absent, tiny.SOLUTION] if word in everything] == []
    assert tiny.STUB in everything and "Write it. All of it." in everything


@pytest.mark.parametrize(
    "sentence, more",
    [
        ("One sentence that is long enough.", " Two."),
        ("As Eq. 1 of S. Choi et al. says, it is so.", " Really."),
        ("**A claim that stands in front, bold.** It holds.", " It does."),
        ("Short. Then more follows that is longer.", " Third."),
        ("A formula $a. B$ with a stop in it, and so on.", " Next."),
        ("no end at all, and that is all", ""),
    ],
)
def test_where_a_sentence_ends(sentence, more):
    assert first_sentence(sentence + more) == sentence


def test_markdown_is_cut_at_empty_lines_but_not_within_fences_and_formulas():
    parts = ["You can", "- one;\n- two.", "```python\na\n\nb\n```", "$$\nx\n\ny\n$$", "$$z$$\nend"]
    assert chunks("\n\n".join(parts).replace("can\n\n", "can\n")) == parts


def test_a_prediction_within_a_paragraph_is_a_block_of_its_own():
    text = tiny.text("Three runs, thin lines. **Predict:** which?\n\n**Predict before** it.")
    assert [block.kind for block in blocks_of(text)] == ["text", "predict", "predict"]


@pytest.mark.parametrize(
    "printed, shown",
    [
        ("| a |\n| --- |\n| 2 |\na - b at 1 %", [("table", "| a |\n| --- |\n| 2 |"), ("output", "a - b at 1 %")]),
        ("gap: -5.3 [-6, -4]\nrho: 1e-7", [("table", "|  |  |\n| --- | --- |\n| gap | −5.3 [−6, −4] |\n| ρ | 1e-7 |")]),
        ("BN  : 1  2 < 3\nIN  : 4  5", [("table", "|  |  |  |\n| --- | --- | --- |\n| BN | 1 | 2 &lt; 3 |\n| IN | 4 | 5 |")]),
        ("one: 1\nno column, 2", [("output", "one: 1\nno column, 2")]),
        ("all went well", []),
    ],
)  # fmt: skip
def test_printed_columns_are_a_table_with_minus_signs_and_rho(printed, shown):
    blocks = blocks_of(cell("print()", print_of(printed)))
    kinds = [(block.kind, block.source) for block in blocks]
    assert kinds == shown


def test_a_long_source_goes_on_below_and_loses_no_line(layout):
    long = "\n".join(f"def f{i}():\n    a = {i}\n    return a\n\n" for i in range(12))
    pages = pages_of(long, most=20)
    assert max(len(page.splitlines()) for page in pages) <= 20
    assert re.findall(r"def f\d+", "\n".join(pages)) == [f"def f{i}" for i in range(12)]
    assert all(page.startswith("def") for page in pages), "parted at an empty line"
    layout.put(Block("code", long, "a.py"))
    assert [slide.below for slide in layout.slides] == [False] + [True] * (len(layout.slides) - 1)
    assert layout.slides[1].shown[0].title == f"a.py (2 of {len(layout.slides)})"


@pytest.mark.parametrize("source", ['def f():\n    """All."""', "for x in"])
def test_a_source_that_is_only_a_docstring_or_no_python_stays(source):
    assert docstring_and_code(source) == ("", source)


def test_a_paragraph_that_leads_on_by_a_colon_shows_its_last_sentence_too(layout):
    first, last = "The line is straight, as one can see here.", "Now add the same number to all:"
    layout.put(Block("figure", "<img>"))
    layout.put(Block("text", f"{first} It could have been otherwise, after all. {last}"))
    layout.put(Block("output", "1 2\n" * 5))
    assert texts(layout.slides[0].shown)[1:] == [first]
    assert texts(layout.slide.shown)[0] == last


def test_a_figures_slide_is_the_figure_and_what_explains_it(layout):
    layout.put(Block("figure", "<img>"))
    layout.put(Block("output", "a line"))
    layout.put(Block("output", "1\n2\n3"))
    layout.put(Block("text", "The line is straight, as one can see here."))
    layout.put(Block("text", "(An aside in brackets is only spoken.)"))
    kinds = [[block.kind for block in slide.shown] for slide in layout.slides]
    assert kinds == [["figure", "text"], ["output"]]
    assert texts(layout.slides[0].notes) == ["a line"]


def test_long_results_are_left_to_the_notes(layout):
    table, output = "| a |\n| --- |" + "\n| 1 |" * 17, "\n".join("1" * 19)
    for block in (Block("output", "1"), Block("table", table), Block("output", output)):
        layout.put(block)
    assert texts(layout.slide.shown) == ["1"]
    assert texts(layout.slide.notes) == [table, output]


def test_what_is_said_behind_a_solution_is_for_the_speaker():
    made = tiny_lesson.executed()
    more = "That was **the answer**.\n\n**2. Again** (easy, 5 minutes). Once more.\n\nA hint."
    made.cells.insert(15, tiny.text(more))
    first, second = slides_of(made, "03")[-2:]
    assert texts(first.notes) == ["That was **the answer**."]
    assert texts(second.shown) == ["Once more.", "A hint."]


def test_a_list_is_whole_where_it_can_be_and_else_its_items_first_sentences(layout):
    item = "- This item says something, and says it now. " + "And then it goes on to say more. " * 4
    layout.put(Block("list", "\n".join([item] * 3)))
    assert layout.slide.shown[0].source.count("goes on to say") == 12
    layout.put(Block("list", "\n".join([item] * 9)))
    lines = layout.slide.shown[0].source.splitlines()
    assert lines == ["- This item says something, and says it now."] * 9


def test_a_widget_moves_on_a_slide_of_its_own_before_its_twin():
    made = tiny_lesson.executed()
    made.cells[5].outputs.insert(0, new_output("display_data", tiny_lesson.FRAMES_OF_RHO))
    assert outline(slides_of(made, "03_a_layer"))[2:4] == [
        ("First part", ["text", "frames"]),
        ("First part", ["figure", "text"]),
    ]
