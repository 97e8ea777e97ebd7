"""Saving, resuming to the bit, sharing weights, and files that must be refused."""

import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import make_people
from safetensors import safe_open
from safetensors.torch import save_file

import metabin.checkpoint
from metabin.augment import normalize
from metabin.checkpoint import load_model, load_run, save_model, save_run
from metabin.model import build_model
from metabin.train import Run, train

MODES = {"bn": dict(norm="bn"), "joint bin": dict(rho="joint"), "meta bin": dict(), "bf16": dict(precision="bf16")}


def flat(value, path="") -> dict:
    """A nested state as {path: tensor or plain value}."""
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, part in pairs for k, v in flat(part, f"{path}/{key}").items()}
    return {path: value.clone() if torch.is_tensor(value) else value}


def state_of(run: Run) -> dict:
    return flat(run.state_dict())


def assert_equal(one: dict, other: dict):
    assert one.keys() == other.keys()
    assert [k for k, v in one.items() if not (torch.equal(v, other[k]) if torch.is_tensor(v) else v == other[k])] == []


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
    load_run(tmp_path / "runs" / "run.pt", resumed)
    assert resumed.iteration == 2
    go_on(resumed, 3)
    assert_equal(state_of(resumed), state_of(uninterrupted))


def test_a_checkpoint_of_another_configuration_is_refused_with_the_fields_that_differ(
    people, quick, quick_run, tmp_path
):
    save_run(tmp_path / "run.pt", quick_run)
    other = Run(replace(quick, lr=0.123, seed=7), people, "cpu")
    before = state_of(other)
    with pytest.raises(ValueError, match=r"another configuration: lr, seed differ"):
        load_run(tmp_path / "run.pt", other)
    assert_equal(state_of(other), before)  # a refused file has changed nothing


def test_a_checkpoint_from_other_images_is_refused(quick, quick_run, tmp_path):
    save_run(tmp_path / "run.pt", quick_run)
    with pytest.raises(ValueError, match="images"):
        load_run(tmp_path / "run.pt", Run(quick, make_people(ids=6), "cpu"))


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
    torch.save({"weights": torch.zeros(3)}, folder / "another dict.pt")
    torch.save(torch.zeros(3), folder / "a tensor.pt")
    torch.save(run.state_dict() | {"extra": Trap(folder / "sprung")}, folder / "pickled code.pt")
    return {path.stem: path for path in folder.glob("*.pt")}


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "another dict", "a tensor", "pickled code"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name_and_changes_nothing(quick_run, tmp_path, kind):
    path = damaged_files(quick_run, tmp_path)[kind]
    before = state_of(quick_run)
    with pytest.raises(ValueError, match="checkpoint") as refusal:
        load_run(path, quick_run)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < 300 and "weights_only" not in str(refusal.value)  # no advice to run the code
    assert not (tmp_path / "sprung").exists()
    assert_equal(state_of(quick_run), before)


def test_a_missing_file_is_said_to_be_missing(quick_run, tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*none.pt"):
        load_run(tmp_path / "none.pt", quick_run)
    with pytest.raises(FileNotFoundError, match="no weights at .*none.safetensors"):
        load_model(tmp_path / "none.safetensors")


def half_written(value, path):
    Path(path).write_bytes(b"half")
    raise OSError("no space left on device")


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(quick_run, tmp_path, monkeypatch):
    save_run(tmp_path / "run.pt", quick_run)
    save_model(tmp_path / "model.safetensors", quick_run.model, "bin")
    before = {path.name: hash(path.read_bytes()) for path in tmp_path.iterdir()}
    monkeypatch.setattr(metabin.checkpoint.torch, "save", half_written)
    monkeypatch.setattr(metabin.checkpoint, "save_file", lambda tensors, path, **_: half_written(tensors, path))
    with pytest.raises(OSError, match="no space"):
        save_run(tmp_path / "run.pt", quick_run)
    with pytest.raises(OSError, match="no space"):
        save_model(tmp_path / "model.safetensors", quick_run.model, "bin")
    assert {path.name: hash(path.read_bytes()) for path in tmp_path.iterdir()} == before


# --- weights for sharing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["bn", "in", "half", "bin"])
def test_a_shared_model_embeds_as_the_trained_one_within_half_precision(people, quick, tmp_path, norm):
    run = Run(replace(quick, norm=norm), people, "cpu")
    go_on(run, 2)
    model, images = run.model.eval(), normalize(people.images[:16])
    save_model(tmp_path / "model.safetensors", model, norm, method="MetaBIN", seed="0")
    shared, notes = load_model(tmp_path / "model.safetensors")
    assert notes == {"norm": norm, "method": "MetaBIN", "seed": "0"}
    assert not shared.training and {p.dtype for p in shared.parameters()} == {torch.float32}
    embedding, expected = shared.embed(images), model.embed(images)
    assert ((embedding - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-2
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
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


def test_weights_that_save_model_did_not_write_are_refused_by_name(quick_run, tmp_path):
    save_model(tmp_path / "whole.safetensors", quick_run.model, "bin")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    files = {name: tmp_path / f"{name}.safetensors" for name in ("cut", "empty", "text", "foreign", "norm", "keys")}
    files["cut"].write_bytes(whole[:-100])
    files["empty"].write_bytes(b"")
    files["text"].write_text("not safetensors")
    save_file({"weight": torch.zeros(3)}, files["foreign"])
    save_file({"weight": torch.zeros(3)}, files["norm"], metadata={"metabin": '{"norm": "unheard of"}'})
    save_file({"weight": torch.zeros(3)}, files["keys"], metadata={"metabin": '{"norm": "bin"}'})
    for path in files.values():
        with pytest.raises(ValueError, match="save_model") as refusal:
            load_model(path)
        assert str(path) in str(refusal.value)
