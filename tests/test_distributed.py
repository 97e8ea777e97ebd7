"""Several processes of one run.

Two compute what one does on the whole batch; they draw apart, decide and resume together.
"""

import errno
import itertools
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path

import pytest
import torch
from conftest import SMALL_WORDS, assert_same, make_people
from torch import nn

import metabin.runs.training
from metabin.config import Config, demo
from metabin.kernels import collectives
from metabin.networks.model import build_model
from metabin.networks.synced_norms import sync_stats
from metabin.runs import processes
from metabin.runs.train_command import main
from metabin.samplers import Batch, join
from metabin.train import Run, train

State = dict[str, torch.Tensor]
QUICK = demo(size=(32, 16), ids_per_domain=2, images_per_id=2, iterations=2, crop_pad=1, warmup=0.0)
ID_ONLY = replace(
    QUICK, base="id", meta_train="id", meta_test="id", lr=1.0, outer_lr=1.0, inner_lr_low=0.1
)


# the harness


def _enter(function, number: int, world: int, port: int, folder: Path):
    """What torchrun does for one process, and its result or its exit code written down."""
    names = dict(RANK=number, LOCAL_RANK=number, WORLD_SIZE=world, LOCAL_WORLD_SIZE=world)
    os.environ |= {name: str(value) for name, value in names.items()}
    os.chdir(folder)
    os.environ |= dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES="")
    sys.stderr = open(folder / f"{number}.txt", "w", buffering=1)
    torch.set_num_threads(1)
    torch.save(function(), folder / f"{number}.pt")


def in_processes(function, folder: Path, world: int = 2) -> list:
    """What `function` returns in each of two processes; None from one that didn't reach its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    preloaded = ["pytest", "metabin.runs.training", "torch._dynamo"]  # takes seconds, once
    context.set_forkserver_preload(preloaded)
    folder.mkdir(parents=True, exist_ok=True)
    started = []
    for number in range(world):
        arguments = function, number, world, port, folder
        started.append(context.Process(target=_enter, args=arguments))
        started[-1].start()
    for process in started:
        process.join(120)
        process.kill()
    for number in range(world):
        print((folder / f"{number}.txt").read_text()[-2000:])  # seen where a test fails
    paths = [folder / f"{number}.pt" for number in range(world)]
    return [torch.load(path) if path.exists() else None for path in paths]


def joining(function):
    """The function's result, called where the processes know of each other."""
    with processes.join_processes():
        return function()


# two halves and the whole


def fixed_batches(half: slice) -> list[list[Batch]]:
    """Mini-batches in float64 of 3 domains x 2 ids x 4 images, of each domain this half."""
    draw, batches = torch.Generator().manual_seed(0), []
    domains = torch.arange(3).repeat_interleave(8)  # (24,)
    pids = 8 * domains + torch.tensor([0, 1]).repeat_interleave(4).repeat(3)
    for _ in range(2 * QUICK.iterations):
        images = torch.randn(24, 3, 32, 16, dtype=torch.float64, generator=draw)
        casts = torch.randn(3, 3, 1, 1, dtype=torch.float64, generator=draw)
        labelled = (images + casts[domains]).chunk(3), pids.chunk(3), domains.chunk(3)
        of_domains = zip(*labelled, strict=True)
        batches.append([Batch(*map(itemgetter(half), tensors)) for tensors in of_domains])
    return batches


def trained(config: Config, half: slice = slice(None), sync_stats: bool = False) -> State:
    """Weights and statistics after two iterations on these batches, split by a fixed stream."""
    run = Run(config, make_people(), "cpu", sync_stats)
    run.model.double()
    batches = iter(fixed_batches(half))
    run.base_batches.draw = run.meta_batches.draw = lambda: next(batches)
    run.meta_batches.shared.manual_seed(5)
    list(train(run))
    return run.model.state_dict()


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
CASES = {
    "metabin": ID_ONLY,
    "second order": replace(ID_ONLY, order=2),
    "mldg, second order": replace(ID_ONLY, algorithm="mldg", order=2),
    "one affine pair": replace(ID_ONLY, norm="bin_shared"),
    "bn": replace(ID_ONLY, algorithm="joint", norm="bn"),
    "own statistics": ID_ONLY,
    "batch-hard": replace(ID_ONLY, base="id + triplet"),
    "batch-hard, meta-test": replace(ID_ONLY, meta_test="triplet"),
}


def train_halves() -> dict[str, State]:
    """Every case on this process's half of each identity's images."""
    half, ends = slice(collectives.rank(), None, 2), {}
    for name, config in CASES.items():
        ends[name] = trained(config, half, sync_stats=name != "own statistics")
    return ends


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> list[dict]:
    return in_processes(partial(joining, train_halves), tmp_path_factory.mktemp("halves"))


