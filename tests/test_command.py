"""`python -m metabin train`: flags, pictures, what a run writes, and how it stops and goes on."""

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean

import fake_datasets
import pytest
import torch
from conftest import SMALL_WORDS, assert_same, contents

import metabin.runs.sources
import metabin.runs.test_command
import metabin.runs.training
from metabin.config import METHODS, PROFILES, Config, demo
from metabin.data.augment import normalize
from metabin.datasets import SETS
from metabin.norm import balancing_parameters
from metabin.presets import preset
from metabin.runs.checkpoints import checkpoints, load_model, save_model
from metabin.runs.flags import configure, parser
from metabin.runs.progress import Progress
from metabin.runs.sources import open_images
from metabin.runs.train_command import main
from metabin.train import Run, train

RUN = Path("run")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def command(roots, tmp_path, monkeypatch) -> list[str]:
    """The words of eight iterations in the folder "run", saved after every step."""
    monkeypatch.chdir(tmp_path)
    every = "--run-dir run --save-every 0 --iterations 8 --log-every 3".split()
    return ["--data-root", *roots, *SMALL_WORDS, *every]


@pytest.fixture
def sets(tmp_path, monkeypatch) -> Path:
    """Market-1501 and CUHK02 in the folder "sets", in miniature."""
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_market1501(tmp_path / "sets" / "Market-1501")
    fake_datasets.write_cuhk02(tmp_path / "sets" / "CUHK02")
    return Path("sets")


@pytest.fixture
def meddle(monkeypatch):
    """meddle(step, act): `act` looks at that step or changes it before the command sees it."""

    def meddle(iteration: int, act):
        def meddled(run):
            for step in train(run):
                yield (act(step) or step) if step.iteration == iteration else step

        monkeypatch.setattr(metabin.runs.training, "train", meddled)

    return meddle


def flags(*arguments: str) -> Config:
    return configure(parser().parse_args(arguments))


def opened(words: str | list[str]):
    """The small images that a training with these words learns from."""
    words = words.split() if isinstance(words, str) else words
    return open_images(parser().parse_args(words), (32, 16))


def metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    return lines


def logged_steps() -> list[int]:
    return [line["step"] for line in metrics(RUN)]


def kept() -> list[str]:
    return [path.stem for path in checkpoints(RUN)]


def assert_as_if_never_stopped(command: list[str]):
    """The folder "run" holds to the bit what the same command leaves in a folder of its own."""
    straight = Path("straight")
    main([str(straight) if word == "run" else word for word in command])
    for path in checkpoints(straight):
        one = torch.load(path, weights_only=True)["run"]
        assert_same(one, torch.load(RUN / path.name, weights_only=True)["run"])
    assert metrics(straight) == metrics(RUN)
    assert contents(straight).keys() == contents(RUN).keys()


# flags


def test_every_field_of_the_configuration_is_a_flag_with_the_comment_beside_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = " ".join(parser().format_help().split())
    for f in fields(Config):
        assert re.search(rf" --{f.name.replace('_', '-')}[ ,]", text), f.name
    assert "alpha, at the schedule's top" in text and "beta's range, Eq. 9" in text
    assert "P x K = 16 samples for each domain" in text


def test_every_field_can_be_given():
    changes = {f.name: f.default / 2 for f in fields(Config) if isinstance(f.default, float)}
    changes |= dict(size=(64, 48), milestones=(), decay_norms=True, order=2, norm="ibn", seed=7)
    changes |= dict(algorithm="joint", backbone="resnet18", weights="", base="id", iterations=3)
    other = replace(Config(), **changes, precision="fp16", centroid="normalized")
    words = []
    for f in fields(Config):
        flag, value = f"--{f.name.replace('_', '-')}", getattr(other, f.name)
        if isinstance(value, bool):
            words += [flag if value else f"--no{flag[1:]}"]
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    assert flags("--profile", "paper", *words) == other


