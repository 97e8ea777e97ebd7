"""Slides: what of a lesson stands on them, what the decks hold, and that they need nothing from the web."""

import base64
import copy
import html
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import tiny_notebooks as tiny
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from metabin.course import vendor
from metabin.course.blocks import (
    Block,
    blocks_of,
    chunks,
    docstring_and_code,
    first_sentence,
    pages_of,
)
from metabin.course.deck import lesson_deck, plan_deck, to_deck
from metabin.course.frames import FRAMES
from metabin.course.lessons import find_lessons, read_notebook, working_copy
from metabin.course.plans import Part, find_plan, read_plans, slides_for
from metabin.course.slides import Slide, SlideLayout, slides_of

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOURCE = 'def eq(x):\n    """Eq. 1.\n\n    x is (N,).\n    """\n    return x\n'


def listing(markdown: str):
    """What show() leaves behind."""
    return new_output(
        "display_data", {"text/markdown": f"*metabin/a.py, line 7*\n\n```python\n{markdown}\n```"}
    )


def picture(alt: str):
    """What figure() leaves behind."""
    source = f"data:image/png;base64,{base64.b64encode(tiny.PNG).decode()}"
    picture = f'<figure><img alt="{alt}" style="width:9px" src="{source}"></figure>'
    return new_output("display_data", {"text/html": picture, "text/plain": alt})


def cell(source, *outputs, tags=()):
    made = tiny.code(source, *tags)
    made.outputs = list(outputs)
    return made


def lesson():
    """An executed lesson with everything that slides know of."""
    return tiny.notebook(
        tiny.text("# 03 A layer\n\n![A grey pixel](attachment:p.png)\n\n**The question:** does it work?"),
        tiny.text("**Goals.** After this lesson you can\n- see it;\n- say it.\n\n**Time.** about 40 s"),
        tiny.code(tiny.PARAMETERS, "parameters"),
        cell("import torch", new_output("stream", name="stdout", text="left out: before the first heading, 1\n")),
        tiny.text("## First part\n\nThis leads to it, does it not? More, that is spoken.\n\nAnd now a figure follows here."),
        cell("figure(draw(), 'A line')", picture("A line")),
        tiny.text("The line is straight, as Eq. 1 says. It could have been otherwise.\n\n**Predict before:** what then?"),
        cell("print(2)", new_output("stream", name="stdout", text="2 of 2\nare right\n3\n4\n")),
        tiny.text("## Second part\n\n> We do it.\n\n$$y = x \\qquad (1)$$\n\nwhere x is given. See [lesson 02](02_x.ipynb)."),
        cell(SOURCE, tags=("spec",)),
        cell("show(eq)", listing(SOURCE), new_output("stream", name="stdout", text="equal; 3 ms\n")),
        tiny.text("> **Choice (D1).** Not for a wall.\n\n## What you learned\n\n- It works.\n\n## Exercises\n\n"
                  "**1. Twice** (easy, 5 minutes). Write it. All of it."),
        cell("cases = {1: (1,)}"),
        tiny.text(f"```python\n{tiny.STUB}\n```"),
        cell(tiny.SOLUTION, new_output("stream", name="stdout", text="right 1\n"), tags=("solution",)),
        tiny.text("## Further reading\n\n- A book, [here](https://a.book).\n\n## Appendix\n\n- Details."),
    )  # fmt: skip


def executed_lesson():
    made = lesson()
    made.cells[0]["attachments"] = {"p.png": {"image/png": "AA=="}}
    made.cells[13].metadata["tags"] = ["exercise"]
    return made


def moving():
    """What a widget leaves behind: two frames under a slider."""
    slider = {"kind": "range", "name": "rho", "labels": ["0", "1"], "start": 0}
    frames = [
        {"figures": [[f"data:image/webp;base64,{i}", 9, f"At {i}"]], "text": ""} for i in (0, 1)
    ]
    return new_output("display_data", {FRAMES: {"controls": [slider], "frames": frames}})


@pytest.fixture
def slides():
    return slides_of(executed_lesson(), "03_a_layer")


def outline(slides):
    return [(slide.heading, [block.kind for block in slide.shown]) for slide in slides]


