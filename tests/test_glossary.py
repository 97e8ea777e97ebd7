"""Glossary, symbols and quiz: what they name exists, their numbers are those of the results."""

import importlib
import inspect
import json
import math
import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import combinations
from statistics import mean

import pytest
import torch

from metabin.analysis.plane import eighteen_points
from metabin.analysis.toy import toy_walk
from metabin.datasets.splits import DESIGNS
from metabin.evaluate.certainty import half_width, simulate_splits
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.experiments import (
    finished_difference,
    finished_metrics,
    lesson_streets,
    load_network,
    read_results,
)
from metabin.experiments.trials import CACHE
from metabin.losses import pairwise_distances
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d
from metabin.runs.provenance import ROOT
from metabin.streets import make_streets

NOTEBOOKS = ROOT / "notebooks"
LINK = r"\[(?:lesson )?(\d\d)\]\((\w+)\.ipynb\)(?: “([^”]+)”)?"  # [04](04_losses_and_samplers.ipynb) “A heading”


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    return re.search(rf"^## {re.escape(title)}$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[
        1
    ]


def table(text: str) -> list[list[str]]:
    """A Markdown table's rows without its head."""
    rows = [
        line.strip().strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")
    ]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@cache
def cells(lesson: str) -> tuple[str, ...]:
    return tuple(
        "".join(cell["source"])
        for cell in json.loads((NOTEBOOKS / f"{lesson}.ipynb").read_text())["cells"]
    )


def assert_place(number: str, lesson: str, heading: str) -> None:
    """The lesson exists and has the heading."""
    assert lesson.startswith(number) and (NOTEBOOKS / f"{lesson}.ipynb").exists(), (
        f"there is no lesson {lesson}"
    )
    if heading:
        assert heading in re.findall(r"^#+ (.*)$", "\n".join(cells(lesson)), re.MULTILINE), (
            f"{lesson}: {heading}"
        )


def assert_code(name: str) -> None:
    """`module.thing`, `module.Class.attribute` or `module.function(argument)` exists in the package."""
    path, _, argument = name.removesuffix(")").partition("(")
    module, *parts = path.split(".")
    found = importlib.import_module(f"metabin.{module}")
    while (
        parts
        and not hasattr(found, parts[0])
        and (ROOT / "metabin" / module / f"{parts[0]}.py").exists()
    ):
        found = importlib.import_module(f"{found.__name__}.{parts.pop(0)}")
    for part in parts:
        if is_dataclass(found) and part in {field.name for field in fields(found)}:
            return
        if found.__name__ in EXAMPLES and not hasattr(found, part):
            found = EXAMPLES[found.__name__]
        assert hasattr(found, part), f"{name}: {part} is not there"
        found = getattr(found, part)
    assert not argument or argument in inspect.signature(found).parameters, name


EXAMPLES = {"BatchInstanceNorm2d": BatchInstanceNorm2d(1), "ReIDModel": build_model("bn", 1)}

# ---- the glossary --------------------------------------------------------------------------------------------------

GLOSSARY = (NOTEBOOKS / "glossary.md").read_text()
TERMS = dict(
    re.findall(
        r"^### ([^\n]+)$\n(.*?)(?=^### |\Z)", section(GLOSSARY, "Terms"), re.MULTILINE | re.DOTALL
    )
)
SYMBOLS = table(section(GLOSSARY, "Symbols of the paper"))
OF_LESSONS = table(section(GLOSSARY, "Symbols of the lessons"))
DOUBLES = table(section(GLOSSARY, "Letters that mean two things"))
PAPER = (  # every letter of the paper's Sections 3.1 to 3.3, Algorithm 1 and Appendix 1
    r"\mathcal{D} \mathcal{D}_k \mathcal{D}_{mtr} \mathcal{D}_{mte} \mathcal{X}_k \mathcal{Y}_k \mathcal{Y}_* K K_S k M M_k "
    r"N N_k N_B N_S N_S^k i C H W \mathbf{x} \mathbf{x}_i \mathbf{y} y_i \hat{\mathbf{x}}_B \hat{\mathbf{x}}_I \rho \gamma_B "
    r"\gamma_I \beta_B \beta_I \alpha \beta \gamma \phi f_\theta g_\phi \theta'_\rho \nabla_{\theta_\rho} \mathcal{X}_B "
    r"\mathcal{X}_S \mathcal{X}_T l_{ce} l_s m d(\cdot,\cdot) [z]_+ \mathbf{f}^a \mathbf{f}^p \mathbf{f}^n \mathbf{f}^{n-} "
    r"\mathbf{f}^{n+} \mathbf{f}^k_i \bar{\mathbf{f}}^k \mathcal{L}_{ce} \mathcal{L}_{tr} \mathcal{L}_{base} "
    r"\mathcal{L}_{scat} \mathcal{L}_{shuf} \mathcal{L}_{mtr} \mathcal{L}_{mte} \lambda_{scat} \lambda_{shuf} \lambda_{tr}"
).split()