def largest_difference(one: dict, other: dict, ending: str = "") -> float:
    names = [name for name in one if name.endswith(ending)]
    return max((one[name] - other[name]).abs().max().item() for name in names)


@pytest.mark.parametrize("case", list(CASES)[:5])
def test_two_halves_with_synchronized_statistics_and_cross_entropy_are_one_whole(halves, case):
    whole = trained(CASES[case])
    start = Run(CASES[case], make_people(), "cpu").model.double().state_dict()
    kinds = ["conv1.weight", "classifier.weight", *STATISTICS]
    for ending in kinds + ["rho"] * ("bin" in CASES[case].norm):
        assert largest_difference(whole, start, ending) > 1e-3  # it moved
    for process in halves:
        assert largest_difference(process[case], whole) < 1e-9


def test_without_synchronized_statistics_the_weights_are_equal_but_not_the_wholes(halves):
    one, other = (process["own statistics"] for process in halves)
    weights = [name for name in one if "running" not in name]
    assert all(torch.equal(one[name], other[name]) for name in weights)
    assert largest_difference(one, other, "running_mean") > 1e-3
    assert largest_difference(one, trained(CASES["own statistics"]), "classifier.weight") > 1e-4


@pytest.mark.parametrize(
    ("case", "ending"), [("batch-hard", "conv1.weight"), ("batch-hard, meta-test", "rho")]
)
def test_batch_hard_mining_within_halves_is_not_mining_in_the_whole(halves, case, ending):
    one, other = (process[case] for process in halves)
    assert largest_difference(one, other) == 0
    assert largest_difference(one, trained(CASES[case]), ending) > 1e-4


# what each draws, and what they decide together


def drawing() -> dict:
    """What a process draws and decides, where every choice is random, and where it ends."""
    config = replace(QUICK, domains_per_batch=3, control="random", meta_train_share=0.7)
    run = Run(config, make_people(), "cpu")
    start = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    streams = [batches.get_state()[0] for batches in (run.base_batches, run.meta_batches)]
    streams.append(run.meta_batches.shared.get_state())
    images = [join(run.base_batches.draw()).images for _ in range(4)]
    domains = []
    for _ in range(8):
        domains.append(tuple(int(batch.domains[0]) for batch in run.meta_batches.draw()))
    losses = [step.losses for step in train(run)]
    return {
        "start": start,
        "streams": streams,
        "images": images,
        "domains": domains,
        "losses": losses,
        "end": run.model.state_dict(),
        "saved": run.state_dict()["base_batches"],
    }


def overflow() -> list:
    """One process's gradient is infinite: the weights after a step of the scaler, and its scale."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler, seen = collectives.GradientScaler("cpu", init_scale=8.0), []
    for gradient in (1.0 + collectives.rank(), float("inf") if collectives.rank() else 1.0):
        scaler.scale(torch.zeros(()))
        weight.grad = torch.full((2,), 8 * gradient)
        scaler.step(optimizer)
        scaler.update()
        seen += [weight.detach().clone(), scaler.get_scale()]
    return seen


def refusals() -> list[str]:
    """What is said where processes differ, and of a layer without a synchronized form."""
    with pytest.raises(ValueError) as seeds:
        Run(replace(QUICK, seed=collectives.rank()), make_people(), "cpu")
    with pytest.raises(ValueError) as layer:
        sync_stats(build_model("switchable", 4))
    return [str(seeds.value), str(layer.value)]


@pytest.fixture(scope="module")
def apart(tmp_path_factory) -> list[dict]:
    functions = drawing, overflow, refusals
    together = partial(joining, partial(call_all, functions))
    return in_processes(together, tmp_path_factory.mktemp("apart"))


def call_all(functions) -> dict:
    return {function.__name__: function() for function in functions}


def test_each_process_draws_from_its_own_streams_and_the_first_ones_are_a_single_runs(apart):
    one, other = (process["drawing"] for process in apart)
    alone = drawing()
    distinct = [*one["streams"], *other["streams"][:2]]
    for a, b in itertools.combinations(distinct, 2):
        assert not torch.equal(a, b)
    assert torch.equal(one["streams"][2], other["streams"][2])  # what all must decide alike
    for a, b in itertools.product(one["images"], other["images"]):
        assert not torch.equal(a, b)
    assert_same(one["images"], alone["images"])
    assert len(one["saved"]) == 4 and len(alone["saved"]) == 2  # every process's are saved
    assert_same(one["saved"], other["saved"])


def test_all_processes_choose_the_same_domains_and_end_with_the_same_weights(apart):
    one, other = (process["drawing"] for process in apart)
    start, end = drawing()["start"], one["end"]
    assert one["domains"] == other["domains"] and len(set(one["domains"])) > 3
    assert all(len(set(chosen)) == 3 for chosen in one["domains"])
    assert_same(one["losses"], other["losses"])
    assert_same(one["start"], start)
    for name, tensor in end.items():
        assert "running" in name or torch.equal(tensor, other["end"][name])
    for ending in ("classifier.weight", "rho"):
        assert largest_difference(end, start, ending) > 0


def test_where_a_gradient_overflows_in_one_process_all_skip_the_step(apart):
    for process in apart:
        first, scale, second, halved = process["overflow"]
        assert first.tolist() == [-0.5, -0.5]  # 1 - the mean of 1 and 2
        assert torch.equal(first, second) and (scale, halved) == (8, 4)


def test_different_configurations_and_a_layer_without_a_synchronized_form_are_refused(apart):
    one, other = (process["refusals"] for process in apart)
    assert one == other and "all processes need the same config: process 1 has" in one[0]
    assert "SwitchableNorm2d has no synchronized form" in one[1]


def test_a_machine_with_fewer_gpus_than_processes_says_how_many_to_start(
    command, monkeypatch, capsys
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in dict(RANK=0, LOCAL_RANK=0, LOCAL_WORLD_SIZE=2).items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(SystemExit, match="2"):
        main(command)
    (line,) = capsys.readouterr().err.splitlines()
    message = "torchrun started 2 processes on a machine with 1 GPU: use --nproc-per-node 1"
    assert line.startswith(message)


# the command


def meddling(arguments: list[str], step: int, number: int):
    """The command, whose second process gets a signal after a step."""
    rest = metabin.runs.training.train

    def meddled(run):
        for made in rest(run):
            if collectives.rank() == 1 and made.iteration == step:
                os.kill(os.getpid(), number)
            yield made

    metabin.runs.training.train = meddled
    main(arguments)


def on_a_full_disk(arguments: list[str]) -> int:
    """The exit code of the command where the first process's disk is full after a few files."""
    count, flush = itertools.count(1), os.fsync

    def full(descriptor):
        if collectives.rank() == 0 and next(count) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    os.fsync = full
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    return raised.value.code


