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

import metabin.runs.sources
import metabin.runs.test_command
import metabin.runs.training
from metabin.config import METHODS, PROFILES, Config, demo
from metabin.data.augment import normalize
from metabin.datasets import SETS, write_market1501
from metabin.norm import balancing_parameters
from metabin.presets import preset
from metabin.runs.checkpoints import checkpoints, load_model
from metabin.runs.flags import configure, parser
from metabin.runs.progress import Progress
from metabin.runs.sources import open_images
from metabin.runs.train_command import main
from metabin.train import Run, train

SMALL = "--size 32 16 --ids-per-domain 2 --images-per-id 2 --crop-pad 1 --iterations 8 --log-every 3".split()


@pytest.fixture(scope="module")
def roots(people, tmp_path_factory) -> list[str]:
    """Two folders whose people are not numbered in one piece."""
    folder = tmp_path_factory.mktemp("pictures")
    for domain in range(2):
        odd = people[(people.domains == domain) & (people.pids % 2 == 1)]
        write_market1501(odd, folder / f"street {domain}")
    return [str(folder / f"street {domain}") for domain in range(2)]


@pytest.fixture
def command(roots, tmp_path, monkeypatch) -> list[str]:
    """The arguments of a run of eight iterations in the folder "run", which is saved after every step."""
    monkeypatch.chdir(tmp_path)
    return ["--data-root", *roots, "--run-dir", "run", "--save-every", "0", *SMALL]


@pytest.fixture
def meddle(monkeypatch):
    """meddle(step, act): let `act` have a look at that step, and change it, before the command sees it."""

    def meddle(iteration: int, act):
        def meddled(run):
            for step in train(run):
                yield (act(step) or step) if step.iteration == iteration else step

        monkeypatch.setattr(metabin.runs.training, "train", meddled)

    return meddle