def test_terms_stand_in_alphabetical_order_and_once_each():
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in TERMS]
    assert len(names) > 80 and names == sorted(set(names))


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_in_a_few_sentences_and_its_lessons_and_code_exist(term):
    text, places = re.fullmatch(r"\s*(.+?)\n\n(Lessons? .+?)\s*", TERMS[term], re.DOTALL).groups()
    assert 2 <= len(re.findall(r"[.!?]\)?(?=\s|$)", re.sub(r"\bEqs?\. |et al\.", "", text))) <= 4, (
        text
    )
    lessons, _, code = places.partition(" · Code ")
    found = re.findall(LINK, lessons)
    assert found and re.sub(LINK, "", lessons).strip(" ,") in ("Lesson", "Lessons"), lessons
    for place in found:
        assert_place(*place)
    assert code or term == "Domain adaptation", (
        "only what this repository doesn't do has no name in the code"
    )
    for name in re.findall(r"`([^`]+)`", code):
        assert_code(name)


@pytest.mark.parametrize("row", SYMBOLS + OF_LESSONS, ids=lambda row: row[0])
def test_a_symbols_code_and_lessons_exist(row):
    *_, code, lessons = row
    names = re.findall(r"`([^`]+)`", code)
    assert names or code == "–"
    for name in names:
        assert_code(name)
    assert re.findall(LINK, lessons)
    for place in re.findall(LINK, lessons):
        assert_place(*place)


def test_every_symbol_of_the_paper_is_in_the_table():
    letters = [letter for row in SYMBOLS for letter in re.findall(r"\$(.+?)\$", row[0])]
    assert set(PAPER) - set(letters) == set()
    assert all(len(row) == 5 for row in SYMBOLS) and all(len(row) == 4 for row in OF_LESSONS)


def test_letters_that_stand_for_two_things_are_set_side_by_side_with_code_that_exists():
    doubles = {letter for row in DOUBLES for letter in row[0].replace(" and ", ", ").split(", ")}
    assert {*"βγBdfHKkMNnPpqSTxyλρ", "L_tr"} <= doubles
    for row in DOUBLES:
        assert len(row) == 4 and all(row)
        for name in re.findall(r"`([^`]+)`", " ".join(row)):
            assert_code(name)


def test_a_letter_that_the_tables_explain_twice_is_among_the_doubles():
    letters = [
        letter
        for row in SYMBOLS + OF_LESSONS
        for letter in re.findall(r"\$([A-Za-z]|\\[a-z]+)\$", row[0])
    ]
    twice = {letter for letter in letters if letters.count(letter) > 1}
    greek = {r"\beta": "β", r"\gamma": "γ", r"\lambda": "λ"}
    named = " ".join(row[0] for row in DOUBLES)
    assert twice and all(greek.get(letter, letter) in named for letter in twice), twice


# ---- the quiz ------------------------------------------------------------------------------------------------------

QUIZ = (NOTEBOOKS / "quiz.md").read_text()
QUESTIONS = re.findall(r"^### (\d+\. [^\n]+)$\n(.*?)(?=^##|\Z)", QUIZ, re.MULTILINE | re.DOTALL)
BY_NUMBER = {int(title.partition(".")[0]): f"{title}\n{body}" for title, body in QUESTIONS}


def parts(body: str) -> tuple[str, str, str]:
    """A question's answers, its explanation, its last line: where to read and what to run."""
    answers, explanation = body.split("<details><summary>Answer</summary>")
    *explanation, last = (
        explanation.removesuffix("\n").replace("</details>", "").strip().split("\n\n")
    )
    return answers, "\n".join(explanation), last


