"""Saving, resuming to the bit, sharing weights, and files that must be refused."""

import copy
import itertools
import json
import os
import stat
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import assert_same, contents, make_people
from safetensors.torch import load_file, save_file

from metabin.config import METHODS
from metabin.data.augment import normalize
from metabin.networks.model import build_model
from metabin.runs.checkpoints import (
    Damaged,
    checkpoints,
    load_model,
    load_newest,
    load_run,
    save_model,
    save_newest,
    save_run,
)
from metabin.train import Run, train

MODES = {
    "bn": METHODS["bn"],
    "joint bin": METHODS["bin"],
    "mldg": METHODS["bin_mldg"],
    "meta bin": METHODS["metabin"],
    "random rho": METHODS["random_rho"],
    "bf16": dict(precision="bf16"),
    "fp16": dict(precision="fp16"),
    "pooled, augmented": dict(base_sampling="pooled", colour_jitter=0.2, erasing=0.5),
}


def state_of(run: Run) -> dict:
    return copy.deepcopy(run.state_dict())


def go_on(run: Run, n: int):
    for _ in itertools.islice(train(run), n):
        pass


@pytest.fixture(scope="module")
def quick_run(people, quick):
    """A MetaBIN run after two steps; tests may read and save it, not move it."""
    run = Run(quick, people, "cpu")
    go_on(run, 2)
    return run


@pytest.mark.parametrize("mode", MODES)
def test_a_resumed_run_goes_on_to_the_bit_as_if_it_had_never_stopped(people, quick, tmp_path, mode):
    config = replace(quick, **MODES[mode])
    uninterrupted = Run(config, people, "cpu")
    go_on(uninterrupted, 2)
    save_run(tmp_path / "runs" / "run.pt", uninterrupted)  # makes the folder
    go_on(uninterrupted, 3)

    resumed = Run(config, people, "cpu")
    go_on(resumed, 1)  # whatever it had done before is gone
    state = load_run(tmp_path / "runs" / "run.pt", resumed)
    assert resumed.iteration == 2 and torch.__version__.startswith(state["versions"]["torch"])
    go_on(resumed, 3)
    assert_same(state_of(resumed), state_of(uninterrupted))


def test_a_checkpoint_of_another_configuration_is_refused_with_the_fields_that_differ(
    people, quick, quick_run, tmp_path
):
    save_run(tmp_path / "run.pt", quick_run)
    other = Run(replace(quick, lr=0.123, seed=7), people, "cpu")
    before = state_of(other)
    with pytest.raises(ValueError, match=r"another configuration: lr, seed differ"):
        load_run(tmp_path / "run.pt", other)
    assert_same(state_of(other), before)  # a refused file has changed nothing


@pytest.mark.parametrize("what", ["images", "labels", "pixels"])
def test_a_checkpoint_from_other_images_is_refused(people, quick, quick_run, tmp_path, what):
    """Also where the counts of people and pictures are the same: a corrected label or picture."""
    save_run(tmp_path / "run.pt", quick_run)
    pids, pixels = people.pids.clone(), people.images.clone()
    pids[[0, 4]] = pids[[4, 0]]
    pixels[-1, 0, 0, 0] ^= 1
    other = {
        "images": make_people(ids=6),
        "labels": replace(people, pids=pids),
        "pixels": replace(people, images=pixels),
    }
    with pytest.raises(ValueError, match=f"made with other {what}: .*another folder"):
        load_run(tmp_path / "run.pt", Run(quick, other[what], "cpu"))


def as_a_gpu_saves(path: Path):
    """Give a checkpoint from a CPU what differs in one that a GPU wrote under precision="auto"."""
    state = torch.load(path, weights_only=True)
    state["versions"]["device"] = "cuda"
    state["run"]["config"]["precision"] = "auto"
    for name in ("base_batches", "meta_batches", "shared"):
        state["run"][name][1] = torch.zeros(16, dtype=torch.uint8)  # a GPU's random stream
    for group in state["run"]["optimizer"]["param_groups"]:
        group["fused"] = True
    torch.save(state, path)


def test_a_run_begun_in_half_precision_on_a_gpu_goes_on_on_a_cpu_when_its_precision_is_given(
    people, quick, tmp_path
):
    path, half = tmp_path / "run.pt", replace(quick, precision="bf16")
    run = Run(half, people, "cpu")
    go_on(run, 2)
    save_run(path, run)
    as_a_gpu_saves(path)
    with pytest.raises(ValueError, match="precision: bf16, not fp32; .* or --precision bf16"):
        load_run(path, Run(quick, people, "cpu"))
    resumed = Run(half, people, "cpu")
    assert load_run(path, resumed)["versions"]["device"] == "cuda"
    assert resumed.iteration == 2
    go_on(resumed, 2)
    assert all(tensor.isfinite().all() for tensor in resumed.model.state_dict().values())