def exit_of(arguments: list[str], capsys) -> tuple[int, str]:
    """The exit code of a command that stops early, and its last line."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code, capsys.readouterr().err.splitlines()[-1]


def metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def assert_as_if_never_stopped(command: list[str]):
    """The folder "run" holds to the bit what the same command leaves in a folder of its own."""
    straight = Path("straight")
    main([str(straight) if word == "run" else word for word in command])
    for path in checkpoints(straight):
        one, other = (
            torch.load(folder / path.name, weights_only=True) for folder in (straight, Path("run"))
        )
        assert (
            one["run"].keys() == other["run"].keys()
            and one["run"]["config"] == other["run"]["config"]
        )
        for part in ("model", "base_batches", "meta_batches"):
            a, b = (
                s["run"][part].values() if part == "model" else s["run"][part] for s in (one, other)
            )
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert metrics(straight) == metrics(Path("run"))
    assert sorted(p.name for p in straight.iterdir()) == sorted(
        p.name for p in Path("run").iterdir()
    )


# --- flags ---------------------------------------------------------------------------------------------------------


def flags(*arguments: str) -> Config:
    return configure(parser().parse_args(arguments))


def test_every_field_of_the_configuration_is_a_flag_with_the_comment_beside_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = " ".join(parser().format_help().split())
    for f in fields(Config):
        assert re.search(rf" --{f.name.replace('_', '-')}[ ,]", text), f.name
    for comment in (
        "alpha, at the schedule's top",
        "P x K = 16 samples for each domain",
        "beta's range, Eq. 9",
    ):
        assert comment in text


def test_every_field_can_be_given():
    other = replace(
        Config(),
        **{f.name: f.default / 2 for f in fields(Config) if type(f.default) is float and f.default},
        **dict(
            size=(64, 48),
            milestones=(),
            decay_norms=True,
            order=2,
            norm="ibn",
            algorithm="joint",
            seed=7,
        ),
        **dict(
            backbone="resnet18",
            weights="",
            base="id",
            precision="fp16",
            centroid="normalized",
            iterations=3,
        ),
    )
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
    assert (config.backbone, config.iterations, config.size) == (
        small.backbone,
        small.iterations,
        small.size,
    )
    assert (config.mining, config.meta_train, config.outer_lr) == (
        single.mining,
        single.meta_train,
        single.outer_lr,
    )


def test_a_method_comes_after_the_setting_and_a_field_after_the_method():
    config = flags("--setting", "supervised", "--method", "bn_mldg", "--norm", "bin")
    assert config.outer_lr == preset("paper", "supervised").outer_lr != Config().outer_lr
    assert (config.algorithm, config.norm, METHODS["bn_mldg"]["norm"]) == ("mldg", "bin", "bn")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--lr", "fast"],
        ["--norm", "batch"],
        ["--method", "best"],
        ["--size", "64"],
        ["--iterations", "1.5"],
        ["--learning-rate", "1"],
        ["--momen", "0.9"],  # an abbreviation may mean something else tomorrow
        ["--outer-lr", "-1"],
        ["--mining", "hardest"],
        ["--log-every", "0"],
        ["--save-every", "nan"],
    ],
)
def test_what_no_configuration_has_is_refused_in_one_line_that_names_it(command, capsys, wrong):
    code, line = exit_of([*command, *wrong], capsys)
    assert code == 2 and wrong[0].lstrip("-").replace("-", "_") in line.replace("-", "_")
    assert not Path("run").exists()


# --- pictures ------------------------------------------------------------------------------------------------------


def test_folders_are_domains_and_their_cameras_are_in_another_setting(roots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = open_images(parser().parse_args(["--data-root", *roots]), (32, 16))
    assert (images.num_domains, images.num_ids, len(images)) == (2, 8, 32) and images.names[
        1
    ] == "street 1"
    alone = parser().parse_args(["--data-root", roots[0], "--setting", "single_source"])
    assert open_images(alone, (32, 16)).names == ("street 0 camera 0", "street 0 camera 1")


@pytest.mark.parametrize(
    ("setting", "domains", "cameras"),
    [("multi_source", [0, 1, 2, 3, 4], 2), ("supervised", [0], 8)],
)
def test_without_folders_there_are_streets(people, monkeypatch, setting, domains, cameras):
    asked = []
    monkeypatch.setattr(
        metabin.runs.sources, "make_streets", lambda *a, **k: asked.append(a) or people
    )
    open_images(parser().parse_args(["--setting", setting]), (32, 16))
    ((world, streets, num_ids, num_cameras),) = asked
    assert (world.height, world.width, list(streets), num_ids, num_cameras) == (
        32,
        16,
        domains,
        120,
        cameras,
    )


def test_a_protocol_gives_its_sources_and_says_which_are_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_market1501(tmp_path / "sets" / "Market-1501")
    fake_datasets.write_cuhk02(tmp_path / "sets" / "CUHK02")
    given = parser().parse_args(["--data-root", "sets", "--protocol", "no_duke"])
    assert open_images(given, (32, 16)).names == ("market1501", "cuhk02")
    said = capsys.readouterr().out.splitlines()
    assert any(re.match("no_duke without cuhk03: not found", line) for line in said)
    code, line = exit_of(["--data-root", "sets", "sets", "--protocol", "no_duke"], capsys)
    assert code == 2 and "one --data-root" in line


@pytest.fixture
def mixture(roots, tmp_path, monkeypatch) -> list[str]:
    """The flags of two data sets and a table of own pictures, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_market1501(tmp_path / "sets" / "Market-1501")
    fake_datasets.write_cuhk02(tmp_path / "sets" / "CUHK02")
    rows = ["path,pid,camid,domain"]
    for file in sorted(Path(roots[0], "bounding_box_train").iterdir()):
        rows.append(f"{file},{file.name[:4]},{file.name[6]},yard")
    Path("people.csv").write_text("\n".join(rows))
    return "--data-root sets --sources market1501 people.csv cuhk02".split()