@pytest.mark.parametrize("profile", PROFILES)
def test_without_other_flags_the_configuration_is_the_profiles(profile):
    assert flags("--profile", profile) == replace(Config(), **PROFILES[profile])


def test_a_preset_and_a_setting_leave_what_the_profile_makes_smaller():
    assert flags("--profile", "paper", "--preset", "released") == preset("released")
    small, single = demo(), preset("released", "single_source")
    config = flags("--preset", "released", "--setting", "single_source")
    for name in ("backbone", "iterations", "size"):
        assert getattr(config, name) == getattr(small, name)
    for name in ("mining", "meta_train", "outer_lr"):
        assert getattr(config, name) == getattr(single, name)


def test_a_method_comes_after_the_setting_and_a_field_after_the_method():
    config = flags("--setting", "supervised", "--method", "bn_mldg", "--norm", "bin")
    assert config.outer_lr == preset("paper", "supervised").outer_lr != Config().outer_lr
    assert (config.algorithm, config.norm, METHODS["bn_mldg"]["norm"]) == ("mldg", "bin", "bn")


WRONG = """--lr fast; --norm batch; --method best; --size 64; --iterations 1.5; --learning-rate 1
    ; --momen 0.9; --outer-lr -1; --mining hardest; --log-every 0; --save-every nan"""


@pytest.mark.parametrize("wrong", WRONG.split(";"))
def test_what_no_configuration_has_is_refused_in_one_line_that_names_it(command, refusal, wrong):
    code, line = refusal("train", *command, *wrong.split())
    name = wrong.split()[0].lstrip("-").replace("-", "_")
    assert code == 2 and name in line.replace("-", "_") and not RUN.exists()


def test_a_protocol_brings_its_setting_and_duke_its_outer_step(refusal):
    released = ("--preset", "released")
    single = flags("--setting", "single_source", *released)
    assert flags("--protocol", "market_duke", *released) == single != flags(*released)
    assert flags("--protocol", "supervised") == flags("--setting", "supervised") != flags()
    assert flags("--protocol", "no_duke") == flags("--protocol", "leave_one_out") == flags()
    words = "--protocol market_duke --target market1501".split()
    assert flags(*words) == replace(flags("--protocol", "market_duke"), outer_lr=0.5)
    assert flags(*words, "--outer-lr", "0.3").outer_lr == 0.3
    for protocol, setting in (("market_duke", "multi_source"), ("no_duke", "single_source")):
        words = f"train --data-root . --protocol {protocol} --setting {setting}".split()
        code, line = refusal(*words)
        assert code == 2 and f"not {setting}: leave --setting out" in line


def test_sets_that_are_read_on_request_can_be_requested():
    for name in [name for name, known in SETS.items() if known.opt_in]:
        assert parser().parse_args(["--opt-in", name]).opt_in == [name]


# pictures


