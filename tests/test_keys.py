"""A trial's key: the hash of what its code does, and of nothing else."""

from pathlib import Path

import pytest

from metabin.experiments.keys import Name, code_hash

FILES = {
    "tiny/__init__.py": "",
    "tiny/main.py": '''
"""Runs the trial."""
import math
import torch
from tiny.rooms import processes as distributed
from tiny.rooms.images import read, unused as spare
import tiny.losses as criteria

def run(images: "Images") -> float:
    """Train."""
    from tiny.late import finish
    return finish(distributed.average(read(images)) + criteria.scatter(images), math.pi)

def report():
    return spare()
''',
    "tiny/rooms/__init__.py": "",
    "tiny/rooms/processes.py": "def average(x):\n    return x / size()\n\ndef size():\n    return 2\n",
    "tiny/rooms/images.py": """
from tiny.rooms.pixels import decode as read
TABLE = {"a": 1}
TABLE |= {"b": 2}
def unused():
    return 1
""",
    "tiny/rooms/pixels.py": "def decode(x):\n    return Picture(x).half()\n\n"
    "class Picture:\n    def half(self):\n        return HALF\n\nHALF = 0.5\n",
    "tiny/losses.py": "LOSSES = {}\n\ndef register(f):\n    LOSSES[f.__name__] = f\n    return f\n\n"
    "def scatter(x):\n    return LOSSES['centre'](x)\n\n"
    "@register\ndef centre(x):\n    return 3 * x\n",
    "tiny/late.py": "def finish(x, y):\n    if x is None:\n"
    "        raise ValueError('no x')\n    return x * y\n",
    "tiny/idle.py": "def average(x):\n    return 0\n",
}


def hash_of(folder: Path, file: str = "", old: str = "", new: str = ""):
    """The hash of `run` after a text of a file is replaced; without a file: in all, and in names."""
    for name, text in FILES.items():
        if file in ("", name) and old:
            assert not file or old in text
            text = text.replace(old, new)
        path = folder / (name if file or not old else name.replace(old, new))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return code_hash([Name("tiny.main", "run")], folder)


@pytest.fixture
def original(tmp_path) -> str:
    return hash_of(tmp_path / "original")


MAIN = "tiny/main.py"
SAME = {
    "a docstring is mended": (MAIN, '"""Train."""', '"""Train, then test."""'),
    "a docstring goes": (MAIN, '    """Train."""\n', ""),
    "a comment comes": (MAIN, "def run", "# the whole trial\ndef run"),
    "an annotation changes": (MAIN, '"Images"', '"ImageSet"'),
    "an import is split": (MAIN, "read, unused", "read\nfrom tiny.rooms.images import unused"),
    "a module gets another name where it is used": (MAIN, "distributed", "processes"),
    "a name is imported from where it is defined": (
        MAIN,
        "import read, unused as spare",
        "import unused as spare\nfrom tiny.rooms.pixels import decode as read",
    ),
    "code that the trial does not run changes": (MAIN, "return spare()", "return spare() + 1"),
    "a file that it does not use changes": ("tiny/idle.py", "return 0", "return 1"),
    "an error says something else": ("tiny/late.py", "'no x'", "f'no {x}: give one'"),
    "a neighbour of what it uses changes": ("tiny/rooms/images.py", "return 1", "return 2"),
}
OTHER = {
    "a formula": (MAIN, "+ criteria", "- criteria"),
    "a formula behind a module's other name": ("tiny/rooms/processes.py", "x / size", "x * size"),
    "what that needs": ("tiny/rooms/processes.py", "return 2", "return 4"),
    "a formula behind a file that passes it on": ("tiny/rooms/pixels.py", "HALF = 0.5", "HALF = 1"),
    "an import within a function": ("tiny/late.py", "x * y", "x + y"),
    "what registers itself": ("tiny/losses.py", "3 * x", "4 * x"),
    "another function of the same name": (MAIN, "tiny.rooms import processes", "tiny import idle"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_the_key_stays_when(original, tmp_path, change):
    assert hash_of(tmp_path / "changed", *change) == original


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER.keys())
def test_the_key_changes_with(original, tmp_path, change):
    assert hash_of(tmp_path / "changed", *change) != original


@pytest.mark.parametrize("names", [("processes", "collectives"), ("losses", "criteria")])
def test_the_key_stays_when_a_file_is_renamed(original, tmp_path, names):
    assert hash_of(tmp_path / "changed", "", *names) == original


def test_what_is_left_out_does_not_count(tmp_path):
    folder = tmp_path / "original"
    hash_of(folder)
    left_out = [Name("tiny.rooms.pixels", "HALF")]
    before = code_hash([Name("tiny.main", "run")], folder, left_out)
    path = folder / "tiny/rooms/pixels.py"
    path.write_text(path.read_text().replace("HALF = 0.5", "HALF = 1"))
    assert code_hash([Name("tiny.main", "run")], folder, left_out) == before


def test_a_name_that_nobody_defines_is_an_error(tmp_path):
    with pytest.raises(LookupError, match="tiny.late has no finish"):
        hash_of(tmp_path, "tiny/late.py", "finish", "end")
