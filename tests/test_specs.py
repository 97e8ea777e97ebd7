"""The slow versions in the lessons, tagged `spec`, as oracles for the package: a wrong lesson fails here, too."""

import ast
import inspect
import math
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from metabin.meta import cyclic_inner_lr
from metabin.norm import BatchInstanceNorm2d
from metabin.train import demo, learning_rate

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def specs_of(path: Path) -> dict:
    """The functions that the `spec` cells of one notebook define, by name; the cells may use torch and math alone."""
    cells = nbformat.read(path, as_version=4).cells
    names = {"torch": torch, "math": math}
    for cell in cells:
        if "spec" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{path.name}, a spec cell", "exec"), names)
    return {name: thing for name, thing in names.items() if inspect.isfunction(thing)}


@cache
def specs() -> dict:
    """Every spec function of the course by its name, which no other lesson may use."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        own = specs_of(path)
        assert not own.keys() & found.keys(), f"{path.name} defines a spec again: {own.keys() & found.keys()}"
        found |= own
    return found


def spec(name: str):
    """One spec function by name, wherever it stands."""
    assert name in specs(), f"no lesson has a spec cell that defines {name}; there are {sorted(specs())}"
    return specs()[name]


def test_every_spec_is_held_against_the_package():
    used = {
        node.args[0].value
        for node in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "spec"
        and isinstance(node.args[0], ast.Constant)
    }
    assert specs().keys() == used


# ---- batch-instance normalization (lesson 02) ----------------------------------------------------------------------


@st.composite
def batches(draw):
    """A random batch (N, C, H, W) with its own offsets and spreads, and five affine rows (5, C) for its channels."""
    shape = [draw(st.integers(*bounds)) for bounds in ((2, 4), (1, 3), (1, 3), (2, 3))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x * 3 + 5 * torch.randn(*shape[:2], 1, 1, generator=generator, dtype=torch.float64)
    return x, torch.rand(5, shape[1], generator=generator, dtype=torch.float64)


@given(batches())
def test_the_layer_is_eq_1(batch):
    x, (rho, weight, bias, in_weight, in_bias) = batch
    layer = BatchInstanceNorm2d(x.shape[1]).double()
    values = dict(rho=rho, weight=weight, bias=bias, in_weight=in_weight, in_bias=in_bias)
    layer.load_state_dict(layer.state_dict() | values)
    expected = spec("spec_batch_instance_norm")(x, rho, weight, bias, in_weight, in_bias, layer.eps)
    torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)


@given(batches())
def test_both_normalized_responses_are_torchs(batch):
    x, _ = batch
    bn = nn.BatchNorm2d(x.shape[1], affine=False).double()
    torch.testing.assert_close(spec("spec_batch_normalized")(x, bn.eps), bn(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(spec("spec_instance_normalized")(x, 1e-5), F.instance_norm(x), rtol=1e-9, atol=1e-9)


# ---- step sizes (lesson 06) ----------------------------------------------------------------------------------------

fractions = st.floats(0, 1, exclude_max=True)


@given(fractions, st.floats(1e-4, 1), st.floats(1, 10), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_the_cyclic_inner_step_size_is_the_papers_triangle(progress, low, ratio, cycle):
    expected = spec("spec_cyclic_inner_lr")(progress, low, low * ratio, cycle)
    assert cyclic_inner_lr(progress, low, low * ratio, cycle) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(
    fractions,
    st.floats(1e-3, 1),
    st.sampled_from([0.05, 0.1, 0.2]),
    st.sampled_from([(0.4, 0.7), (0.5,), (0.3, 0.6, 0.9)]),
)
def test_the_learning_rate_is_the_papers_schedule(progress, lr, warmup, milestones):
    config = demo(lr=lr, warmup=warmup, milestones=milestones)
    expected = spec("spec_learning_rate")(lr, warmup, milestones, progress)
    assert learning_rate(config, progress) == pytest.approx(expected, rel=1e-9)