def texts(blocks):
    return [block.source for block in blocks]


def test_headings_begin_slides_and_each_holds_little(slides):
    assert outline(slides) == [
        ("A layer", ["picture", "text"]),
        ("After this lesson you can", ["list"]),
        ("First part", ["text", "text", "figure", "text"]),
        ("First part", ["predict"]),
        ("First part", ["output"]),
        ("Second part", ["quote", "math"]),
        ("Second part", ["code"]),
        ("Second part", ["code", "output"]),
        ("What you learned", ["list"]),
        ("Exercise 1: Twice (easy, 5 minutes)", ["text", "code"]),
    ]


def test_a_paragraph_shows_its_first_sentence_and_is_spoken_whole(slides):
    shown = [block.source for block in slides[2].shown if block.kind == "text"]
    assert shown == [
        "This leads to it, does it not?",
        "And now a figure follows here.",
        "The line is straight, as Eq. 1 says.",
    ]
    assert "This leads to it, does it not? More, that is spoken." in texts(slides[2].notes)


def test_a_source_stands_without_its_docstring_which_is_spoken(slides):
    spec, package = slides[6], slides[7]
    assert texts(spec.shown) == ["def eq(x):\n    return x"]
    assert package.shown[0].title == "metabin/a.py, line 7"
    assert package.notes[0].source == "Eq. 1.\n\nx is (N,)."


def test_code_choices_solutions_further_reading_and_appendices_are_left_out(slides):
    everything = "\n".join(block.source for slide in slides for block in slide.shown)
    absent = [
        "import torch",
        "left out",
        "Choice",
        tiny.SOLUTION,
        "right 1",
        "A book",
        "Details",
        "cases = {1",
    ]
    assert [word for word in absent if word in everything] == []
    assert tiny.STUB in everything and "Write it. All of it." in everything


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("One sentence that is long enough. Two.", "One sentence that is long enough."),
        ("As Eq. 1 of S. Choi et al. says, it is so. Really.", "As Eq. 1 of S. Choi et al. says, it is so."),
        ("**A claim that stands in front, bold.** It holds. It does.", "**A claim that stands in front, bold.** It holds."),
        ("Short. Then more follows that is longer. Third.", "Short. Then more follows that is longer."),
        ("A formula $a. B$ with a stop in it, and so on. Next.", "A formula $a. B$ with a stop in it, and so on."),
        ("no end at all, and that is all", "no end at all, and that is all"),
    ],
)  # fmt: skip
def test_where_a_sentence_ends(text, sentence):
    assert first_sentence(text) == sentence


def test_markdown_is_cut_at_empty_lines_but_not_within_fences_and_formulas():
    parts = ["You can", "- one;\n- two.", "```python\na\n\nb\n```", "$$\nx\n\ny\n$$", "$$z$$\nend"]
    assert chunks("\n\n".join(parts).replace("can\n\n", "can\n")) == parts


def test_a_prediction_within_a_paragraph_and_a_printed_table_are_blocks_of_their_own():
    text = tiny.text("Three runs, thin lines. **Predict:** which?\n\n**Predict before** it.")
    assert [block.kind for block in blocks_of(text)] == ["text", "predict", "predict"]
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    printed = new_output("stream", name="stdout", text=f"{table}\na - b  -1 %\n")
    blocks = blocks_of(cell("print()", printed))
    assert [(block.kind, block.source) for block in blocks] == [
        ("table", table),
        ("output", "a - b  -1 %"),
    ]


@pytest.fixture
def layout():
    return SlideLayout("03", "A")


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


def test_wide_prose_is_wrapped_and_wide_columns_and_long_tables_are_left_to_the_notes(layout):
    prose, columns = "a plan of many words " * 9, "a plan   of columns " * 9
    table = "| a |\n| --- |" + "\n| 1 |" * 14
    for block in (Block("output", prose), Block("output", columns), Block("table", table)):
        layout.put(block)
    layout.put(Block("output", "1\n" * 17))
    assert texts(layout.slide.shown) == [prose]
    assert texts(layout.slide.notes) == [columns, table, "1\n" * 17]


def test_what_is_said_behind_a_solution_is_for_the_speaker():
    made = executed_lesson()
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


