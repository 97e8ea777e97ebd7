"""`--compile`: what compiled code must not change, and what is said where there can be none."""

import copy
import functools
import shutil
from dataclasses import replace

import pytest
import torch

from metabin.runs.compiling import MODES, OLDEST, compile_extractor
from metabin.runs.train_command import main
from metabin.train import Run, train

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs")
COMPILER = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler"
)
NEW = pytest.mark.skipif(torch.__version__ < OLDEST, reason="refused")
CASES = [  # backend, mode, device; without the code that inductor writes, the rest is seen faster
    pytest.param("aot_eager", "default", "cpu", marks=pytest.mark.slow),
    pytest.param("inductor", "default", "cpu", marks=[pytest.mark.long, COMPILER]),
    *(pytest.param("inductor", mode, "cuda", marks=[pytest.mark.long, CUDA]) for mode in MODES),
]


def iterate(run: Run) -> tuple[dict[str, float], torch.Tensor]:
    """Losses of the base step of an iteration, and how far it moved all parameters."""
    before = torch.cat([p.detach().flatten() for p in run.model.parameters()])  # (P,)
    losses = next(train(run)).losses
    after = torch.cat([p.detach().flatten() for p in run.model.parameters()])
    base = {name: loss.item() for name, loss in losses.items() if name.startswith("base")}
    return base, after - before


@NEW
@pytest.mark.parametrize(("backend", "mode", "device"), CASES)
def test_compiled_iterations_have_the_losses_of_others_and_checkpoints_fit_both_ways(
    people, quick, monkeypatch, backend, mode, device
):
    plain, compiled = (Run(replace(quick, precision="fp32"), people, device) for _ in range(2))
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    torch.compiler.reset()
    compile_extractor(compiled, mode)
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    for _ in range(5):
        state = copy.deepcopy(compiled.state_dict())
        plain.load_state_dict(state)  # or differences of rounding would grow
        (exact, expected), (losses, moved) = iterate(plain), iterate(compiled)
        assert losses == pytest.approx(exact, rel=1e-4)  # from the same weights
        # of weights and rho: 1e-6, or 2e-3 where rounding changes who is hardest
        assert (moved - expected).norm() < 1e-2 * expected.norm()
    assert graphs["unique_graphs"] - before == 3  # one for each phase's shape
    compiled.load_state_dict(plain.state_dict())
    torch.testing.assert_close(
        compiled.model.state_dict(), plain.model.state_dict(), rtol=0, atol=0
    )


def test_an_older_torch_is_refused(people, quick, monkeypatch):
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.11.0+cu130"))
    with pytest.raises(ValueError, match=r"needs torch 2\.15 or newer, this is 2\.11\.0"):
        compile_extractor(Run(quick, people, "cpu"), "default")


@NEW
def test_without_a_compiler_the_command_stops_with_one_line(people, tmp_path, monkeypatch, capsys):
    def fail(function):
        raise RuntimeError("\nno C++ compiler was found\nand a page of advice")

    monkeypatch.setattr(torch, "compile", fail)
    monkeypatch.setattr("metabin.runs.training.open_images", lambda *_: people)
    with pytest.raises(SystemExit, match="2"):
        main(["--compile", "default", "--run-dir", str(tmp_path / "run"), "--size", "32", "16"])
    assert capsys.readouterr().err.endswith("(no C++ compiler was found); leave it out\n")


@NEW
def test_second_derivatives_and_shared_statistics_are_refused(people, quick):
    with pytest.raises(ValueError, match="--order 2"):
        compile_extractor(Run(replace(quick, order=2), people, "cpu"), "default")
    run = Run(quick, people, "cpu")
    run.sync_stats = True
    with pytest.raises(ValueError, match="share statistics"):
        compile_extractor(run, "default")


@NEW
def test_what_needs_no_second_derivative_is_not_refused(people, quick, monkeypatch):
    run, modes = Run(replace(quick, algorithm="joint", order=2), people, "cpu"), []

    def compiler(function, **options):
        modes.append(options.get("mode"))
        return function

    monkeypatch.setattr(torch, "compile", compiler)
    compile_extractor(run, "max-autotune")
    assert modes == [None, "max-autotune"]