def test_folders_are_domains_and_their_cameras_are_in_another_setting(roots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = opened(["--data-root", *roots])
    assert (images.num_domains, images.num_ids, len(images)) == (2, 8, 32)
    assert images.names[1] == "street 1"
    alone = opened(["--data-root", roots[0], "--setting", "single_source"])
    assert alone.names == ("street 0 camera 0", "street 0 camera 1")


@pytest.mark.parametrize(
    ("setting", "domains", "cameras"),
    [("multi_source", [0, 1, 2, 3, 4], 2), ("supervised", [0], 8)],
)
def test_without_folders_there_are_streets(people, monkeypatch, setting, domains, cameras):
    def drawn(world, streets, num_ids, num_cameras, cache):
        assert (world.height, world.width, num_ids) == (32, 16, 120)
        assert (list(streets), num_cameras) == (domains, cameras)
        return people

    monkeypatch.setattr(metabin.runs.sources, "make_streets", drawn)
    assert len(opened(["--setting", setting])) == len(people)


def test_a_protocol_gives_its_sources_and_says_which_are_missing(sets, capsys, refusal):
    assert opened("--data-root sets --protocol no_duke").names == ("market1501", "cuhk02")
    assert re.search("^no_duke without cuhk03: not found", capsys.readouterr().out, re.MULTILINE)
    code, line = refusal("train", "--data-root", "sets", "sets", "--protocol", "no_duke")
    assert code == 2 and "one --data-root" in line


@pytest.fixture
def mixture(roots, sets) -> list[str]:
    """The flags of two data sets and a table of own pictures."""
    rows = ["path,pid,camid,domain"]
    for file in sorted(Path(roots[0], "bounding_box_train").iterdir()):
        rows.append(f"{file},{file.name[:4]},{file.name[6]},yard")
    Path("people.csv").write_text("\n".join(rows))
    return "--data-root sets --sources market1501 people.csv cuhk02".split()


def test_official_sets_and_own_pictures_are_one_training(mixture, capsys, refusal):
    images = opened(mixture)
    assert images.names == ("market1501", "cuhk02", "yard")
    assert "yard: 4 people, 16 pictures, 2 cameras" in capsys.readouterr().out
    of_protocol = opened([*mixture, "--protocol", "no_duke"])
    assert len(of_protocol) > len(images)  # which uses all of each set
    for source, message in (
        ("msmt17", "--sources msmt17: not found"),
        ("peple.csv", "peple.csv: no such file, and no set of cuhk02"),
    ):
        code, line = refusal("train", *mixture[:3], source)
        assert code == 2 and message in line


UNTRAINABLE = {
    "mine": "mine: nothing to train on, but 16 pictures of query and gallery. Training takes",
    "street street/../street": "street is given twice: its people would count as different ones",
    "nowhere": "nowhere is not there",
}


@pytest.mark.parametrize("sources", UNTRAINABLE)
def test_own_pictures_that_cannot_be_trained_on_are_refused_with_the_reason(
    sources, roots, tmp_path, monkeypatch, refusal
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(roots[0], "street")
    shutil.copytree("street/bounding_box_train", "mine/query")
    code, line = refusal("train", "--data-root", *sources.split())
    assert code == 2 and line.startswith(UNTRAINABLE[sources])


def test_what_of_a_folder_is_not_used_is_counted(roots, tmp_path, capsys):
    folder = tmp_path / "mine"
    shutil.copytree(roots[0], folder)
    files = sorted((folder / "bounding_box_train").iterdir())
    files[0].rename(files[0].with_name("holiday.jpg"))
    files[1].rename(files[1].with_suffix(".heic"))
    shutil.copytree(roots[0] + "/bounding_box_train", folder / "query")
    opened(["--data-root", str(folder)])
    said = capsys.readouterr().out
    assert "left out 1 pictures with another name, e.g. 'holiday.jpg'" in said
    assert "mine: 16 pictures of query and gallery are not used" in said
    used = int(re.search(r"mine: 4 people, (\d+) pictures", said)[1])
    assert used == 15 or used == 14 and ".heic" in said


def test_cameras_that_a_protocol_made_domains_of_stay_as_they_are(sets):
    names = opened("--data-root sets --protocol supervised --setting supervised").names
    assert len(names) == 4 and all(name.count("camera") == 1 for name in names)


def test_what_is_unusual_about_the_sources_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_dukemtmc(tmp_path / "duke")
    opened("--data-root . --protocol market_duke --target market1501 --opt-in dukemtmc")
    said = capsys.readouterr().out
    assert "dukemtmc: not a complete copy: train has 1 of 702 persons" in said
    assert "DukeMTMC-reID is the source: outer_lr 0.5" in said


def test_identities_are_held_out_of_a_protocols_sources_only(sets, refusal):
    words = "--data-root sets --sources cuhk02 --protocol no_duke --held-out 3"
    assert opened(words).num_ids == 10 - 3
    for more in ([], ["--data-root", "sets/Market-1501"]):
        code, line = refusal("train", "--held-out", 3, *more)
        assert code == 2 and "it needs --protocol" in line


def test_a_protocols_run_ends_with_the_command_that_tests_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_cuhk02(tmp_path / "my sets" / "cuhk02")
    fake_datasets.write_cuhksysu_cropped(tmp_path / "my sets" / "cuhksysu")
    fake_datasets.write_cuhk03_extracted(tmp_path / "my sets" / "cuhk03")
    words = "--protocol no_duke --run-dir run --iterations 1".split()
    main(["--data-root", "my sets", *words, *SMALL_WORDS])
    line = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(line.removeprefix("to test them: "))
    assert words[:4] == ["python", "-m", "metabin", "test"]
    given = metabin.runs.test_command.parser().parse_args(words[4:])
    assert (given.data_root, given.protocol) == (Path("my sets"), "no_duke")
    assert given.json == RUN / "result.json"
    notes = load_model(given.weights[0])[1]
    assert json.loads(notes["domains"]) == ["cuhk02", "cuhk03", "cuhksysu"]


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (ImportError("reading cuhk-03.mat needs h5py"), 2, "needs h5py"),
        (KeyboardInterrupt(), 130, "stopped before the training began"),
    ],
)
def test_what_stops_the_reading_of_pictures_is_said_in_one_line(
    command, refusal, monkeypatch, raised, code, message
):
    def interrupted(*_):
        raise raised

    monkeypatch.setattr(metabin.runs.training, "open_images", interrupted)
    stopped, line = refusal("train", *command)
    assert stopped == code and message in line