def test_questions_are_numbered_and_follow_the_lessons():
    assert len(QUESTIONS) >= 24 and list(BY_NUMBER) == list(range(1, len(QUESTIONS) + 1))
    lessons = [re.search(LINK, parts(body)[2])[1] for _, body in QUESTIONS]
    assert lessons == sorted(lessons)
    for title, body in re.findall(
        r"^## (\d\d) [^\n]+$\n(.*?)(?=^## |\Z)", QUIZ, re.MULTILINE | re.DOTALL
    ):
        assert set(re.findall(r"\[lesson (\d\d)\]", body)) == {title}


@pytest.mark.parametrize(
    ("title", "body"), QUESTIONS, ids=[title.partition(".")[0] for title, _ in QUESTIONS]
)
def test_a_question_has_one_right_answer_and_says_of_each_other_what_tempts_and_what_is_wrong(
    title, body
):
    answers, explanation, _ = parts(body)
    letters = re.findall(r"^- \*\*([A-D])\.\*\* \S.*$", answers, re.MULTILINE)
    (right,) = re.findall(r"^\*\*([A-D]) is right\.\*\* \S", explanation, re.MULTILINE)
    wrong = re.findall(
        r"^- \*\*([A-D])\*\* is tempting: \S.*?\. But \S.*\.$", explanation, re.MULTILINE
    )
    assert title.endswith(("?", ".")) and letters in (list("ABC"), list("ABCD"))
    assert sorted([right, *wrong]) == letters


@pytest.mark.parametrize(
    ("title", "body"), QUESTIONS, ids=[title.partition(".")[0] for title, _ in QUESTIONS]
)
def test_what_a_question_sends_one_to_read_and_to_run_exists(title, body):
    last = parts(body)[2]
    number, lesson, heading = re.fullmatch(rf"Read {LINK}\.(?: Run .*)?", last, re.DOTALL).groups()
    assert_place(number, lesson, heading or "")
    assert heading, "a heading is needed"
    for other, kind, count in re.findall(r"(exercise) (\d) of lesson (\d\d)", last):
        (path,) = NOTEBOOKS.glob(f"{count}_*.ipynb")
        assert other == "exercise" and re.search(
            rf"^\*\*{kind}\. ", "\n".join(cells(path.stem)), re.MULTILINE
        ), last
    below = "\n".join(cells(lesson)).partition(f"# {heading}\n")[2]
    for quoted in re.findall(r"`([^`]+)`", last):
        if quoted.startswith("metabin."):
            for name in re.findall(r"metabin\.([\w.]+)", quoted):
                assert_code(name)
        elif not quoted.startswith(("make ", ".venv/bin/python -m metabin ")):  # test_pages.py
            assert quoted in below, f"{quoted} doesn't stand below that heading"


def test_the_right_answer_is_not_given_away_by_its_place_or_its_length():
    places, longest = [], 0
    for _, body in QUESTIONS:
        answers, explanation, _ = parts(body)
        texts = dict(re.findall(r"^- \*\*([A-D])\.\*\* (.*)$", answers, re.MULTILINE))
        places.append(re.search(r"\*\*([A-D]) is right", explanation)[1])
        longest += all(len(text) <= len(texts[places[-1]]) for text in texts.values())
    assert max(map(places.count, "ABCD")) <= 0.4 * len(places) and longest <= 0.4 * len(places)


# ---- numbers in the quiz -------------------------------------------------------------------------------------------


def question(words: str) -> str:
    """The question that has these words in it."""
    (found,) = [text for text in BY_NUMBER.values() if words in text]
    return found


def says(words: str, *numbers: str) -> None:
    text = question(words).replace("−", "-")
    for number in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", text), (
            f"{number} is not in: {text[:80]} …"
        )


def percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def test_rates_of_finished_trainings_are_those_of_their_file():
    for test in ("unseen", "home"):
        rates = [mean(finished_metrics(method, test)["rank1"]) for method in ("bn", "in")]
        says("generalizes better than", *map(percent, rates))
    for test in ("unseen", "far"):
        gap = finished_difference("metabin", "bin", test)
        says("Rank-1 of MetaBIN minus BIN", *(f"{100 * abs(value):.1f}" for value in gap))
    loss, _, below_zero = finished_difference("metabin", "bin", "home")
    assert below_zero < 0
    says("Rank-1 of MetaBIN minus BIN", percent(-loss))
    rows = {row["name"]: row for row in read_results("figure4")["rows"]}
    for name in ("BIN, two affine pairs", "MetaBIN"):
        says("mean ρ of about", f"{mean(rows[name]['rho_mean']):.2f}")
    for test in ("unseen", "far"):
        half, metabin = (mean(finished_metrics(m, test)["rank1"]) for m in ("half", "metabin"))
        assert half < metabin
    first = [finished_metrics(method)["rank1"][0] for method in ("bn", "in")]
    says("statistics of the new street's own pictures", *map(percent, first))


