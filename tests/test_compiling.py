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
CASES = [  # backend, mode and device; without the code that inductor writes, all else can be seen faster
    pytest.param("aot_eager", "default", "cpu", marks=pytest.mark.slow),
    pytest.param("inductor", "default", "cpu", marks=[pytest.mark.long, COMPILER]),
    *(pytest.param("inductor", mode, "cuda", marks=[pytest.mark.long, CUDA]) for mode in MODES),
]
NEW = pytest.mark.skipif(torch.__version__ < OLDEST, reason="refused")


def test_an_older_torch_is_refused(people, quick, monkeypatch):
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.11.0+cu130"))
    with pytest.raises(ValueError, match=r"needs torch 2\.15 or newer, this is 2\.11\.0"):
        compile_extractor(Run(quick, people, "cpu"), "default")


@pytest.fixture
def no_compiler(monkeypatch):
    def fail(function):
        raise RuntimeError("\nno C++ compiler was found\nand a page of advice")

    monkeypatch.setattr(torch, "compile", fail)


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
    before, errors = graphs["unique_graphs"], []
    for _ in range(5):
        plain.load_state_dict(
            copy.deepcopy(compiled.state_dict())
        )  # or differences of rounding would grow
        start = torch.cat([p.detach().flatten() for p in plain.model.parameters()])  # (P,)
        exact, found = (
            {name: float(loss) for name, loss in next(train(run)).losses.items()}
            for run in (plain, compiled)
        )
        base = {name: loss for name, loss in found.items() if name.startswith("base")}
        assert base == pytest.approx(
            {name: exact[name] for name in base}, rel=1e-4
        )  # from the same weights
        moves = [
            torch.cat([p.detach().flatten() for p in run.model.parameters()]) - start
            for run in (plain, compiled)
        ]
        errors.append(((moves[1] - moves[0]).norm() / moves[0].norm()).item())
    assert (
        max(errors) < 1e-2
    )  # of what moves, weights and rho: 1e-6, or 2e-3 where rounding changes who is hardest
    assert graphs["unique_graphs"] - before == 3  # one for each phase's shape
    compiled.load_state_dict(plain.state_dict())
    for name, tensor in plain.state_dict()["model"].items():
        assert torch.equal(tensor, compiled.state_dict()["model"][name])


@NEW
def test_without_a_compiler_there_is_one_line(people, quick, no_compiler):
    with pytest.raises(
        ValueError, match=r"^--compile: .* \(no C\+\+ compiler was found\); leave it out$"
    ):
        compile_extractor(Run(quick, people, "cpu"), "default")


@NEW
def test_the_command_line_says_so_and_stops(people, tmp_path, monkeypatch, capsys, no_compiler):
    monkeypatch.setattr("metabin.runs.train_command.open_images", lambda *_: people)
    with pytest.raises(SystemExit) as stop:
        main(["--compile", "default", "--run-dir", str(tmp_path / "run"), "--size", "32", "16"])
    assert stop.value.code == 2 and capsys.readouterr().err.endswith(
        "(no C++ compiler was found); leave it out\n"
    )


@NEW
def test_second_derivatives_and_shared_statistics_are_refused(people, quick, monkeypatch):
    with pytest.raises(ValueError, match="--order 2"):
        compile_extractor(Run(replace(quick, order=2), people, "cpu"), "default")
    run = Run(quick, people, "cpu")
    run.sync_stats = True
    with pytest.raises(ValueError, match="share statistics"):
        compile_extractor(run, "default")


@NEW
def test_what_needs_no_second_derivative_is_not_refused(people, quick, monkeypatch):
    run, asked = Run(replace(quick, algorithm="joint", order=2), people, "cpu"), []
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: asked.append(options.get("mode")) or function
    )
    before = run.model.extractor(images := torch.ones(2, 3, 32, 16))
    compile_extractor(run, "max-autotune")
    assert asked == [None, "max-autotune"] and torch.equal(run.model.extractor(images), before)