# what a run writes


def test_the_command_line_trains_on_folders_and_leaves_weights_for_retrieval(
    command, people, capsys
):
    main([*command, "--milestones", "0.25", "0.5", "--method", "half"])
    weights = RUN / "model.safetensors"
    assert capsys.readouterr().out == f"weights for retrieval: {weights}\n"
    model, notes = load_model(weights)
    assert (notes["norm"], notes["backbone"], notes["step"]) == ("half", "streetnet", "8")
    assert json.loads(notes["config"])["milestones"] == [0.25, 0.5]
    assert model.embed(normalize(people.images[:4])).isfinite().all()
    assert {line["rho"] for line in metrics(RUN)} == {None}  # it has no rho


def test_a_line_of_metrics_is_the_mean_since_the_line_before(command, capsys):
    main(command)
    run = Run(flags(*command), opened(command))
    steps, means = [], []
    for step in train(run):
        rho = [values.detach().flatten() for values in balancing_parameters(run.model).values()]
        means.append(torch.cat(rho).mean().item())
        steps.append(step)
    assert logged_steps() == [3, 6, 8]
    for line, window in zip(metrics(RUN), (steps[:3], steps[3:6], steps[6:]), strict=True):
        assert (line["lr"], line["inner_lr"]) == (window[-1].lr, window[-1].inner_lr)
        for name, value in line["losses"].items():
            assert value == fmean(step.losses[name].item() for step in window)
        assert line["losses"].keys() == window[0].losses.keys()
        assert line["rho"] == means[line["step"] - 1]
    pattern = r"^step 3/8  [\d.]+ it/s  \d\d:\d\d left  rho 0\.9\d+  base/id [\d.]+ .*$"
    assert re.search(pattern, capsys.readouterr().err, re.MULTILINE)


def test_the_weights_that_are_kept_are_those_of_keep_at(command):
    words = [*command, "--keep-at", "0.5"]
    main(words)
    model, notes = load_model(RUN / "model.safetensors")
    assert notes["step"] == "4"
    run = Run(flags(*words), opened(words), "cpu")
    for step in train(run):
        if step.iteration == 4:
            save_model("four.safetensors", run.model, "bin")
    saved, expected = model.state_dict(), load_model("four.safetensors")[0].state_dict()
    del saved["classifier.weight"], expected["classifier.weight"]  # neither file has one
    assert_same(saved, expected)
    assert not torch.equal(saved["neck.running_mean"], run.model.neck.running_mean)


