"""The runner: what it refuses before running, and what comes out of lessons that end well and badly."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
import tiny_notebooks as tiny
from bs4 import BeautifulSoup

from metabin.course import command as command_line
from metabin.course import runner
from metabin.course.lesson import brief
from metabin.course.lessons import executed_copy, find_lessons, promised_seconds
from metabin.course.pages import cell_html, to_mathml
from metabin.course.parameters import declared_parameters, values_for

# ---- parameters ----------------------------------------------------------------------------------

DECLARED = """profile: str = "demo"  # "demo" or "gpu"
seed: int = 0
lr: float = 0.1  # per step
verbose: bool = False
name: str = "x"
steps: list[int] = [1, 2]"""


@pytest.fixture(scope="module")
def declared():
    return declared_parameters(tiny.notebook(tiny.code(DECLARED, "parameters")))


@pytest.mark.parametrize(
    "name, given, value",
    [
        ("lr", "1e-4", 1e-4),
        ("lr", "3", 3.0),
        ("lr", 3, 3.0),
        ("seed", "7", 7),
        ("verbose", "true", True),
        ("name", "7", "7"),
        ("profile", "gpu", "gpu"),
        ("steps", "[3, 4]", [3, 4]),
    ],
)
def test_a_value_is_read_as_the_type_that_the_lesson_declares(declared, name, given, value):
    read = declared[name].read(given)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "name, given, message",
    [
        ("lr", "fast", "lr takes a float, not 'fast'"),
        ("lr", True, "lr takes a float, not True"),
        ("seed", "1.5", "seed takes an int, not '1.5'"),
        ("seed", True, "seed takes an int, not True"),
        ("seed", None, "seed takes an int, not None"),
        ("verbose", "maybe", "verbose takes a bool, not 'maybe'"),
        ("name", 7, "name takes a str, not 7"),
        ("profile", "gpuu", "profile takes 'demo' or 'gpu', not 'gpuu'; did you mean 'gpu'?"),
        ("steps", "3", "steps takes a list, not '3'"),
    ],
)
def test_a_wrong_value_gets_one_message_with_name_and_type(declared, name, given, message):
    with pytest.raises(ValueError) as caught:
        declared[name].read(given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "source, message",
    [
        ("seed = 0", "seed needs one of the types"),
        ("seed: int", "each line must read"),
        ("seed: int = (\n    0  # how\n)", "each line must read"),
        ("seed: int = f()", r"seed needs a plain value, not f\(\)"),
        ("seed: Tensor = 0", "seed needs one of the types"),
        ("seed: int = 0.5", "seed takes an int, not 0.5"),
        ('profile: str = "demo"  # "gpu"', "profile takes 'gpu', not 'demo'"),
    ],
)
def test_a_parameters_cell_that_cannot_be_checked_is_refused(source, message):
    with pytest.raises(ValueError, match=message):
        declared_parameters(tiny.notebook(tiny.code(source, "parameters")))


def test_a_notebook_has_one_parameters_cell():
    with pytest.raises(ValueError, match="0 have it"):
        declared_parameters(tiny.notebook(tiny.code("seed: int = 0")))


@pytest.fixture
def two_lessons(tmp_path):
    one = tiny.write(
        tmp_path, "01_one.ipynb", tiny.notebook(tiny.code("seed: int = 0", "parameters"))
    )
    two = tiny.write(
        tmp_path, "02_two.ipynb", tiny.notebook(tiny.code("iterations: int = 9", "parameters"))
    )
    return [one, two]


def test_a_value_goes_to_the_lessons_that_declare_it(two_lessons):
    one, two = two_lessons
    assert values_for(two_lessons, {"seed": 3}, {"iterations": 5}) == {
        one: {"seed": 3},
        two: {"iterations": 5},
    }


def test_a_misspelt_name_is_refused_with_what_was_probably_meant(two_lessons):
    with pytest.raises(ValueError, match="no parameter 'itertions'; did you mean 'iterations'"):
        values_for(two_lessons, {"seed": 3}, {"itertions": 5})


def test_a_wrong_value_names_the_lesson(two_lessons):
    with pytest.raises(ValueError, match="^02_two: iterations takes an int, not 'many'$"):
        values_for(two_lessons, {}, {"iterations": "many"})


@pytest.mark.parametrize(
    "wanted, numbers",
    [
        ("", "01 02 10"),
        ("1", "01"),
        ("01", "01"),
        ("2, 10", "02 10"),
        ("01_o", "01"),
        ("0", None),
        ("7", None),
    ],
)
def test_lessons_are_chosen_by_number_or_by_the_beginning_of_a_name(tmp_path, wanted, numbers):
    for name in ("01_one", "02_two", "10_ten"):
        tiny.write(tmp_path, f"{name}.ipynb", tiny.notebook())
    if numbers:
        assert [lesson.name[:2] for lesson in find_lessons(tmp_path, wanted)] == numbers.split()
    else:
        with pytest.raises(ValueError, match="no lesson '.'; there are 01_one, 02_two, 10_ten"):
            find_lessons(tmp_path, wanted)


@pytest.mark.parametrize(
    "line, seconds",
    [
        ("**Time.** about 40 s", 40),
        ("Before.\n\n**Time.** about 1.5 min on two cores", 90),
        ("**Time.** 40 s", None),
        ("In **Time.** about 40 s", None),
    ],
)
def test_the_header_states_the_time_in_one_form(line, seconds):
    assert promised_seconds(tiny.notebook(tiny.text("# 01 A"), tiny.text(line))) == seconds


# ---- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def command(two_lessons, monkeypatch, tmp_path):
    """The command line in a repository with two lessons that aren't run: what would be run is returned."""
    two_lessons[0].parent.joinpath("notebooks").mkdir()
    for lesson in two_lessons:
        lesson.rename(tmp_path / "notebooks" / lesson.name)
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    runs = {}

    def run_lesson(lesson, values, build, line):
        runs[lesson.stem] = values
        return runner.Outcome(lesson.stem, "", values)

    monkeypatch.setattr(runner, "run_lesson", run_lesson)
    return lambda *words: (command_line.main(["run", *words]), runs)


