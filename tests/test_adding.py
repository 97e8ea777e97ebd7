"""Adding is local: a normalization, a loss and a data set from outside the package, used in all."""

import re
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from metabin import plotting
from metabin.config import demo
from metabin.datasets import SETS, DataSet, Listing, Picture
from metabin.datasets.protocols import PROTOCOLS, ProtocolRun, open_protocol
from metabin.evaluate.reports import evaluate_protocol
from metabin.losses import LOSSES
from metabin.networks.normalizations import NORMS, everywhere
from metabin.runs.checkpoints import load_model, save_model
from metabin.runs.flags import configure, parser
from metabin.train import Run, train


class TinyGroupNorm(nn.GroupNorm):
    """A ninth normalization: two groups of channels."""

    @classmethod
    def in_place_of(cls, bn: nn.BatchNorm2d) -> "TinyGroupNorm":
        return cls(2, bn.num_features).to(bn.weight)


def spread_loss(features: Tensor, pids: Tensor, weight: float = 0.1) -> Tensor:
    """A fifth loss."""
    return weight * features.square().mean()


def list_corner(folder: Path) -> Listing | None:
    """A reader: `person_camera_image.png`; the first image of a person is a query."""
    files = sorted(folder.glob("*_*_*.png"))
    if not files:
        return None
    pictures = []
    for file in files:
        person, camera, image = map(int, re.findall(r"\d+", file.stem))
        part = "train" if person < 8 else ("query" if image == 0 else "gallery")
        pictures.append(Picture(file, person, camera, part))
    return Listing("corner", folder, tuple(pictures))


@pytest.fixture
def additions(monkeypatch):
    """One registration each."""
    corner = DataSet("corner", "Corner", "1_0_0.png …", ("corner",), list_corner)
    monkeypatch.setitem(NORMS, "group", (TinyGroupNorm.in_place_of, everywhere))
    monkeypatch.setitem(LOSSES, "spread", spread_loss)
    monkeypatch.setitem(SETS, "corner", corner)
    run = ProtocolRun(("corner",), ("corner",), ("train",), cameras=True)
    monkeypatch.setitem(PROTOCOLS, "corner", (run,))


@pytest.fixture
def corner(tmp_path) -> Path:
    """Twelve people by two cameras, two images each, in a folder called `corner`."""
    folder = tmp_path / "data" / "corner"
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for person in range(12):
        colour = torch.randint(256, (3,), generator=generator).tolist()
        for image in range(4):
            picture = Image.new("RGB", (16, 32), tuple(colour))
            picture.save(folder / f"{person}_{image % 2}_{image}.png")
    return folder.parent


SMALL = {"size": (32, 16), "ids_per_domain": 2, "images_per_id": 2, "iterations": 2, "crop_pad": 1}


def test_a_norm_a_loss_and_a_data_set_are_configured_trained_tested_saved_and_drawn(
    additions, corner, tmp_path
):
    config = demo(algorithm="joint", norm="group", base="id + 2 spread", **SMALL)
    protocol = open_protocol("corner", corner, config.size, tmp_path / "cache")
    run = Run(config, protocol.train, "cpu")
    losses = [step.losses for step in train(run)]
    assert all(loss["base/spread"].isfinite() for loss in losses)
    assert sum(isinstance(module, TinyGroupNorm) for module in run.model.modules()) == 11

    save_model(tmp_path / "group.safetensors", run.model, "group")
    loaded, notes = load_model(tmp_path / "group.safetensors")
    rank1 = evaluate_protocol(loaded, protocol)["average"]["rank1"]["mean"]
    assert notes["norm"] == "group" and 0 <= rank1 <= 1

    figure = Figure()
    plotting.draw_comparison(figure.subplots(), {"bn": [0.5, 0.6], "group": [rank1, rank1]})
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "group" in labels


def test_the_command_lines_know_what_was_added(additions):
    flags = ["--method", "bn", "--norm", "group", "--base", "id + spread"]
    config = configure(parser().parse_args([*flags, "--protocol", "corner"]))
    assert (config.norm, config.base) == ("group", "id + spread")


def test_a_meta_step_may_follow_an_added_loss(additions, people, quick):
    from dataclasses import replace

    run = Run(replace(quick, meta_train="spread + triplet"), people, "cpu")
    assert "meta_train/spread" in next(train(run)).losses