def test_the_first_checkpoint_comes_early_and_the_others_by_the_clock(command, monkeypatch):
    """Every step takes four seconds here."""
    now, saved, keep = [0.0], [], metabin.runs.training.save_newest

    def slow(run):
        for step in train(run):
            now[0] += 4
            yield step

    def noted(folder, run, state):
        saved.append(run.iteration)
        return keep(folder, run, state)

    monkeypatch.setattr(metabin.runs.training, "train", slow)
    monkeypatch.setattr(metabin.runs.training, "save_newest", noted)
    monkeypatch.setattr(metabin.runs.training.time, "monotonic", lambda: now[0])
    main([*command, "--save-every", "9", "--iterations", "12"])
    assert saved == [3, 6, 9, 12]
    saved.clear()
    main([*command, "--save-every", "25", "--iterations", "12", "--run-dir", "other"])
    assert saved == [3, 10, 12]  # after 12 seconds, 28 later, and at the end


# stopping and going on


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_step_and_the_same_command_goes_on_to_the_bit(
    command, capsys, refusal, meddle, number, code
):
    slowly = [*command, "--save-every", "1000"]
    meddle(5, lambda step: signal.raise_signal(number))
    handlers = list(map(signal.getsignal, SIGNALS))
    stopped, line = refusal("train", *slowly)
    assert stopped == code and "stopped at step 5" in line and "step_000005.pt" in line
    assert list(map(signal.getsignal, SIGNALS)) == handlers and logged_steps() == [3]
    meddle(0, None)
    main(slowly)
    assert "resumed from step 5" in capsys.readouterr().err
    assert kept() == ["step_000008", "step_000005"]
    (RUN / "step_000005.pt").unlink()  # an uninterrupted run doesn't have it
    assert_as_if_never_stopped(slowly)


def test_a_finished_run_has_nothing_left_to_do_and_another_configuration_is_refused(
    command, capsys, refusal, monkeypatch
):
    main(command)
    before = contents(RUN)
    main(command)
    out, err = capsys.readouterr()
    assert "resumed from step 8" in err and out.count("weights for retrieval") == 2
    assert re.search(r"^0\.049 MB of images on (cpu|cuda)", err, re.MULTILINE)
    assert contents(RUN) == before
    code, line = refusal("train", *command, "--lr", 0.3)
    assert code == 2 and "another configuration: lr" in line and "step_000008.pt" in line
    assert contents(RUN) == before
    monkeypatch.setattr(metabin.runs.training, "versions", lambda _: {"torch": "99"})
    main(command)
    saved_with = r"resumed from step 8 \(saved with .*'torch'.*: not to the bit\)"
    assert re.search(saved_with, capsys.readouterr().err)


def test_lines_that_were_written_after_the_last_checkpoint_are_written_again(command, meddle):
    class Killed(BaseException):
        pass

    def kill(step):
        raise Killed

    meddle(5, kill)
    with pytest.raises(Killed):
        main(command)
    with open("run/metrics.jsonl", "a") as file:
        file.write('{"step": 5, "lr": 0.0')  # as a killed writer leaves it
    Path("run/.step_000005.pt.123.tmp").write_bytes(b"half")
    meddle(0, None)
    main(command)
    assert logged_steps() == [3, 6, 8]
    assert_as_if_never_stopped(command)


def test_metrics_are_of_steps_that_a_checkpoint_has_and_removed_ones_are_not_made_up(command):
    RUN.mkdir()
    Path("run/metrics.jsonl").write_text('{"step": 3}\n')
    main(command)
    assert logged_steps() == [3, 6, 8]
    Path("run/metrics.jsonl").unlink()
    main(command)
    assert Path("run/metrics.jsonl").read_bytes() == b""