@pytest.fixture
def command(roots) -> list[str]:
    every = "--iterations 5 --log-every 1 --save-every 0".split()
    return ["--data-root", *roots, *SMALL_WORDS, *every]


def messages(folder: Path) -> list[list[str]]:
    """The lines that each of two processes wrote."""
    return [(folder / f"{number}.txt").read_text().splitlines() for number in range(2)]


def test_two_processes_of_which_one_is_stopped_and_one_killed_go_on_to_the_bit(
    command, tmp_path, refusal, monkeypatch
):
    shared = [*command, "--sync-stats", "--run-dir"]
    straight, torn = [*shared, str(tmp_path / "run a")], [*shared, str(tmp_path / "run b")]
    words = {}
    for name, function in {
        "straight": partial(main, straight),
        "stopped": partial(meddling, torn, 2, signal.SIGTERM),
        "killed": partial(meddling, torn, 4, signal.SIGKILL),
        "ended": partial(main, torn),
    }.items():
        in_processes(function, tmp_path / name)
        words[name] = messages(tmp_path / name)
    (*_, last), second = words["stopped"]
    assert last.startswith("stopped at step 2") and second == []
    first, second = words["killed"]
    assert "resumed from step 2" in first and second == []
    assert first[-1].startswith("process 0") and "has lost the others" in first[-1]
    first, second = words["ended"]
    assert "2 processes on cpu, batch statistics are the whole batch's" in first
    assert "resumed from step 3" in first and second == []
    ends = []
    for folder in (straight[-1], torn[-1]):
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
        ends.append(torch.load(Path(folder) / "step_000005.pt", weights_only=True)["run"])
    assert_same(*ends)

    monkeypatch.chdir(tmp_path)
    code, line = refusal("train", *torn)
    assert code == 2 and "with other processes: 2, not 1" in line


def test_a_full_disk_of_the_first_process_stops_both_with_one_line(command, tmp_path):
    arguments = [*command, "--run-dir", str(tmp_path / "run")]
    codes = in_processes(partial(on_a_full_disk, arguments), tmp_path)
    first, second = messages(tmp_path)
    assert codes == [2, 2] and second == []
    assert "No space left on device; the last good checkpoint is" in first[-1]
    assert Path(first[-1].split()[-1]).exists()


@pytest.mark.slow
def test_torchrun_trains_with_two_processes_and_stops_with_one_line(command, tmp_path):
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node 2 -m metabin train".split()
    call = [sys.executable, *torchrun, *command, "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    streams = dict(capture_output=True, text=True, timeout=120)
    done = subprocess.run(call, env=environment, cwd=tmp_path, **streams)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("weights for retrieval") == 1
    assert done.stderr.count("step 5/5") == 1