def test_official_sets_and_own_pictures_are_one_training(mixture, roots, capsys):
    images = open_images(parser().parse_args(mixture), (32, 16))
    assert images.names == ("market1501", "cuhk02", "yard")
    assert "yard: 4 people, 16 pictures, 2 cameras" in capsys.readouterr().out
    of_protocol = parser().parse_args([*mixture, "--protocol", "no_duke"])
    assert len(open_images(of_protocol, (32, 16))) > len(images)  # which uses all of each set
    code, line = exit_of([*mixture[:3], "msmt17"], capsys)
    assert code == 2 and "--sources msmt17: not found" in line
    code, line = exit_of([*mixture[:3], "peple.csv"], capsys)
    assert code == 2 and "peple.csv: no such file, and no set of cuhk02" in line


def test_what_of_a_folder_is_not_used_is_counted(roots, tmp_path, capsys):
    folder = tmp_path / "mine"
    shutil.copytree(roots[0], folder)
    files = sorted((folder / "bounding_box_train").iterdir())
    files[0].rename(files[0].with_name("holiday.jpg"))
    files[1].rename(files[1].with_suffix(".heic"))
    shutil.copytree(roots[0] + "/bounding_box_train", folder / "query")
    open_images(parser().parse_args(["--data-root", str(folder)]), (32, 16))
    said = capsys.readouterr().out
    assert "left out 1 pictures with another name, e.g. 'holiday.jpg'" in said
    assert "mine: 16 pictures of query and gallery are not used" in said
    used = int(re.search(r"mine: 4 people, (\d+) pictures", said)[1])
    assert used == 15 or used == 14 and ".heic" in said


def test_cameras_that_a_protocol_made_domains_of_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_market1501(tmp_path / "Market-1501")
    words = "--data-root . --protocol supervised --setting supervised".split()
    names = open_images(parser().parse_args(words), (32, 16)).names
    assert len(names) == 4 and all(name.count("camera") == 1 for name in names)


def test_a_protocol_brings_its_setting_and_duke_its_outer_step(capsys):
    market = flags("--protocol", "market_duke", "--preset", "released")
    assert (
        market
        == flags("--setting", "single_source", "--preset", "released")
        != flags("--preset", "released")
    )
    assert flags("--protocol", "supervised") == flags("--setting", "supervised") != flags()
    assert flags("--protocol", "no_duke") == flags("--protocol", "leave_one_out") == flags()
    words = "--protocol market_duke --target market1501".split()
    assert flags(*words) == replace(flags("--protocol", "market_duke"), outer_lr=0.5)
    assert flags(*words, "--outer-lr", "0.3").outer_lr == 0.3
    for protocol, setting in (("market_duke", "multi_source"), ("no_duke", "single_source")):
        code, line = exit_of(
            ["--data-root", ".", "--protocol", protocol, "--setting", setting], capsys
        )
        assert code == 2 and f"not {setting}: leave --setting out" in line


def test_what_is_unusual_about_the_sources_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_dukemtmc(tmp_path / "duke")
    words = "--data-root . --protocol market_duke --target market1501 --opt-in dukemtmc".split()
    open_images(parser().parse_args(words), (32, 16))
    said = capsys.readouterr().out
    assert "dukemtmc: not a complete copy: train has 1 of 702 persons" in said
    assert "DukeMTMC-reID is the source: outer_lr 0.5" in said


