"""The pages: links lead to files, commands exist, code runs, numbers are those of the results."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from metabin.__main__ import COMMANDS
from metabin.course.lessons import read_notebook
from metabin.course.pages import write_pages
from metabin.experiments.results import read_results
from metabin.runs.provenance import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("data", "figures")),
    *sorted((ROOT / "notebooks").glob("*.md")),
    *LESSONS,
]
INTERVAL = r"[+−][\d.]+, 95 % CI \[[+−][\d.]+, [+−][\d.]+\]"


@cache
def text_of(page: Path) -> str:
    """Text of a page, or the prose and code of a lesson."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files(page):
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"{]+)\"", text_of(page))
    for link in map("".join, links):
        if not link.startswith(("http", "#", "data:")):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_paths_that_a_page_names_exist(page):
    text, makefile = text_of(page), (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "-m metabin." not in text, "commands have one door: python -m metabin COMMAND"
    assert set(re.findall(r"-m metabin ([a-z]+)", text)) <= COMMANDS.keys()
    for target in re.findall(r"`(?:[A-Z]+=\S+ )*make ([a-z-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for path in re.findall(r"\b(?:metabin|tests|figures)/[\w/]+\.\w+", text):
        assert (ROOT / path).exists(), path


def test_no_link_of_an_exported_page_is_dead(tmp_path):
    *run, not_run = LESSONS
    write_pages({lesson: read_notebook(lesson) for lesson in run}, tmp_path)
    pages = {}
    for path in tmp_path.iterdir():
        pages[path.name] = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    names = {"index", *(page.stem for page in PAGES if page.parent == not_run.parent)}
    assert set(pages) == {f"{name}.html" for name in names}
    for name, page in pages.items():
        for link in page("a", href=re.compile("^(?!https?:)")):
            file, _, anchor = link["href"].partition("#")
            target = pages[file or name]
            assert not anchor or target.find(id=anchor), f"{name}: {link['href']}"
    assert "was not run yet" in pages[f"{not_run.stem}.html"].get_text()


def test_the_readme_is_short_and_lists_every_lesson_once():
    assert len(README.encode()) <= 9_000
    assert re.findall(r"\(notebooks/(\d\w+\.ipynb)\)", README) == [page.name for page in LESSONS]


def test_the_readmes_python_is_eight_lines_and_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    lines = [line for line in code.splitlines() if line and not line.startswith(("from", "import"))]
    assert len(lines) <= 8
    small = code.replace("demo()", "demo(iterations=2)")
    small = small.replace("num_ids=120", "num_ids=12").replace("num_ids=100", "num_ids=10")
    exec(compile(small, "README.md", "exec"), {})
    assert "Rank-1 on an unseen street: " in capsys.readouterr().out


def test_an_interval_of_the_readme_is_one_of_the_page_of_results():
    intervals = re.findall(INTERVAL, README)  # tests/test_results.py compares those of the page
    assert len(intervals) == 9
    assert set(intervals) <= set(re.findall(INTERVAL, RESULTS))


def test_costs_of_the_layer_and_of_the_data_are_those_of_the_bench():
    bench = read_results("bench")
    for memory_format, words in (
        ("contiguous_format", "{} to {} times the time of `nn.BatchNorm2d`"),
        ("channels_last", "it takes {} to {} times"),
    ):
        rows = [row for row in bench["layer"] if row["memory_format"] == memory_format]
        ratios = sorted(row["bin_over_bn"] for row in rows)
        digits = 2 if memory_format == "contiguous_format" else 1
        assert (
            words.format(*(f"{ratio:.{digits}f}" for ratio in (ratios[0], ratios[-1]))) in RESULTS
        )
    naive = sorted(row["naive_over_bn"] for row in bench["layer"])
    assert f"their mix take {naive[0]:.1f} to {naive[-1]:.1f} times" in RESULTS
    kept = max(row["bin_kept"] for row in bench["layer"])
    assert f"at most {kept:.2f} times the input's bytes" in RESULTS
    world = bench["world"]
    assert f"{world['streets_images']:,} pictures of the demo streets takes" in RESULTS
    assert f"to {world['streets_seconds']:.0f} s, once" in RESULTS
    assert f"gallery images takes {world['market_seconds']:.0f} s" in RESULTS


def test_costs_of_an_iteration_are_those_of_the_bench():
    (row,) = read_results("bench")["training"]["rows"]
    (compiled,) = read_results("bench")["training"]["compiled"]
    for sentence in (
        f"{row['iteration_over_base']:.2f} times its own base step",
        f"base step takes {row['base_over_bn']:.2f} times that of the same network with BN",
        f"the iteration takes {compiled['iteration_over_eager']:.2f} of that time",
        f"are {compiled['iteration_over_base']:.2f} and {compiled['base_over_bn']:.2f}, after"
        f" {compiled['first_iteration_s']:.0f} s of compiling",
        f"keep {row['meta_mib']:.0f} MiB for backward, the base step {row['base_mib']:,.0f} MiB",
    ):
        assert sentence in RESULTS, sentence
