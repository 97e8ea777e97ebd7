"""kill -9 at random moments: every run goes on to the bit, and no half-written file is left or loaded."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from metabin.datasets import write_market1501
from metabin.runs.checkpoints import checkpoints
from metabin.runs.train_command import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
SMALL = "--size 32 16 --ids-per-domain 2 --images-per-id 2 --crop-pad 1 --iterations 20 --log-every 4".split()


def train_in(folder: Path, arguments: list[str], gpu: bool):
    """What a process does: the command, with its words in a file."""
    os.chdir(folder)
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.stdout = sys.stderr = open("words.txt", "a", buffering=1)
    torch.set_num_threads(1)
    main(arguments)


class Runs:
    """Runs of one command, in processes of their own that have torch already."""

    def __init__(self, folder: Path, arguments: list[str], gpu: bool = False):
        self.folder, self.arguments, self.gpu = folder, arguments, gpu
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(
            ["pytest", "metabin.runs.training", "torch._dynamo"]
        )  # takes seconds, once

    def go(self, name: str, kill_after: float | None = None) -> bool:
        """Train in the folder `name`, to the end or until the kill. Whether it was killed."""
        arguments = [*self.arguments, "--run-dir", name]
        process = self.processes.Process(target=train_in, args=(self.folder, arguments, self.gpu))
        process.start()
        process.join(kill_after)
        process.kill()  # does nothing to a process that has ended
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (self.folder / "words.txt").read_text()[
            -2000:
        ]
        return process.exitcode != 0


def contents(folder: Path) -> dict:
    """All that a run leaves, but for what the clock says and the checkpoint before the last, whose step is the clock's."""
    state = torch.load(checkpoints(folder)[0], weights_only=True)
    state["metrics"] = state["metrics"]["losses"]
    lines = [
        json.loads(line) | {"seconds": 0}
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    names = {path.name for path in folder.iterdir()} - {
        path.name for path in checkpoints(folder)[1:]
    }
    return {
        "state": state,
        "metrics": lines,
        "names": names,
        "checkpoints": len(checkpoints(folder)),
    }


def assert_equal(one, other, path: str = ""):
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        one, other = list(one.items()), [(key, other[key]) for key in one]
    if isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{path}/{k}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def kill_and_resume(
    folder: Path, roots: list[str], kills: int, *more: str, gpu: bool = False
) -> int:
    """Kill as many runs, each at a random moment, and compare each with one that was left alone; how many had begun."""
    runs = Runs(folder, ["--data-root", *roots, *SMALL, *more], gpu)
    start = time.monotonic()
    runs.go("straight")
    lasts, straight = time.monotonic() - start, contents(folder / "straight")
    moments, begun = random.Random(0), 0
    for number in range(kills):
        name, attempt = f"killed {number}", 0
        while not runs.go(
            f"{name}.{attempt}", moments.random() * lasts * 0.9**attempt
        ):  # it had finished before
            attempt += 1
        killed = folder / f"{name}.{attempt}"
        seen = checkpoints(killed) if killed.exists() else []
        for path in seen:
            torch.load(path, weights_only=True)  # a name means a whole file
        begun += bool(seen)
        runs.go(killed.name)
        assert_equal(contents(killed), straight)
    assert (folder / "words.txt").read_text().count("resumed from step") == begun
    assert "passed over" not in (folder / "words.txt").read_text()
    return begun


@pytest.fixture(scope="module")
def roots(people, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("pictures")
    for domain in range(2):
        write_market1501(people[people.domains == domain], folder / f"street {domain}")
    return [str(folder / f"street {domain}") for domain in range(2)]


def test_a_run_that_is_killed_twice_ends_as_if_it_had_not_been(roots, tmp_path):
    kill_and_resume(tmp_path, roots, 2, "--save-every", "0")


@pytest.mark.long
def test_twenty_of_twenty_killed_runs_end_as_if_they_had_not_been(roots, tmp_path):
    begun = kill_and_resume(tmp_path, roots, 20, "--save-every", "0.2")
    print(
        f"20 of 20 killed runs ended to the bit as the one that was left alone; {begun} had a checkpoint"
    )
    assert begun > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_killed_run_ends_to_the_bit_in_deterministic_mode(roots, tmp_path):
    kill_and_resume(tmp_path, roots, 2, "--save-every", "0.2", "--deterministic", gpu=True)