def test_identities_are_held_out_of_a_protocols_sources_only(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_cuhk02(tmp_path / "cuhk02")
    words = "--data-root . --protocol no_duke --held-out 3".split()
    assert open_images(parser().parse_args(words), (32, 16)).num_ids == 10 - 3
    code, line = exit_of(["--held-out", "3"], capsys)
    assert code == 2 and "it needs --protocol" in line


def test_a_protocols_run_ends_with_the_command_that_tests_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_cuhk02(tmp_path / "my sets" / "cuhk02")
    fake_datasets.write_cuhksysu_cropped(tmp_path / "my sets" / "cuhksysu")
    fake_datasets.write_cuhk03_extracted(tmp_path / "my sets" / "cuhk03")
    images = "--ids-per-domain 2 --images-per-id 2 --size 32 16 --crop-pad 1 --iterations 1".split()
    main(["--data-root", "my sets", "--protocol", "no_duke", "--run-dir", "run", *images])
    line = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(line.removeprefix("to test them: "))
    assert words[:4] == ["python", "-m", "metabin", "test"]
    given = metabin.runs.test_command.parser().parse_args(words[4:])
    assert (given.data_root, given.protocol, given.json) == (
        Path("my sets"),
        "no_duke",
        Path("run/result.json"),
    )
    notes = load_model(given.weights[0])[1]
    assert json.loads(notes["domains"]) == ["cuhk02", "cuhk03", "cuhksysu"]


def test_a_missing_package_is_said_in_one_line(command, capsys, monkeypatch):
    def without(*_):
        raise ImportError("reading cuhk-03.mat needs h5py")

    monkeypatch.setattr(metabin.runs.training, "open_images", without)
    code, line = exit_of(command, capsys)
    assert code == 2 and "needs h5py" in line


def test_sets_that_are_read_on_request_can_be_requested():
    for name in (name for name, known in SETS.items() if known.opt_in):
        assert parser().parse_args(["--opt-in", name]).opt_in == [name]


# --- what a run writes ---------------------------------------------------------------------------------------------


def test_the_command_line_trains_on_folders_and_leaves_weights_for_retrieval(
    command, people, capsys
):
    main([*command, "--milestones", "0.25", "0.5", "--method", "half"])
    assert capsys.readouterr().out == f"weights for retrieval: {Path('run', 'model.safetensors')}\n"
    model, notes = load_model("run/model.safetensors")
    assert (notes["norm"], notes["backbone"], notes["step"]) == ("half", "streetnet", "8")
    assert json.loads(notes["config"])["milestones"] == [0.25, 0.5]
    assert model.embed(normalize(people.images[:4])).isfinite().all()


def test_a_line_of_metrics_is_the_mean_since_the_line_before(command, capsys):
    main(command)
    given = parser().parse_args(command)
    config = configure(given)
    run = Run(config, open_images(given, config.size))
    steps, rho = [], []
    for step in train(run):
        steps.append(step)
        rho.append(
            torch.cat([r.detach().flatten() for r in balancing_parameters(run.model).values()])
            .mean()
            .item()
        )
    lines = metrics(Path("run"))
    assert [line["step"] for line in lines] == [3, 6, 8]
    for line, window in zip(lines, (steps[:3], steps[3:6], steps[6:]), strict=True):
        assert (line["lr"], line["inner_lr"]) == (window[-1].lr, window[-1].inner_lr)
        assert line["losses"] == {
            n: fmean(s.losses[n].item() for s in window) for n in window[0].losses
        }
        assert line["rho"] == rho[line["step"] - 1]
    said = capsys.readouterr().err
    assert re.search(
        r"^step 3/8  [\d.]+ it/s  \d\d:\d\d left  rho 0\.9\d+  base/id [\d.]+ .*$",
        said,
        re.MULTILINE,
    )


def test_a_network_without_rho_tells_none(command):
    main([*command, "--method", "bn"])
    assert {line["rho"] for line in metrics(Path("run"))} == {None}


def test_the_weights_that_are_kept_are_those_of_keep_at(command, people):
    main([*command, "--keep-at", "0.5"])
    kept, notes = load_model("run/model.safetensors")
    assert notes["step"] == "4"
    given = parser().parse_args([*command, "--keep-at", "0.5"])
    run = Run(configure(given), open_images(given, (32, 16)), "cpu")
    for step in train(run):
        if step.iteration == 4:
            expected = {
                n: t.half().float() if t.dim() > 1 else t.clone()
                for n, t in run.model.state_dict().items()
            }
    for name, tensor in kept.state_dict().items():
        assert name == "classifier.weight" or torch.equal(
            tensor, expected[name].to(tensor.dtype)
        ), name
    assert not torch.equal(
        kept.state_dict()["neck.running_mean"], run.model.state_dict()["neck.running_mean"]
    )


def test_the_first_checkpoint_comes_early_and_the_others_by_the_clock(command, monkeypatch, meddle):
    """Every step takes four seconds here."""
    now, saved = [0.0], []

    def slow(run):
        for step in train(run):
            now[0] += 4
            yield step

    monkeypatch.setattr(metabin.runs.training, "train", slow)
    monkeypatch.setattr(metabin.runs.training.time, "monotonic", lambda: now[0])
    keep = metabin.runs.training.save_newest
    monkeypatch.setattr(
        metabin.runs.training,
        "save_newest",
        lambda f, run, m: saved.append(run.iteration) or keep(f, run, m),
    )
    main([*command, "--save-every", "9", "--iterations", "12"])
    assert saved == [3, 6, 9, 12]
    saved.clear()
    main([*command, "--save-every", "25", "--iterations", "12", "--run-dir", "other"])
    assert saved == [3, 10, 12]  # after 12 seconds, 28 later, and at the end


# --- stopping and going on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_step_and_the_same_command_goes_on_to_the_bit(
    command, capsys, meddle, number, code
):
    slowly = [*command, "--save-every", "1000"]
    meddle(5, lambda step: signal.raise_signal(number))
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    found, line = exit_of(slowly, capsys)
    assert found == code and "stopped at step 5" in line and "step_000005.pt" in line
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert [line["step"] for line in metrics(Path("run"))] == [3]
    meddle(0, None)
    main(slowly)
    assert "resumed from step 5" in capsys.readouterr().err
    assert [path.stem for path in checkpoints(Path("run"))] == ["step_000008", "step_000005"]
    for path in Path("run").glob("*5.pt"):
        path.unlink()  # the one that an uninterrupted run doesn't have
    assert_as_if_never_stopped(slowly)


