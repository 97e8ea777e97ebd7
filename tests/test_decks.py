"""Decks and lesson plans: what they hold, that they need nothing from the web, that plans add up."""

import re
from pathlib import Path

import pytest
import tiny_lesson
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from metabin.course.blocks import Block
from metabin.course.deck import lesson_deck, plan_deck, to_deck
from metabin.course.lessons import find_lessons, read_notebook, working_copy
from metabin.course.plans import Part, find_plan, read_plans, read_quiz, slides_for
from metabin.course.slides import Slide, slides_of
from metabin.runs.provenance import ROOT

PLANS = ROOT / "notebooks" / "lesson_plans.md"


def addresses(deck: str) -> set[str]:
    """Everything in a page that a browser could fetch: src, href, url(), @import, in scripts."""
    page, found = BeautifulSoup(deck, "html.parser"), set()
    for tag in page(True):
        found |= {
            tag[name] for name in ("src", "href", "srcset", "data", "action") if tag.get(name)
        }
        style = tag.get("style", "") + (tag.string or "" if tag.name == "style" else "")
        for one, other in re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]?([^;'\"]+)", style):
            found.add(one or other)
        if tag.name == "script":
            found |= set(re.findall(r"(?:https?:)?//[^\s'\"]+", tag.string or ""))
    return found


@pytest.mark.parametrize(
    "bad",
    [
        '<img src="https://a.b/c.png">',
        "<style>@import 'https://a.b';</style>",
        "<p style='background: url(//a.b/c)'>d</p>",
        '<script>fetch("https://a.b")</script>',
    ],
)
def test_an_address_of_the_web_would_be_seen(bad):
    assert any("a.b" in address for address in addresses(f"<html>{bad}</html>"))


def test_a_deck_is_one_file_with_alt_texts_formulas_and_notes():
    deck = lesson_deck("03_a_layer", tiny_lesson.executed())
    assert all(address.startswith("data:image/") for address in addresses(deck))
    page = BeautifulSoup(deck, "html.parser")
    assert [image["alt"] for image in page("img")] == ["A grey pixel", "A line"]
    assert page.math["display"] == "block" and "$" not in page.main.get_text()
    sections = page.select("section[data-part]")
    assert len(sections) == 10 and all(section.h2.get_text() for section in sections)
    spoken = sections[2].find("aside", class_="notes").get_text()
    shown = sections[2].find(class_="text").get_text()
    assert "More, that is spoken." in spoken and "More, that is spoken." not in shown


def test_a_widget_moves_on_a_slide():
    made = tiny_lesson.executed()
    made.cells[5].outputs.insert(0, new_output("display_data", tiny_lesson.FRAMES_OF_RHO))
    deck = lesson_deck("03_a_layer", made)
    [widget] = BeautifulSoup(deck, "html.parser").select("section .moving")
    assert [image["alt"] for image in widget("img")] == ["At 0", "At 1"]
    assert widget.label.get_text(" ", strip=True) == "rho 0"
    assert all(address.startswith("data:image/") for address in addresses(deck))


def test_a_numbered_heading_is_a_heading_and_text_cannot_end_the_page():
    text = Block("output", "</pre><script>alert(1)</script>")
    deck = to_deck("A & <b>", [Slide("03", "3. Metrics", "3. Metrics", [text])])
    page = BeautifulSoup(deck, "html.parser")
    assert page.title.string == "A & <b>" and page.h2.get_text() == "3. Metrics" and not page("ol")
    assert page.select_one(".output pre").get_text() == text.source


# ---- lesson plans --------------------------------------------------------------------------------

TABLE = "| Minutes | Lesson | Part | How |\n| ---: | --- | --- | --- |\n"
QUIZ = """## 03 A layer

### 7. Is it so?

- **A.** yes
- **B.** no

<details><summary>Answer</summary>

**A is right.** It is.

</details>
"""


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "lesson_plans.md"
    rows = "| 3 | [03](03_a_layer.ipynb) | Second part | Slowly. Vote on quiz 7. |\n"
    rows += "| 2 |  | Break | Tea. |\n| 5 | [03](x) | Exercise 1 | - |\n"
    next_one = f"## Next 10 minutes: More\n\n{TABLE}| 10 | | Talk | - |\n"
    path.write_text(f"# Plans\n\n## 10 minutes: Short\n\n{TABLE}{rows}\n{next_one}")
    (tmp_path / "quiz.md").write_text(QUIZ)
    return path


def test_a_plan_is_read_from_its_table(plan_file):
    plan = find_plan(plan_file, "10")
    assert (plan.name, plan.minutes, plan.title, plan.lessons) == ("10", 10, "Short", ["03"])
    assert plan.parts[1] == Part(2, "", "Break", "Tea.") and len(plan.parts) == 3


def test_a_second_plan_of_as_many_minutes_is_called_by_a_word(plan_file):
    for wanted in ("next", "Next"):
        plan = find_plan(plan_file, wanted)
        assert (plan.name, plan.minutes, plan.title) == ("next", 10, "More")
    plan_file.write_text(plan_file.read_text().replace("## Next 10", "## 10"))
    with pytest.raises(ValueError, match="two plans are called 10; begin a heading by a word, as"):
        read_plans(plan_file)


def test_a_plan_deck_holds_its_agenda_what_it_names_and_its_votes(plan_file):
    plan = find_plan(plan_file, "10")
    deck = plan_deck(plan, {Path("03_a_layer.ipynb"): tiny_lesson.executed()})
    page = BeautifulSoup(deck, "html.parser")
    headings = [section.h2.get_text() for section in page.select("section[data-part]")]
    exercise = "Exercise 1: Twice (easy, 5 minutes)"
    assert headings == ["Short", *["Second part"] * 3, "Is it so?", "Break", exercise]
    minutes = page.select("section table td:first-child")
    assert [cell.get_text() for cell in minutes] == ["3", "2", "5"]
    notes = page.select("aside.notes")
    assert "3 minutes. Slowly." in notes[1].get_text() and "A is right." in notes[4].get_text()
    assert [option.get_text() for option in page.select(".vote li")] == ["A. yes", "B. no"]


def test_minutes_that_do_not_add_up_and_unknown_plans_and_parts_are_said(plan_file):
    with pytest.raises(ValueError, match=r"^no plan is called '45'; there are 10, next$"):
        find_plan(plan_file, "45")
    with pytest.raises(ValueError, match="^the 3 minutes for 'Third': lesson 03 has no such part$"):
        slides_for(Part(3, "03", "Third", ""), slides_of(tiny_lesson.executed(), "03"))
    plan_file.write_text(plan_file.read_text().replace("| 2 |", "| 7 |"))
    with pytest.raises(ValueError, match="the parts of the plan 10 take 15 minutes, not 10$"):
        read_plans(plan_file)


@pytest.fixture(scope="module")
def lessons():
    """The slides of every lesson of the course, as far as they are known before it is run."""
    slides = {}
    for lesson in find_lessons(PLANS.parent):
        copied = working_copy(read_notebook(lesson), lesson.parent)
        for cell in copied.cells:
            if cell.cell_type == "code" and "widget_with_twin(" in cell.source:
                cell.outputs = [new_output("display_data", tiny_lesson.FRAMES_OF_RHO)]
        slides[lesson.name[:2]] = slides_of(copied, lesson.stem)
    return slides


def test_the_plans_of_the_course_add_up_and_name_what_there_is(lessons):
    plans = read_plans(PLANS)
    assert list(plans) == ["45", "90", "next", "180"]
    table = re.findall(r"^\| \d+ \|", PLANS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(table) == sum(len(plan.parts) for plan in plans.values()), "a row that can't be read"
    for plan in plans.values():
        for part in filter(lambda part: part.lesson, plan.parts):
            headings = "\n".join(s.heading for s in slides_for(part, lessons[part.lesson]))
            asked = map(int, re.findall(r"^Exercise .* (\d+) minutes\)$", headings, re.MULTILINE))
            assert sum(asked) <= part.minutes, f"{part.name} of lesson {part.lesson}"


def test_every_part_of_the_45_minutes_holds_something_to_do(lessons):
    for part in read_plans(PLANS)["45"].parts:
        slides = slides_for(part, lessons[part.lesson])
        kinds = {block.kind for slide in slides for block in slide.shown}
        exercise = part.name.startswith("Exercise")
        assert exercise or kinds & {"frames", "predict", "vote"}, part.name


def test_a_vote_in_a_plan_is_about_a_lesson_of_that_plan():
    text = (PLANS.parent / "quiz.md").read_text(encoding="utf-8")
    assert list(read_quiz(PLANS.parent / "quiz.md")) == re.findall(r"^### (\d+)\.", text, re.M)
    for plan in read_plans(PLANS).values():
        for vote in (vote for part in plan.parts for vote in part.votes):
            number = vote.part.removeprefix("Vote: quiz ")
            before = text[: text.index(f"\n### {number}. ")]
            assert re.findall(r"^## (\d\d) ", before, re.M)[-1] in plan.lessons, vote.part