def test_the_layers_price_is_that_of_the_bench():
    assert "within a tenth of 1 (in channels-last below 2)" in question(
        "What does the package's layer cost"
    )
    for row in read_results("bench")["layer"]:
        assert row["bin_over_bn"] < (1.1 if row["memory_format"] == "contiguous_format" else 2)
        assert row["bin_over_bn"] > 0.9 and row["naive_over_bn"] > 4


def test_numbers_that_need_a_pencil_come_out_as_the_quiz_says():
    pictures = torch.tensor([[-4.0, -2.0], [-2.0, 2.0], [1.0, 5.0]])
    assert pictures.mean(1).tolist() == [-3, 0, 3] and pictures.var(1, correction=0).tolist() == [
        1,
        4,
        4,
    ]
    says(
        "variances 1, 4, 4",
        f"{pictures.var(correction=0).item():g}",
        f"{pictures.mean(1).var(correction=0):g}",
    )
    says("finds 70 of 100", percent(half_width(0.7, 100)), percent(half_width(0.7, 1000)))
    says("repeating the meta-step", f"{toy_walk(0.6, 60, 0.5, 0.25)[-1]:.1f}")
    points, who, where = eighteen_points()
    nearest = (
        pairwise_distances(points).masked_fill(who[:, None] == who, torch.inf).argmin(1)
    )  # (18,)
    says("hardest negative", f"{int((where[nearest] == where).sum())}")


def test_a_pooled_batch_misses_a_data_set_as_often_as_the_quiz_says():
    sizes, share = (1816, 1467, 1501, 1812, 11934), 0.0
    for count in range(1, 5):
        for absent in combinations(sizes, count):
            share -= (
                (-1) ** count * math.comb(sum(sizes) - sum(absent), 20) / math.comb(sum(sizes), 20)
            )
    says("20 people are drawn at random", percent(share))


def test_the_in_weight_decays_as_the_quiz_says():
    weight, velocity, per_epoch, epochs = 1.0, 0.0, 1849, []
    for step in range(40 * per_epoch):
        warm = 0.01 + 0.99 * min(1, step / (10 * per_epoch))
        velocity = 0.9 * velocity + 5e-4 * weight
        weight -= 0.01 * warm * velocity
        epochs.append(weight)
    says("the scale of the IN branch", f"{epochs[10 * per_epoch - 1]:.2f}", f"{epochs[-1]:.2f}")


def test_ten_splits_are_as_sure_as_the_quiz_says():
    rate, size = 0.797, DESIGNS["ilids"]
    one, ten = simulate_splits(
        rate, size.people, size.tested, 10, 400, torch.Generator().manual_seed(0)
    )
    widths = percent(1.96 * one.std().item()), percent(1.96 * ten.std().item())
    says("ten splits of the same 119 people", *widths, percent(half_width(rate, size.people)))


def test_the_camera_rule_and_the_distractors_move_rank_1_as_the_quiz_says():
    task = lesson_streets()
    world = replace(task.world, style=task.target_style)
    crowd = make_streets(world, [6], 119, images_per_camera=2, cache=CACHE)
    rows, numbers = torch.arange(0, len(crowd), 2), torch.arange(len(crowd))

    def rank1(f, cameras, rows=rows, gallery=numbers):
        labels = (labels[part] for labels in (crowd.pids, cameras) for part in (rows, gallery))
        return percent(retrieval(f[rows], f[gallery], *labels).rank1)

    for method in ("bn", "metabin"):
        f = extract_features(load_network(method), crowd)
        says("from the query's own camera stay", rank1(f, crowd.camids), rank1(f, numbers))
    wanted = crowd.pids < 60
    says("GRID's gallery", rank1(f, crowd.camids, rows[wanted[rows]], numbers[wanted]))
    says("GRID's gallery", rank1(f, crowd.camids, rows[wanted[rows]]))