def test_ctrl_c_before_the_training_says_so(command, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(metabin.runs.training, "open_images", interrupted)
    assert exit_of(command, capsys) == (130, "stopped before the training began")


def test_a_finished_run_has_nothing_left_to_do(command, capsys):
    main(command)
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    main(command)
    told = capsys.readouterr()
    assert "resumed from step 8" in told.err and told.out.count("weights for retrieval") == 2
    assert re.search(r"^0\.049 MB of images on (cpu|cuda)", told.err, re.MULTILINE)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def test_another_configuration_is_refused_with_its_fields_and_loses_nothing(command, capsys):
    main(command)
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    code, line = exit_of([*command, "--lr", "0.3"], capsys)
    assert code == 2 and "another configuration: lr" in line and "step_000008.pt" in line
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


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
    assert [line["step"] for line in metrics(Path("run"))] == [3, 6, 8]
    assert_as_if_never_stopped(command)


def test_metrics_of_a_run_that_never_reached_a_checkpoint_begin_anew(command):
    Path("run").mkdir()
    Path("run/metrics.jsonl").write_text('{"step": 3}\n')
    main(command)
    assert [line["step"] for line in metrics(Path("run"))] == [3, 6, 8]


def test_metrics_that_somebody_removed_are_not_made_up(command):
    main([*command, "--iterations", "8"])
    Path("run/metrics.jsonl").unlink()
    main(command)
    assert Path("run/metrics.jsonl").read_bytes() == b""


def spoil(path: Path):
    """Flip one bit in the middle, where the weights are."""
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(command, capsys):
    main(command)
    spoil(checkpoints(Path("run"))[0])
    main(command)
    said = capsys.readouterr().err
    assert len(re.findall(r"^run/step_000008.pt is damaged.*passed over$", said, re.MULTILINE)) == 1
    assert "resumed from step 7" in said
    assert_as_if_never_stopped(command)


def test_a_checkpoint_of_another_version_is_gone_on_from_with_a_word(command, capsys, monkeypatch):
    main(command)
    monkeypatch.setattr(metabin.runs.training, "versions", lambda _: {"torch": "99"})
    main(command)
    assert re.search(
        r"resumed from step 8 \(saved with .*'torch'.*: not to the bit\)", capsys.readouterr().err
    )


def test_damaged_checkpoints_only_are_no_reason_to_begin_anew(command, capsys):
    main(command)
    for path in checkpoints(Path("run")):
        spoil(path)
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    code, line = exit_of(command, capsys)
    assert code == 2 and "no checkpoint in run is whole" in line
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


# --- when something is wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    command, capsys, meddle, value
):
    slowly = [*command, "--log-every", "8"]
    meddle(
        5, lambda step: replace(step, losses=step.losses | {"base/triplet": torch.tensor(value)})
    )
    code, line = exit_of(slowly, capsys)
    assert code == 1 and "step 5" in line and f"base/triplet {value}" in line and "base/id" in line
    assert line.endswith("the last good checkpoint is run/step_000004.pt")
    meddle(0, None)
    main(slowly)
    assert_as_if_never_stopped(slowly)


