"""The package as a wheel, installed without its checkout: it trains, tests and draws."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools")
ROOT = Path(__file__).parents[1]

# Two iterations on streets, a test on an unseen street, one figure; in the house style.
PROGRAM = """
import sys
from pathlib import Path
import metabin
assert Path(metabin.__file__).is_relative_to(sys.argv[1]), metabin.__file__
from metabin import World, demo, make_streets, query_gallery
from metabin.evaluate.retrieval import evaluate
from metabin.runs.provenance import ROOT, cache_folder, provenance
from metabin.train import Run, train
assert ROOT == Path.cwd() and provenance()["commit"] is None
world, size = World(0, 32, 16), {"size": (32, 16), "ids_per_domain": 2, "images_per_id": 2}
streets = make_streets(world, range(3), 8, cache=cache_folder())
run = Run(demo(iterations=2, crop_pad=1, **size), streets, "cpu")
assert [step.iteration for step in train(run)] == [1, 2]
query, gallery = query_gallery(make_streets(world, [5], 8))
assert 0 <= evaluate(run.model, query, gallery).mAP <= 1
from matplotlib.figure import Figure
from metabin import plotting
plotting.use_style()
figure = Figure()
plotting.draw_comparison(figure.subplots(), {"bn": [0.5, 0.6], "bin": [0.7, 0.8]})
plotting.save(figure, Path("figure.svg"))
assert Path("figure.svg").stat().st_size > 1000 and any(Path("build/cache").iterdir())
"""
# VIPeR's people, whose splits a protocol tests; they must not come from a file of the checkout.
SPLITS = """
from pathlib import Path
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.splits import splits_of
pictures = []
for pid in range(632):
    pictures.append(Picture(Path("a.bmp"), pid, 0, "query"))
    pictures.append(Picture(Path("b.bmp"), pid, 1, "gallery"))
splits, origin = splits_of(Listing("viper", Path("viper"), tuple(pictures)))
assert len(splits) == 10 and "sha256" in origin
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's files alone, which is all that installing it makes."""
    source = tmp_path_factory.mktemp("source")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "metabin", source / "metabin", ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, "."], cwd=source, check=True, capture_output=True)
    [wheel] = source.glob("*.whl")
    target = tmp_path_factory.mktemp("target")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(target)
    return target


def run_python(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run Python in a folder with the installed package, and not the checkout, on its path."""
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_a_wheel_without_its_checkout_trains_tests_and_draws_and_writes_nothing_into_itself(
    installed, tmp_path
):
    before = sorted(path.relative_to(installed) for path in installed.rglob("*"))
    done = run_python(installed, tmp_path, "-c", PROGRAM, str(installed))
    assert done.returncode == 0, done.stderr
    words = "--size 32 16 --iterations 1 --crop-pad 1 --run-dir run --setting single_source"
    done = run_python(installed, tmp_path, "-m", "metabin", "train", *words.split())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert sorted(path.relative_to(installed) for path in installed.rglob("*")) == before


@pytest.mark.slow
def test_a_wheel_knows_the_small_targets_splits(installed, tmp_path):
    done = run_python(installed, tmp_path, "-c", SPLITS)
    assert done.returncode == 0, done.stderr