def test_the_command_line_reads_pairs_and_files(command, tmp_path):
    (tmp_path / "p.yaml").write_text("iterations: 4\n")
    assert command("--seed", "3", "-f", str(tmp_path / "p.yaml")) == (
        0, {"01_one": {"seed": 3}, "02_two": {"iterations": 4}}
    )  # fmt: skip
    assert command("-p", "iterations=6", "-f", str(tmp_path / "p.yaml"), "--lesson", "02")[1][
        "02_two"
    ] == {"iterations": 6}


@pytest.mark.parametrize(
    "words, message",
    [
        (["-p", "iterations"], "-p takes NAME=VALUE, not 'iterations'"),
        (["-p", "iteration=5"], "did you mean 'iterations'?"),
        (["--seed", "x"], "01_one: seed takes an int, not 'x'"),
        (["--lesson", "9"], "no lesson '9'"),
        (["-f", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_before_anything_runs(
    command, capsys, words, message
):
    code, runs = command(*words)
    printed = capsys.readouterr()
    assert code == 2 and runs == {} and printed.out == ""
    assert message in printed.err and printed.err.count("\n") == 1


def test_a_package_that_is_not_installed_is_named(command, capsys, monkeypatch):
    find = command_line.importlib.util.find_spec
    monkeypatch.setattr(
        command_line.importlib.util,
        "find_spec",
        lambda name: None if name == "ipykernel" else find(name),
    )
    code, runs = command()
    printed = capsys.readouterr().err
    assert (code, runs) == (2, {})
    assert printed.startswith("ipykernel not installed in") and "pip install -e" in printed


def test_help_and_the_door_to_the_lessons_import_nothing_heavy():
    script = (
        "import sys, metabin.course.command as c; c.parser().format_help(); print(*sys.modules)"
    )
    words = [sys.executable, "-c", script]
    modules = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "papermill", "nbformat", "IPython"} & set(modules)


def test_a_run_stopped_by_hand_says_so(command, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run_lesson", stop)
    assert command()[0] == 130 and capsys.readouterr().err == "\nstopped\n"


# ---- real runs: one for all, since a kernel takes seconds to start -------------------------------------------------

MAKES_MUCH = """import os, sys, tqdm
import metabin.course.lesson
for _ in tqdm.tqdm(range(100)):
    pass
memory = bytearray(150_000_000)
memory[::4096] = b"x" * len(memory[::4096])
record("python", sys.executable)
record("cwd", os.getcwd())
record("package", metabin.course.lesson.__file__)
record("lr", lr, "%", "the step size")
record("curve", [0.25] * 20, meaning="the losses")"""


def lessons():
    good = tiny.good_lesson()
    good.cells.insert(5, tiny.code(MAKES_MUCH))
    good.cells[6].source = 'cases = {"one": (1,)}'
    good.cells.insert(
        7,
        tiny.code(
            "from metabin.course.answers import is_live\n"
            "from metabin.course.lesson import show\nassert not is_live()\nshow(is_live)"
        ),
    )
    start = [tiny.text("# A"), tiny.text("Nothing."), tiny.code("seed: int = 0", "parameters")]
    wrong = tiny.code("# a comment\nx = seed\nprint(1 / x)")
    return {
        "01_good.ipynb": good,
        "02_fails.ipynb": tiny.notebook(
            *start, tiny.text("Why?"), wrong, tiny.code("print('not reached')")
        ),
        "03_dies.ipynb": tiny.notebook(*start, tiny.code("import os\nos._exit(3)")),
        "04_leaves.ipynb": tiny.notebook(*start, tiny.code("raise SystemExit(0)")),
        "05_twice.ipynb": tiny.notebook(
            *start,
            tiny.code("from metabin.course.lesson import record\nrecord('a', 1)"),
            tiny.code("record('a', 2)"),
        ),
    }


SCRIPT = """import sys
from pathlib import Path
from metabin.course import lessons, parameters, runner
folder = Path(sys.argv[1])
common = {"seed": 0, "profile": "demo"}
planned = parameters.values_for(lessons.find_lessons(folder / "notebooks"), common, {"lr": 0.25})
sys.exit(runner.run(planned, folder / "build"))"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What one run of all of them, in a small process of its own, left behind."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for name, content in lessons().items():
        tiny.write(folder / "notebooks", name, content)
    other = folder / "jupyter" / "kernels" / "python3"  # a kernel of another Python, so called
    other.mkdir(parents=True)
    kernel = {"argv": ["/bin/false"], "display_name": "x", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(kernel))
    (folder / "build" / "results").mkdir(parents=True)
    (folder / "build" / "results" / "02_fails.json").write_text("from an earlier run")
    before = {path.name: path.read_bytes() for path in (folder / "notebooks").iterdir()}
    jupyter = {"JUPYTER_PATH": str(folder / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"}
    words = [sys.executable, "-c", SCRIPT, folder]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | jupyter)
    after = {path.name: path.read_bytes() for path in (folder / "notebooks").iterdir()}
    assert after == before, "the lessons themselves stay as they were"
    manifest = json.loads((folder / "build" / "manifest.json").read_text())
    return SimpleNamespace(
        folder=folder,
        build=folder / "build",
        code=done.returncode,
        printed=done.stdout,
        errors=done.stderr,
        manifest=manifest,
        lessons={entry["lesson"]: entry for entry in manifest["lessons"]},
    )


def executed(ran):
    return nbformat.read(ran.build / "notebooks" / "01_good.ipynb", as_version=4)


def page_of(ran):
    return BeautifulSoup((ran.build / "html" / "01_good.html").read_text(), "html.parser")


def results(ran):
    return json.loads((ran.build / "results" / "01_good.json").read_text())


def test_every_lesson_gets_its_turn_and_a_failure_is_the_exit_code(ran):
    assert ran.code == 1, ran.errors
    assert re.findall(r"^\[(\d)/5\] (\w+) … ", ran.printed, re.MULTILINE) == [
        ("1", "01_good"), ("2", "02_fails"), ("3", "03_dies"), ("4", "04_leaves"), ("5", "05_twice")
    ]  # fmt: skip
    assert ran.printed.rstrip().splitlines()[-1] == (
        "1 of 5 lessons ran; 02_fails failed; 03_dies failed; 04_leaves failed; 05_twice failed"
    )


def test_a_failing_cell_is_named_by_lesson_number_first_line_and_error(ran):
    assert "02_fails … FAILED" in ran.printed
    assert "      cell 4 (“# a comment”): ZeroDivisionError: division by zero\n" in ran.printed
    assert not (ran.build / "results" / "02_fails.json").exists(), "the result of an earlier run"
    page = (ran.build / "html" / "02_fails.html").read_text()
    assert "ZeroDivisionError" in page


def test_a_kernel_that_dies_and_a_lesson_that_ends_early_are_failures(ran):
    assert "died" in ran.lessons["03_dies"]["error"].lower()
    assert (ran.build / "html" / "03_dies.html").exists()
    assert ran.lessons["04_leaves"]["error"] == "ended before its last cell"
    assert ran.lessons["05_twice"]["error"] == "'a' is recorded twice"


def test_a_lesson_runs_in_this_python_with_this_package_in_its_own_folder(ran):
    recorded = results(ran)["recorded"]
    assert recorded["python"] == sys.executable
    assert recorded["cwd"] == str(ran.folder / "notebooks")
    assert recorded["package"] == str(runner.ROOT / "metabin" / "course" / "lesson.py")


def test_results_are_kept_whole_and_those_with_a_meaning_are_printed_rounded_with_a_unit(ran):
    kept = results(ran)
    assert kept["parameters"] == {"profile": "demo", "seed": 0, "lr": 0.25}
    assert kept["recorded"]["curve"] == [0.25] * 20 and kept["units"]["lr"] == "%"
    assert kept["meanings"]["lr"] == "the step size" and kept["meanings"]["python"] == ""
    assert "\n\n01_good\n  the step size  25.0 %\n  the losses     20 values\n\n" in ran.printed
    assert "record+json" not in str(page_of(ran)) and "UserWarning" not in ran.errors


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (0.123456, "", "0.123"),
        (0.5, "%", "50.0 %"),
        (3, "", "3"),
        ([1, 0.33333], "times", "[1, 0.333] times"),
        (-0.0123, "points", "-1.2 points"),
        ({"bn": 0.5, "in": 0.25}, "%", "bn 50.0; in 25.0 %"),
        ({"estimate": 0.012, "low": -0.01, "high": 0.034}, "%", "1.2 %, 95 % CI [-1.0, 3.4]"),
        ([0.125] * 40, "", "40 values"),
    ],
)
def test_a_result_is_told_in_one_line(value, unit, text):
    assert brief(value, unit) == text


def test_seconds_and_peak_memory_are_measured_in_the_kernel(ran):
    good = ran.lessons["01_good"]
    assert (
        good["peak_bytes"] > 200_000_000
    )  # 150 MB of them written by the lesson, the rest is Python and IPython
    assert good["peak_bytes"] < 500_000_000  # not the runner's, not torch
    assert good["seconds"] > 0
    assert ran.lessons["02_fails"]["peak_bytes"] is None


def test_a_lesson_that_takes_twice_its_time_is_noted():
    outcome = runner.Outcome("01_a", "", {"profile": "demo"}, seconds=81)
    assert "slow: more than twice the 40 s in its header" in runner.summary(outcome, 40)
    assert "slow" not in runner.summary(outcome, 41) + runner.summary(outcome, None)
    outcome.parameters["profile"] = "gpu"  # the header speaks of the demo profile
    assert "slow" not in runner.summary(outcome, 40)


def test_the_peak_memory_is_read_when_its_line_comes_in_pieces():
    probe = tiny.code("", "probe")
    pieces = ["123", "\n"]
    probe.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in pieces]
    outcome = runner.Outcome("01_a", "", {})
    runner.collect(tiny.notebook(probe), outcome)
    assert outcome.peak_bytes == 123 and outcome.error is None


def test_exercises_can_be_read_in_the_executed_copy_but_were_not_run(ran):
    notebook = executed(ran)
    nbformat.validate(notebook)
    [stub] = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    [solved] = [cell for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])]
    assert stub.cell_type == "markdown" and tiny.STUB in stub.source
    assert solved.outputs[0].text == "✓ right\n"
    assert not any("getrusage" in cell.source for cell in notebook.cells)
    assert base64.b64decode(notebook.cells[0].attachments["teaser.png"]["image/png"]) == tiny.PNG


def test_progress_bars_do_not_flood(ran):
    outputs = [output for cell in executed(ran).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "%|" not in ran.printed + ran.errors


def test_the_manifest_says_how_the_numbers_came_about(ran):
    content = (ran.folder / "notebooks" / "01_good.ipynb").read_bytes()
    assert ran.lessons["01_good"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert ran.lessons["01_good"]["parameters"]["seed"] == 0
    assert {"commit", "dirty", "python", "versions", "platform", "cpus", "started"} <= set(
        ran.manifest
    )
    assert {"torch", "papermill", "metabin"} <= set(ran.manifest["versions"])


def test_a_page_needs_nothing_from_the_web(ran):
    page = page_of(ran)
    assert not page(["iframe", "object", "embed"]) and len(page("script")) == 1
    assert not page.script.get("src") and "//" not in re.sub(
        r"^\s*//.*", "", page.script.string, flags=re.M
    )
    assert not [link for link in page("link") if link.get("href")]
    names = ("src", "srcset", "poster")
    sources = [tag[name] for tag in page(True) for name in names if tag.get(name)]
    assert len(sources) == 2
    assert all(source.startswith("data:image/") for source in sources)
    for style in page("style"):
        assert not re.search(r"@import|url\(\s*['\"]?(?!data:|#)", style.string)


def test_a_page_keeps_alt_texts_draws_formulas_and_leads_to_the_next_page(ran):
    page = page_of(ran)
    assert [image["alt"] for image in page("img")] == ["A grey pixel", "A pixel again"]
    assert [formula["display"] for formula in page("math")] == ["inline", "block"]
    assert "$" not in page.find("main").get_text()
    assert page.find("a", string="next lesson")["href"] == "02_next.html"
    assert "def is_live()" in page.get_text()


def test_a_page_folds_plumbing_shows_no_injected_values_and_leads_on(ran):
    page = page_of(ran)
    folds = [fold.get_text() for fold in page.select("details.code")]
    assert any("profile: str" in text for text in folds)
    assert "# Parameters" not in page.get_text(), "what papermill put in"
    parts = [link["href"] for link in page.select(".contents a")]
    assert parts and all(page.find(id=part[1:]).name == "h2" for part in parts)
    assert [link["href"] for link in page.select(".around a")] == ["02_fails.html"]
    assert page.header.a["href"] == "index.html"


def test_the_door_shows_picture_and_question_of_every_lesson_that_has_a_page(ran):
    door = BeautifulSoup((ran.build / "html" / "index.html").read_text(), "html.parser")
    cards = door("article")
    assert [card.a["href"] for card in cards] == [
        f"{name}.html" for name in ("01_good", "02_fails", "03_dies", "04_leaves", "05_twice")
    ]
    assert cards[0].img["alt"] == "A grey pixel" and cards[0].p.string == "Does it run?"
    assert cards[0].h2.string == "01 Small"


def test_what_is_long_or_draws_is_folded_and_a_table_is_one():
    def opened(source, *tags):
        return "<details" not in cell_html(tiny.code(source, *tags))

    assert opened("x = 1") and opened("\n".join("abcdefghij"), "spec")
    assert not opened("x = 1", "plumbing") and not opened("\n".join("abcdefghij"))
    assert (
        not opened("figure(draw(x), alt)")
        and cell_html(tiny.code("show(a)\nshow(b)")).strip() == ""
    )
    printed = tiny.code("x = 1")
    text = "so:\n| a | b |\n| --- | --- |\n| 1 | < |\n1 < 2\n"
    printed.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    page = BeautifulSoup(cell_html(printed), "html.parser")
    assert [cell.string for cell in page("td")] == ["1", "<"]
    assert [pre.string for pre in page(class_="printed")] == ["so:", "1 < 2"]


def test_an_aligned_formula_becomes_a_table():
    assert to_mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "block").count("<mtr>") == 2


# ---- what executed copies are good for -----------------------------------------------------------------------------


def test_an_executed_copy_counts_as_long_as_the_lesson_stays_as_it_was_run(ran, tmp_path):
    lesson = tmp_path / "01_good.ipynb"
    (tmp_path / "teaser.png").write_bytes(tiny.PNG)
    lesson.write_bytes((ran.folder / "notebooks" / "01_good.ipynb").read_bytes())
    assert executed_copy(lesson, ran.build).cells
    lesson.write_text(lesson.read_text().replace("Does it run?", "Does it still run?"))
    assert executed_copy(lesson, ran.build) is None


def test_a_changed_picture_a_failed_run_and_no_run_leave_no_copy(ran, tmp_path):
    lesson = tmp_path / "01_good.ipynb"
    lesson.write_bytes((ran.folder / "notebooks" / "01_good.ipynb").read_bytes())
    (tmp_path / "teaser.png").write_bytes(tiny.PNG + b"newer")
    assert executed_copy(lesson, ran.build) is None
    assert executed_copy(ran.folder / "notebooks" / "02_fails.ipynb", ran.build) is None
    assert executed_copy(lesson, tmp_path) is None


def test_lessons_that_cannot_be_run_are_named(monkeypatch, two_lessons, tmp_path):
    asked = []
    monkeypatch.setattr(runner, "run", lambda planned, build: asked.append(planned) or 1)
    with pytest.raises(RuntimeError, match="^01_one, 02_two did not run"):
        runner.executed_copies(two_lessons, tmp_path)
    assert asked == [{two_lessons[0]: {"seed": 0}, two_lessons[1]: {}}]


def test_handouts_fold_solutions_away(ran):
    [solution] = page_of(ran).select("details.solution")
    assert "open" not in solution.attrs and solution.summary.string == "Solution"
    assert "check(lambda x: x + x" in solution.get_text()
    assert tiny.STUB.splitlines()[0] not in solution.get_text()
