"""The instruments of the benchmarks, and the claim on memory that they support."""

import json

import pytest
import torch
from conftest import make_people
from torch import nn

from metabin.analysis.costs import phase_bytes, phases
from metabin.analysis.guard import changes_only
from metabin.config import demo
from metabin.experiments import bench, bench_command, bench_training
from metabin.runs.measuring import (
    count_flops,
    kept_bytes,
    kept_for_backward,
    limits,
    map_bytes,
    median_ratio,
    most_kept,
    paired_seconds,
)
from metabin.train import Run

CPU = torch.device("cpu")


def test_functions_take_turns_and_the_first_round_is_left_out():
    calls = []
    functions = [lambda: calls.append("a"), lambda: calls.append("b")]
    found = paired_seconds(functions, CPU, rounds=3)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert [len(seconds) for seconds in found] == [3, 3]
    assert median_ratio([1.0, 30.0, 4.0], [1.0, 10.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    "layer",
    [
        nn.Tanh(),  # keeps its output
        nn.Linear(7, 3),  # its input; the weight is the layer's own
        nn.Sequential(nn.Tanh(), nn.Linear(7, 3)),  # one tensor serves both
    ],
)
def test_kept_bytes_are_those_that_the_derivatives_need(layer):
    assert kept_bytes(layer, torch.randn(5, 7, requires_grad=True)) == 5 * 7 * 4


def test_what_is_freed_in_between_counts_as_well():
    layer = nn.Tanh()
    with kept_for_backward(layer) as kept:
        for _ in range(3):
            layer(torch.randn(10, requires_grad=True))
        assert kept() == 3 * 10 * 4


def test_the_most_at_a_time_is_not_the_sum_and_leaves_parameters_out():
    x = torch.randn(1000, requires_grad=True)

    def once():
        x.exp().sum().backward()

    assert most_kept(nn.Identity(), once) == 4000
    assert most_kept(nn.Identity(), lambda: (once(), once())) == 4000
    assert most_kept(nn.Identity(), lambda: x.exp().exp().sum().backward()) == 8000
    layer, y = nn.Linear(100, 100, bias=False), torch.randn(1, 100, requires_grad=True)
    assert most_kept(layer, lambda: layer(y).sum().backward()) == 400


def test_the_meta_phases_keep_no_more_for_backward_than_the_base_step():
    """Figure 2b's claim: 48 and 32 images, one after the other, against 80, and no classifier."""
    people = make_people(num_domains=5)
    run = Run(demo(size=(32, 16), crop_pad=1), people, "cpu")
    base, meta = phase_bytes(run, phases(run))
    assert 0.4 * base < meta < 0.66 * base  # 48 of 80 are 0.6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="its peak")
def test_on_a_gpu_the_meta_phases_peak_below_the_base_step():
    run = Run(demo(size=(32, 16), crop_pad=1, precision="bf16"), make_people(num_domains=5))
    base, meta = phase_bytes(run, phases(run))
    assert meta < base


def test_the_phases_move_what_they_should_and_nothing_else(people, quick):
    run = Run(quick, people, "cpu")
    parts = phases(run)
    with changes_only(run.model):
        for name in ("data", "meta-train", "meta"):
            parts[name]()
    with changes_only(run.model, "*") as changed:
        parts["base"]()
    assert "classifier.weight" in changed


def test_the_training_benchmark_writes_its_numbers_beside_those_of_others(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(bench_training, "IDS", {"cuda": 40, "cpu": 40})
    monkeypatch.setattr(bench_training, "JPEGS", 6)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "bench.json"
    path.write_text('{"layer": [1], "training": "old"}')
    words = "--training --backbone streetnet --size 32 16 --rounds 1 --json"
    bench_command.main([*words.split(), str(path)])
    found = json.loads(path.read_text())
    assert found["layer"] == [1] and found["training"]["provenance"]["cpus"]
    row = found["training"]["rows"][0]
    named = row["backbone"], row["size"], row["ids"], row["precision"]
    assert named == ("streetnet", [32, 16], 40, "fp32")
    for name, value in row.items():
        if name.endswith(("_ms", "_mib", "_over_base")) and name != "meta_test_ms":
            assert value > 0, name
    assert row["meta_mib"] < row["base_mib"]
    norms = row["norms_gb"]
    assert norms["base"] == pytest.approx(norms["meta"])
    assert norms["meta-train"] == pytest.approx(0.6 * norms["base"])
    assert found["training"]["compiled"] == []
    assert "computing_share" in capsys.readouterr().out


def test_flops_are_those_of_products_and_of_convolutions_in_groups():
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    assert count_flops(lambda: a @ b) == 2 * 3 * 4 * 5
    convolution, x = torch.nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.ones(1, 4, 4, 4)
    assert count_flops(lambda: convolution(x)) == 2 * 6 * 2 * 9 * 16


def test_the_maps_that_norms_get_are_counted_in_bytes():
    layers = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.BatchNorm2d(4)
    model = nn.Sequential(*layers).eval()
    assert map_bytes(model, torch.ones(2, 3, 6, 4)) == 4 * (2 * 4 * 6 * 4 + 2 * 4 * 3 * 2)
    assert not model[1]._forward_pre_hooks  # it leaves nothing behind


def test_compiled_iterations_are_measured_beside_one_that_is_not(people, quick, monkeypatch):
    asked = []

    def compile_extractor(run, mode):
        asked.append((run.config.norm, mode))

    monkeypatch.setattr(bench_training, "compile_extractor", compile_extractor)
    row = bench_training.compiled_cost(quick, people, CPU, 1, "default")
    assert asked == [("bin", "default"), ("bin", "default"), ("bn", "default")]
    for name in ("iteration_over_eager", "iteration_over_base", "base_over_bn"):
        assert row[name] > 0


def test_a_machines_limits_are_numbers_that_a_machine_can_have():
    most = limits(CPU, rounds=1)
    assert 1e8 < most["flops"] < 1e16 and 1e8 < most["bytes"] < 1e14


def test_a_backbones_row_has_table_6s_columns_and_what_a_step_and_an_embedding_cost():
    row = bench.backbone_cost("mobilenetv2_x1_0", CPU, rounds=1)
    assert (row["norms"], row["rho"], round(row["parameters"] / 1e6, 2)) == (53, 17_088, 2.26)
    assert row["bin_over_bn"] > 0 and row["bn_step_ms"] > 0 and 50 < row["bn_kept_mib"] < 500