class Trap:
    """Unpickled, it would make a file: proof that code ran."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def damaged_files(run: Run, folder: Path) -> dict[str, Path]:
    save_run(folder / "whole.pt", run)
    whole = (folder / "whole.pt").read_bytes()
    (folder / "truncated.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").write_bytes(b"")
    (folder / "text.pt").write_text("not a checkpoint")
    places = {"weights": len(whole) // 2, "contents": whole.index(b"PK\1\2")}
    for name, place in places.items():
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        (folder / f"a bit of the {name}.pt").write_bytes(spoilt)
    torch.save({"weights": torch.zeros(3)}, folder / "another dict.pt")
    torch.save(torch.zeros(3), folder / "a tensor.pt")
    state = torch.load(folder / "whole.pt", weights_only=True)
    torch.save(state | {"metrics": Trap(folder / "sprung")}, folder / "pickled code.pt")
    torch.save(state | {"run": {"iteration": 3}}, folder / "half a run.pt")
    return {path.stem: path for path in folder.glob("*.pt")}


DAMAGED = ("truncated", "empty", "text", "a bit of the weights", "a bit of the contents")
FOREIGN = ("another dict", "a tensor", "pickled code", "half a run")


@pytest.mark.parametrize("kind", DAMAGED + FOREIGN)
def test_a_file_that_is_no_checkpoint_is_refused_by_name_and_changes_nothing(
    quick_run, tmp_path, kind
):
    path = damaged_files(quick_run, tmp_path)[kind]
    before = state_of(quick_run)
    with pytest.raises(ValueError, match="checkpoint") as refusal:
        load_run(path, quick_run)
    message = str(refusal.value)
    assert str(path) in message and isinstance(refusal.value, Damaged) == (kind in DAMAGED)
    assert len(message) < 300 and "weights_only" not in message  # no advice to run the code
    assert not (tmp_path / "sprung").exists()
    assert_same(state_of(quick_run), before)


def test_a_missing_file_is_said_to_be_missing(quick_run, tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*none.pt"):
        load_run(tmp_path / "none.pt", quick_run)
    with pytest.raises(FileNotFoundError, match="no weights at .*none.safetensors"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(
    quick_run, tmp_path, monkeypatch, stage
):
    save_run(tmp_path / "run.pt", quick_run)
    save_model(tmp_path / "model.safetensors", quick_run.model, "bin")
    before = contents(tmp_path)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, stage, full)
    with pytest.raises(OSError, match="no space"):
        save_run(tmp_path / "run.pt", quick_run)
    with pytest.raises(OSError, match="no space"):
        save_model(tmp_path / "model.safetensors", quick_run.model, "bin")
    monkeypatch.undo()
    assert contents(tmp_path) == before


def test_a_file_and_its_name_reach_the_disk_before_the_file_is_used(
    quick_run, tmp_path, monkeypatch
):
    done, fsync, rename = [], os.fsync, os.replace

    def noted_fsync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_rename(*paths):
        done.append("renamed")
        rename(*paths)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_rename)
    save_run(tmp_path / "run.pt", quick_run)
    assert done == ["file", "renamed", "folder"]


# a folder of checkpoints


def test_the_last_two_checkpoints_are_kept_by_their_step_and_the_newest_is_loaded(
    people, quick, tmp_path
):
    run, empty = Run(quick, people, "cpu"), Run(quick, people, "cpu")
    assert load_newest(tmp_path, empty) is None
    (tmp_path / "step_best.pt").touch()  # somebody's own
    for _ in train(run):
        save_newest(tmp_path, run, {"bytes": run.iteration})
    assert [path.name for path in checkpoints(tmp_path)] == ["step_000006.pt", "step_000005.pt"]
    path, state = load_newest(tmp_path, empty)
    assert (path.name, state["metrics"], empty.iteration) == ("step_000006.pt", {"bytes": 6}, 6)
    assert (tmp_path / "step_best.pt").exists()


def test_steps_beyond_a_million_are_in_order(tmp_path):
    for n in (999_999, 1_000_000, 20):
        (tmp_path / f"step_{n:06d}.pt").touch()
    stems = [path.stem for path in checkpoints(tmp_path)]
    assert stems == ["step_1000000", "step_999999", "step_000020"]


def test_a_damaged_newest_is_passed_over_in_one_line_and_removed_by_the_next_save(
    people, quick, tmp_path
):
    run, said = Run(quick, people, "cpu"), []
    for _ in itertools.islice(train(run), 4):
        save_newest(tmp_path, run)
    newest, before = checkpoints(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed = Run(quick, people, "cpu")
    assert load_newest(tmp_path, resumed, said.append)[0] == before and resumed.iteration == 3
    assert len(said) == 1 and str(newest) in said[0]
    # Saved again under the same name: the damaged one must not count as one of the two.
    save_newest(tmp_path, resumed)
    assert checkpoints(tmp_path) == [before]
    before.write_bytes(b"")
    with pytest.raises(Damaged, match="no checkpoint in .* is whole"):
        load_newest(tmp_path, resumed, said.append)


def test_a_checkpoint_that_holds_pickled_code_is_refused_and_never_passed_over(quick_run, tmp_path):
    code = damaged_files(quick_run, tmp_path)["pickled code"]
    save_newest(tmp_path, quick_run)
    code.rename(tmp_path / "step_000100.pt")
    with pytest.raises(ValueError, match="step_000100.pt holds pickled code"):
        load_newest(tmp_path, quick_run)
    assert not (tmp_path / "sprung").exists()


# weights for sharing


@pytest.mark.parametrize("norm", ["bn", "in", "half", "bin"])
def test_a_shared_model_embeds_as_the_trained_one_within_half_precision(
    people, quick, tmp_path, norm
):
    run = Run(replace(quick, norm=norm, algorithm="joint"), people, "cpu")
    go_on(run, 2)
    model, images = run.model.eval(), normalize(people.images[:16])
    save_model(tmp_path / "model.safetensors", model, norm, method="MetaBIN", seed="0")
    shared, notes = load_model(tmp_path / "model.safetensors")
    assert notes == {"norm": norm, "backbone": "streetnet", "method": "MetaBIN", "seed": "0"}
    assert not shared.training and {p.dtype for p in shared.parameters()} == {torch.float32}
    embedding, expected = shared.embed(images), model.embed(images)
    assert ((embedding - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-2
    saved = load_file(tmp_path / "model.safetensors")
    assert set(saved) == {name for name in model.state_dict() if name != "classifier.weight"}
    assert {t.dtype for t in saved.values() if t.dim() == 4} == {torch.float16}


def test_statistics_beyond_half_precisions_range_survive(tmp_path):
    model = build_model("bn", num_ids=3)
    model.neck.running_var.fill_(1e6)
    save_model(tmp_path / "model.safetensors", model, "bn")
    assert load_model(tmp_path / "model.safetensors")[0].neck.running_var.isfinite().all()


def test_loading_weights_is_silent_and_leaves_the_global_random_state_alone(quick_run, tmp_path):
    save_model(tmp_path / "model.safetensors", quick_run.model, "bin")
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


FOREIGN_WEIGHTS = {  # what is said of a file that is no file of save_model
    "cut": "is damaged",
    "empty": "is damaged",
    "text": "is damaged",
    "checkpoint": "is a checkpoint or another file of torch.save: .* model.safetensors",
    "other project": r"holds 1 tensors \(weight, …\) without the notes .*--weights",
    "norm": "does not fit the network .*unheard of",
    "keys": "does not fit the network .*[Mm]issing key",
    "folder": "is a folder: give the file in it, model.safetensors",
}


@pytest.mark.parametrize("kind", FOREIGN_WEIGHTS)
def test_of_weights_that_save_model_did_not_write_it_is_said_what_they_are(
    quick_run, tmp_path, kind
):
    path, tensors = tmp_path / "model.safetensors", {"weight": torch.zeros(3)}
    save_model(path, quick_run.model, "bin")
    if kind == "checkpoint":
        save_run(path, quick_run)
    elif kind in ("norm", "keys"):
        norm = {"norm": "unheard of", "keys": "bin"}[kind]
        save_file(tensors, path, metadata={"metabin": json.dumps({"norm": norm})})
    elif kind == "other project":
        save_file(tensors, path)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[:-100], "empty": b"", "text": b"not safetensors"}[kind])
    with pytest.raises(ValueError, match=f"(?s)^{path} {FOREIGN_WEIGHTS[kind]}"):
        load_model(path)