def test_losses_are_looked_at_only_every_few_steps_and_all_of_them(command, capsys, meddle):
    slowly = [*command, "--save-every", "1000", "--log-every", "4"]
    meddle(
        2, lambda step: replace(step, losses=step.losses | {"base/id": torch.tensor(float("nan"))})
    )
    code, line = exit_of(slowly, capsys)
    assert code == 1 and "at step 2, noticed at step 4" in line and "no checkpoint yet" in line


def test_weights_that_are_not_finite_overwrite_no_checkpoint(command, capsys, monkeypatch):
    def poisoned(run):
        for step in train(run):
            if step.iteration == 3:
                run.model.neck.weight.data[0] = float(
                    "nan"
                )  # the losses of this step were still finite
            yield step

    monkeypatch.setattr(metabin.runs.training, "train", poisoned)
    code, line = exit_of(command, capsys)
    assert (
        code == 1
        and "neck.weight is not finite after step 3" in line
        and "run/step_000002.pt" in line
    )
    assert [path.stem for path in checkpoints(Path("run"))] == ["step_000002", "step_000001"]


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("reason", ["No space left on device", "File too large"])
def test_a_disk_that_takes_no_more_is_one_line_and_loses_nothing(
    command, capsys, monkeypatch, meddle, reason
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
            code, line = exit_of(command, capsys)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    meddle(0, None)
    assert (code, line) == (
        2,
        f"cannot write to run: {reason}; the last good checkpoint is run/step_000003.pt",
    )
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "metrics.jsonl",
        "step_000002.pt",
        "step_000003.pt",
    ]
    main(command)
    assert_as_if_never_stopped(command)


def test_a_folder_that_cannot_be_written_to_is_noticed_before_the_pictures_are_read(
    command, capsys, monkeypatch
):
    monkeypatch.setattr(metabin.runs.training, "open_images", None)
    Path("file").touch()
    code, line = exit_of([*command, "--run-dir", "file/run"], capsys)
    assert code == 2 and "file/run" in line


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_read_only_folder_is_one_line(command, capsys):
    Path("run").mkdir(mode=0o500)
    code, line = exit_of(command, capsys)
    assert code == 2 and "run" in line and "ermission" in line


def test_two_processes_do_not_train_in_one_folder(command, capsys):
    pytest.importorskip("fcntl")
    with Progress(Path("run"), 1, 1):
        code, line = exit_of(command, capsys)
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
