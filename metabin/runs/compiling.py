"""`--compile`: torch's compiler for a run's feature extractor.

`python -m metabin bench --training --compile` measures what it brings.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` lists the modes and doesn't wait for torch
    from metabin.train import Run

# torch.compile's; on a GPU the last two replay CUDA graphs.
MODES = ("default", "reduce-overhead", "max-autotune")
# The first version that was tested; 2.11 compiles the fused layer's gradients wrongly, in silence.
OLDEST = "2.15"


def compile_extractor(run: "Run", mode: str) -> None:
    """Compile the extractor in place.

    Parameters keep their names, checkpoints fit both ways, and losses differ by rounding. Each
    phase's batch shape is compiled when it is first met, without graph breaks. Raises ValueError
    where there can be no compiled code: in an older torch, for second derivatives, for statistics
    over processes, without a C++ compiler.
    """
    import torch

    if torch.__version__ < OLDEST:
        raise ValueError(
            f"--compile needs torch {OLDEST} or newer, this is {torch.__version__}; leave it out"
        )
    if run.config.order == 2 and run.config.algorithm != "joint":
        raise ValueError(
            "--compile: compiled code has no second derivative for --order 2; leave one of them out"
        )
    if run.sync_stats:
        raise ValueError(
            "--compile: layers that share statistics between processes can't be compiled; "
            "leave --compile or --sync-stats out"
        )
    try:
        torch.compile(torch.square)(torch.ones(8, device=run.device))  # (8,)
    except Exception as error:  # of many kinds: no C++ compiler, no Triton, a Python too new
        lines = [line for line in str(error).splitlines() if line]
        reason = lines[0] if lines else type(error).__name__
        message = f"--compile: torch.compile does not work here ({reason}); leave it out"
        raise ValueError(message) from error
    run.model.extractor.compile(mode=mode, dynamic=False, fullgraph=True)
