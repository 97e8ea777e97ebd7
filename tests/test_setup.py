"""The files around the package: set-up, help, and what no file may hold."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def tracked_files() -> list[Path]:
    """Files that are committed or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_the_conda_environment_holds_no_second_list_of_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, wrapped = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == "pip"
    assert wrapped == {"pip": ["-e .[all]"]}
    assert "all" in PROJECT["optional-dependencies"]


def test_the_citation_names_the_contributors_and_the_paper_and_no_address():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["authors"] == [{"name": author["name"]} for author in PROJECT["authors"]]
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    paper = citation["preferred-citation"]
    assert paper["title"].startswith("Meta Batch-Instance Normalization for Generalizable")
    assert [author["family-names"] for author in paper["authors"]] == [
        "Choi",
        "Kim",
        "Jeong",
        "Park",
        "Kim",
    ]
    assert not any("://" in str(value) for value in (*citation.values(), *paper.values()))


@needs_make
def test_a_plain_make_and_help_explain_every_target():
    targets = re.search(r"^\.PHONY: (.*) moved$", MAKEFILE, re.MULTILINE)[1].split()
    for words in (["make"], ["make", "help"]):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        explained = re.findall(r"^  (\S+) +\S", done.stdout, re.MULTILINE)
        assert sorted(explained) == sorted(targets)


def stand_in(folder: Path, log: Path) -> None:
    """A uv that makes a Python which writes down what it is asked to do."""
    folder.mkdir()
    python = f'#!/bin/sh\necho "python $*" >> "{log}"\n'
    uv = f'#!/bin/sh\necho "uv $*" >> "{log}"\n[ "$1" = venv ] || exit 0\nmkdir -p .venv/bin\n'
    (folder / "uv").write_text(
        uv + f"cat > .venv/bin/python <<'END'\n{python}END\nchmod +x .venv/bin/python\n"
    )
    (folder / "uv").chmod(0o755)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A fresh clone in a folder with a difficult name, and what was called there; nothing is really installed."""
    log = tmp_path / "log"
    stand_in(tmp_path / "bin", log)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    folder = tmp_path / "a folder (copy), x"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)

    def make(*words: str, into: Path = folder) -> list[str]:
        log.write_text("")
        subprocess.run(["make", *words], cwd=into, capture_output=True, text=True, check=True)
        return [
            line
            for line in log.read_text().splitlines()
            if "sys.version_info" not in line and "--version" not in line
        ]

    make.folder = folder
    return make


@needs_make
@pytest.mark.parametrize("typed, meant", [("LESON=06", "LESSON"), ("profile=gpu", "PROFILE")])
def test_a_misspelt_variable_stops_with_the_nearest_name(clone, typed, meant):
    words = ["make", "reproduce", typed]
    done = subprocess.run(words, cwd=clone.folder, capture_output=True, text=True)
    assert done.returncode == 2
    name = typed.partition("=")[0]
    assert f"no variable {name}; did you mean {meant}?" in done.stderr
    assert not (clone.folder / ".venv").exists()


CHECKPOINTS = "python -m metabin checkpoints --compare"
INSTALL = "uv pip install --quiet --python .venv/bin/python -e .[all]"


@needs_make
def test_a_target_sets_up_its_environment_once_in_a_folder_with_spaces(clone):
    first = clone("reproduce", "LESSON=02", "SEED=7")
    assert first[0].startswith("uv venv") and first[1] == INSTALL
    run = "python -m metabin course run --profile demo --seed 7 --lesson 02"
    assert first[-1] == run
    assert clone("reproduce", "LESSON=02", "SEED=7") == [run]


@needs_make
def test_a_changed_dependency_list_or_a_moved_folder_is_installed_again(clone):
    clone("checkpoints")
    assert clone("checkpoints") == [CHECKPOINTS]
    time = (clone.folder / ".venv" / "ready").stat().st_mtime
    os.utime(clone.folder / "pyproject.toml", (time + 10, time + 10))
    assert clone("checkpoints") == [INSTALL, "python -c import torch, torchvision", CHECKPOINTS]
    os.utime(clone.folder / "pyproject.toml", (time - 10, time - 10))
    moved = clone.folder.rename(clone.folder.parent / "moved")
    assert INSTALL in clone("checkpoints", into=moved)
    assert INSTALL not in clone("checkpoints", into=moved)


@needs_make
def test_an_environment_left_by_a_killed_install_is_made_anew(clone):
    (clone.folder / ".venv" / "lib").mkdir(parents=True)
    (clone.folder / ".venv" / "installing").touch()
    assert clone("checkpoints")[0].startswith("uv venv")
    assert (
        not (clone.folder / ".venv" / "lib").exists()
        and not (clone.folder / ".venv" / "installing").exists()
    )


def test_no_file_names_a_package_index_or_a_path_of_the_machine_it_was_written_on():
    hosts = [
        "py" + "pi.org",
        "python" + "hosted.org",
        "download.py" + "torch.org",
        "conda.ana" + "conda.org",
    ]
    forbidden = hosts + [f"{folder}/" for folder in (ROOT, Path.home()) if folder != Path("/")]
    for path in tracked_files():
        content = path.read_bytes().decode(errors="ignore")
        assert not [word for word in forbidden if word in content], path


def test_ci_runs_the_tests_and_says_how_they_ended():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100, "not executable"
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines and lines[-1] == "exec make test test-long test-browser"
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1].splitlines()
    assert recipe[-1].endswith("-m pytest"), "pytest's closing line has to be the last one"
