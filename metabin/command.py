"""`python -m metabin.train`: a training run from the command line."""

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from metabin.checkpoint import load_run, save_model, save_run
from metabin.config import Config, demo
from metabin.datasets import read_market1501
from metabin.images import concat_sets, relabel
from metabin.streets import World, make_streets
from metabin.train import Run, train


def main(arguments: list[str] | None = None):
    """Train from the command line, saving every minute; the same command goes on where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m metabin.train", description="Train MetaBIN, BIN, BN, IN or Half.")
    parser.add_argument("--data-root", nargs="+", type=Path, help="folders in Market-1501's layout, one domain each")
    parser.add_argument("--run-dir", type=Path, default=Path("build/runs/demo"), help="where checkpoints are kept")
    for f in fields(Config):
        kind = {"type": type(f.default[0]), "nargs": "+"} if isinstance(f.default, tuple) else {"type": type(f.default)}
        parser.add_argument(f"--{f.name.replace('_', '-')}", default=getattr(demo(), f.name), **kind)
    given = vars(parser.parse_args(arguments))
    given |= {name: tuple(given[name]) for name in ("size", "milestones")}
    try:
        folder = given["run_dir"]
        if given["data_root"]:
            sets = [read_market1501(root, given["size"], ("train",))[0] for root in given["data_root"]]
            images = relabel(concat_sets(sets))
        else:
            images = make_streets(World(0, *given["size"]), range(5), 120, cache=Path("build/cache"))
        run = Run(Config(**{f.name: given[f.name] for f in fields(Config)}), images)
        if (folder / "last.pt").exists():
            load_run(folder / "last.pt", run)
            print(f"resumed from step {run.iteration}", file=sys.stderr)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")
    bar = tqdm(train(run), initial=run.iteration, total=run.config.iterations, disable=None)
    saved = time.monotonic()
    for step in bar:
        if step.iteration % 20 == 0:
            bar.set_postfix({name: f"{value:.2f}" for name, value in step.losses.items()})
        if time.monotonic() - saved > 60 or step.iteration == run.config.iterations:
            save_run(folder / "last.pt", run)
            saved = time.monotonic()
    save_model(folder / "model.safetensors", run.model, run.config.norm)
    print(f"weights for retrieval: {folder / 'model.safetensors'}")