def test_a_long_list_goes_on_on_the_next_slide(layout):
    items = [f"- Item {i}" for i in range(25)]
    layout.put(Block("list", "\n".join(items)))
    assert len(layout.slides) == 3
    assert [x for s in layout.slides for x in s.shown[0].source.splitlines()] == items


# ---- decks ---------------------------------------------------------------------------------------------------------


def addresses(deck: str) -> set[str]:
    """Everything in a page that a browser could fetch: src, href, url(), @import, in scripts."""
    page, found = BeautifulSoup(deck, "html.parser"), set()
    names = ("src", "href", "srcset", "poster", "data", "action")
    for tag in page(True):
        found |= {tag[name] for name in names if tag.get(name)}
        style = tag.get("style", "") + (tag.string or "" if tag.name == "style" else "")
        for one, other in re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]?([^;'\"]+)", style):
            found.add(one or other)
        if tag.name == "script":
            found |= set(re.findall(r"(?:https?:)?//[^\s'\"]+", tag.string or ""))
    return found


@pytest.fixture
def deck():
    return lesson_deck("03_a_layer", executed_lesson())


def test_a_deck_asks_for_nothing_but_pictures_inside_and_the_files_beside_it(deck):
    for address in addresses(deck):
        assert address.startswith(("data:image/", "vendor/")), address
    files = {
        f"vendor/{p.folder}/{Path(f).name}"
        for p in (vendor.REVEAL, vendor.MATHJAX)
        for f in p.files
    }
    assert {address for address in addresses(deck) if address.startswith("vendor/")} == files


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


def test_a_deck_keeps_alt_texts_formulas_and_notes(deck):
    page = BeautifulSoup(deck, "html.parser")
    assert [image["alt"] for image in page("img")] == ["A grey pixel", "A line"]
    assert "$$y = x \\qquad (1)$$" in page.get_text()
    sections = page.select("section[data-part]")
    assert len(sections) == 10 and all(section.h2.get_text() for section in sections)
    notes = sections[2].find("aside", class_="notes").get_text()
    assert (
        "More, that is spoken." in notes
        and "More, that is spoken." not in sections[2].find(class_="text").get_text()
    )


def test_a_widget_moves_on_a_slide_of_its_own_before_its_twin():
    made = executed_lesson()
    made.cells[5].outputs.insert(0, moving())
    slides = slides_of(made, "03_a_layer")
    assert outline(slides)[2:4] == [
        ("First part", ["text", "text", "frames"]),
        ("First part", ["figure", "text"]),
    ]
    deck = lesson_deck("03_a_layer", made)
    page = BeautifulSoup(deck, "html.parser")
    [widget] = page.select("section .moving")
    assert [image["alt"] for image in widget("img")] == ["At 0", "At 1"]
    assert widget.label.get_text(" ", strip=True) == "rho 0"
    assert all(address.startswith(("data:image/", "vendor/")) for address in addresses(deck))


def test_a_numbered_heading_is_a_heading_and_text_cannot_end_the_page():
    text = Block("output", "</pre><script>alert(1)</script>")
    page = BeautifulSoup(
        to_deck("A & <b>", [Slide("03", "3. Metrics", "3. Metrics", [text])]), "html.parser"
    )
    assert page.title.string == "A & <b>" and page.h2.get_text() == "3. Metrics" and not page("ol")
    assert page.select_one(".output pre").get_text() == text.source


# ---- lesson plans --------------------------------------------------------------------------------------------------

TABLE = "| Minutes | Lesson | Part | How |\n| ---: | --- | --- | --- |\n"


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "lesson_plans.md"
    rows = "| 3 | [03](03_a_layer.ipynb) | Second part | Slowly. |\n| 2 |  | Break | Tea. |\n| 5 | [03](x) | Exercise 1 | - |\n"
    next_one = f"## Next 10 minutes: More\n\n{TABLE}| 10 | | Talk | - |\n"
    path.write_text(f"# Plans\n\n## 10 minutes: Short\n\n{TABLE}{rows}\n{next_one}")
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
    with pytest.raises(
        ValueError,
        match=r"^lesson_plans.md: two plans are called 10; begin a heading by a word, as ## Next",
    ):
        read_plans(plan_file)


def test_a_plan_deck_holds_its_agenda_and_just_what_it_names(plan_file):
    deck = plan_deck(find_plan(plan_file, "10"), {Path("03_a_layer.ipynb"): lesson()})
    page = BeautifulSoup(deck, "html.parser")
    headings = [section.h2.get_text() for section in page.select("section[data-part]")]
    exercise = "Exercise 1: Twice (easy, 5 minutes)"
    assert headings == ["Short", *["Second part"] * 3, "Break", exercise]
    minutes = page.select("section table td:first-child")
    assert [cell.get_text() for cell in minutes] == ["3", "2", "5"]
    assert "3 minutes. Slowly." in page.select("aside.notes")[0].get_text()


def test_minutes_that_do_not_add_up_and_unknown_plans_and_parts_are_said(plan_file):
    with pytest.raises(ValueError, match=r"^no plan is called '45'; there are 10, next$"):
        find_plan(plan_file, "45")
    with pytest.raises(
        ValueError, match="^the 3 minutes for 'Third part': lesson 03 has no such part$"
    ):
        slides_for(Part(3, "03", "Third part", ""), slides_of(lesson(), "03"))
    plan_file.write_text(plan_file.read_text().replace("| 2 |", "| 7 |"))
    with pytest.raises(
        ValueError, match=r"^lesson_plans.md: the parts of the plan 10 take 15 minutes, not 10$"
    ):
        read_plans(plan_file)


def test_the_plans_of_the_course_add_up_and_name_what_there_is():
    path = NOTEBOOKS / "lesson_plans.md"
    plans = read_plans(path)
    assert list(plans) == ["45", "90", "next", "180"]
    table = re.findall(r"^\| \d+ \|", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(table) == sum(len(plan.parts) for plan in plans.values()), "a row that can't be read"
    lessons = {}
    for lesson in find_lessons(NOTEBOOKS):
        copied = working_copy(read_notebook(lesson), lesson.parent)
        lessons[lesson.name[:2]] = slides_of(copied, lesson.stem)
    for plan in plans.values():
        for part in filter(lambda part: part.lesson, plan.parts):
            headings = "\n".join(s.heading for s in slides_for(part, lessons[part.lesson]))
            asked = map(int, re.findall(r"^Exercise .* (\d+) minutes\)$", headings, re.MULTILINE))
            assert sum(asked) <= part.minutes, f"{part.name} of lesson {part.lesson}"


def test_a_vote_in_a_plan_is_a_question_of_the_quiz_about_that_lesson():
    about, lesson = {}, None
    for line in (NOTEBOOKS / "quiz.md").read_text(encoding="utf-8").splitlines():
        heading = re.match(r"## (\d\d) ", line)
        lesson = heading[1] if heading else lesson
        question = re.match(r"### (\d+)", line)
        if question:
            about[question[1]] = lesson
    votes = 0
    for plan in read_plans(NOTEBOOKS / "lesson_plans.md").values():
        for part in plan.parts:
            for number in re.findall(r"quiz (\d+)", part.why):
                assert about[number] == part.lesson, part
                votes += 1
    assert votes


# ---- reveal.js and MathJax -----------------------------------------------------------------------------------------


@pytest.fixture
def packed(tmp_path):
    """A package with two files and its licence, as npm packs it."""
    for name in ("package/dist/a.js", "package/LICENSE", "package/other.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with tarfile.open(tmp_path / "a-1.tgz", "w:gz") as tar:
        tar.add(tmp_path / "package", "package")
    digest = vendor.hashlib.sha512((tmp_path / "a-1.tgz").read_bytes()).digest()
    return tmp_path / "a-1.tgz", vendor.NpmPackage(
        "a", "1", vendor.base64.b64encode(digest).decode(), ("dist/a.js",)
    )


def test_of_a_package_the_wanted_files_and_its_licence_are_kept(packed, tmp_path):
    archive, package = packed
    vendor.unpack(archive, package, tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["LICENSE", "a.js"]


def test_another_archive_is_refused(packed, tmp_path):
    archive, package = packed
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(RuntimeError, match="^what npm fetched is not a 1: its sha512 differs$"):
        vendor.unpack(archive, package, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_missing_npm_and_an_unreachable_registry_are_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    with pytest.raises(
        RuntimeError,
        match="^slides need npm once, to fetch reveal.js@6.0.2: install Node.js and try again$",
    ):
        vendor.fetch(vendor.REVEAL, tmp_path)
    monkeypatch.setattr(vendor.shutil, "which", lambda name: name)
    failed = subprocess.CompletedProcess(
        [], 1, "", "npm error code ENOTFOUND\nnpm error network is down\n"
    )
    monkeypatch.setattr(vendor.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(
        RuntimeError, match=r"^npm could not fetch mathjax@3\.2\.2: npm error network is down$"
    ):
        vendor.fetch(vendor.MATHJAX, tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing half-fetched stays behind"


MEASURE = """.then(() => {
  const bad = [];
  for (const slide of Reveal.getSlides()) {
    const {h, v} = Reveal.getIndices(slide), name = slide.querySelector("h2").textContent;
    Reveal.slide(h, v);
    const bottom = slide.querySelector("footer").getBoundingClientRect().top;
    for (const part of slide.querySelectorAll(".body > *"))
      if (part.getBoundingClientRect().bottom > bottom + 1) bad.push(name + ": too high");
    for (const image of slide.querySelectorAll("img"))
      if (image.getBoundingClientRect().height < 200) bad.push(name + ": a small figure");
    if (parseFloat(getComputedStyle(slide.querySelector(".body")).fontSize) < 20) bad.push(name + ": small letters");
    if (slide.querySelector("[data-mjx-error]")) bad.push(name + ": a formula that can't be drawn");
  }
  const drawn = document.querySelectorAll("mjx-container svg").length;
  document.title = JSON.stringify({slides: Reveal.getSlides().length, drawn, bad});
});"""


@pytest.fixture(scope="module")
def vendored(tmp_path_factory):
    """A folder with reveal.js and MathJax, fetched as `make slides` does it."""
    folder = tmp_path_factory.mktemp("slides")
    for package in (vendor.REVEAL, vendor.MATHJAX):
        kept = vendor.fetch(package, folder / "vendor")
        assert {Path(name).name for name in package.files} | {"LICENSE"} == {
            path.name for path in kept.iterdir()
        }
    return folder


@pytest.mark.browser
@pytest.mark.skipif(
    not shutil.which("npm"), reason="npm fetches reveal.js and MathJax: not installed"
)
@pytest.mark.skipif(
    not shutil.which("chromium"), reason="decks are looked at in chromium: not installed"
)
@pytest.mark.parametrize("path", find_lessons(NOTEBOOKS), ids=lambda path: path.stem)
def test_a_deck_opens_in_a_browser_without_a_web_and_everything_fits(path, vendored, tmp_path):
    deck = lesson_deck(path.stem, with_figures(working_copy(read_notebook(path), path.parent)))
    assert not [a for a in addresses(deck) if not a.startswith(("data:image/", "vendor/"))]
    page = vendored / f"{path.stem}.html"
    page.write_text(
        re.sub(r"\}\)\);\n</script>", "}))" + MEASURE + "\n</script>", deck), encoding="utf-8"
    )
    browser = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
    ]
    offline = [
        "--window-size=1280,720",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=15000",
    ]
    done = subprocess.run(
        [*browser, *offline, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=900,
    )
    told = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))
    assert told["slides"] > 8 and told["bad"] == [], told
    assert told["drawn"] > 0 or "$" not in deck.partition("<script>")[0]


def with_figures(notebook):
    """A lesson that wasn't run with a picture, as high as wide, in place of every figure."""
    notebook = copy.deepcopy(notebook)
    square = "<svg xmlns='http://www.w3.org/2000/svg' width='900' height='900'/>"
    picture = f'<figure><img alt="a" src="data:image/svg+xml;utf8,{html.escape(square)}"></figure>'
    for code in notebook.cells:
        if code.cell_type == "code" and "figure(" in code.source:
            code.outputs = [new_output("display_data", {"text/html": picture})]
    return notebook