def spoil(path: Path):
    """Flip one bit in the middle, where the weights are."""
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_but_only_damaged_ones_stop(
    command, capsys, refusal
):
    main(command)
    spoil(checkpoints(RUN)[0])
    main(command)
    said = capsys.readouterr().err
    assert len(re.findall(r"^run/step_000008.pt is damaged.*passed over$", said, re.MULTILINE)) == 1
    assert "resumed from step 7" in said
    assert_as_if_never_stopped(command)
    for path in checkpoints(RUN):
        spoil(path)
    before = contents(RUN)
    code, line = refusal("train", *command)
    assert code == 2 and "no checkpoint in run is whole" in line and contents(RUN) == before


# when something is wrong


def with_loss(name: str, value: float):
    """What gives a step this value of a loss."""
    return lambda step: replace(step, losses=step.losses | {name: torch.tensor(value)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    command, refusal, meddle, value
):
    slowly = [*command, "--log-every", "8"]
    meddle(5, with_loss("base/triplet", value))
    code, line = refusal("train", *slowly)
    assert code == 1 and "step 5" in line and f"base/triplet {value}" in line and "base/id" in line
    assert line.endswith("the last good checkpoint is run/step_000004.pt")
    meddle(0, None)
    main(slowly)
    assert_as_if_never_stopped(slowly)


def test_losses_are_looked_at_only_every_few_steps_and_all_of_them(command, refusal, meddle):
    meddle(2, with_loss("base/id", float("nan")))
    code, line = refusal("train", *command, "--save-every", 1000, "--log-every", 4)
    assert code == 1 and "at step 2, noticed at step 4" in line and "no checkpoint yet" in line


def test_weights_that_are_not_finite_overwrite_no_checkpoint(command, refusal, monkeypatch):
    def poisoned(run):
        for step in train(run):
            if step.iteration == 3:  # its losses were still finite
                run.model.neck.weight.data[0] = float("nan")
            yield step

    monkeypatch.setattr(metabin.runs.training, "train", poisoned)
    code, line = refusal("train", *command)
    assert code == 1 and "neck.weight is not finite after step 3" in line
    assert "run/step_000002.pt" in line and kept() == ["step_000002", "step_000001"]


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("reason", ["No space left on device", "File too large"])
def test_a_disk_that_takes_no_more_is_one_line_and_loses_nothing(
    command, refusal, monkeypatch, meddle, reason
):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step):
        if reason == "File too large":  # half-way through a checkpoint, by the system itself
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
        else:
            patch.setattr(os, "fsync", full_disk)

    with monkeypatch.context() as patch:
        meddle(4, fill)
        try:
            code, line = refusal("train", *command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    meddle(0, None)
    last = "the last good checkpoint is run/step_000003.pt"
    assert (code, line) == (2, f"cannot write to run: {reason}; {last}")
    assert sorted(contents(RUN)) == ["metrics.jsonl", "step_000002.pt", "step_000003.pt"]
    main(command)
    assert_as_if_never_stopped(command)


def test_a_folder_that_cannot_be_written_to_is_noticed_before_the_pictures_are_read(
    command, refusal, monkeypatch
):
    monkeypatch.setattr(metabin.runs.training, "open_images", None)
    Path("file").touch()
    code, line = refusal("train", *command, "--run-dir", "file/run")
    assert code == 2 and "file/run" in line
    if hasattr(os, "geteuid") and os.geteuid():  # root may write everywhere
        RUN.mkdir(mode=0o500)
        code, line = refusal("train", *command)
        assert code == 2 and "run" in line and "ermission" in line


def test_two_processes_do_not_train_in_one_folder(command, refusal):
    pytest.importorskip("fcntl")
    with Progress(RUN, 1, 1):
        code, line = refusal("train", *command)
    assert code == 2 and "another process is training in run" in line
    main(command)


@pytest.mark.parametrize("command", ["train", "test", "export"])
def test_help_does_not_wait_for_torch(command):
    program = f"""
import sys
from metabin.__main__ import main
try:
    main(["{command}", "--help"])
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and f"python -m metabin {command}" in done.stdout
