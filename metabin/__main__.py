"""One door for all commands: `python -m metabin train`, or `metabin train` once installed."""

import os
import sys
from importlib import import_module

# A thread that waits spins for some microseconds, then sleeps: spinning on would double the time
# beside another busy process. It must be set before torch starts; what the user has set stays.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# A command's module is imported when it is called: `--help` must not wait for torch.
COMMANDS = {
    "train": (
        "metabin.runs.train_command",
        "train a network; the same command resumes a stopped run",
    ),
    "test": (
        "metabin.runs.test_command",
        "test trained weights on data sets and on your own pictures",
    ),
    "export": ("metabin.runs.export_command", "write trained weights as an ONNX file"),
    "data": ("metabin.datasets.command", "examine data sets on a disk; write the split files"),
    "tables": ("metabin.experiments.command", "run what the paper's tables and figures need"),
    "checkpoints": ("metabin.experiments.checkpoints", "train the networks that the lessons read"),
    "figures": ("metabin.plotting.command", "draw the figures from figures/results/"),
    "course": ("metabin.course.command", "run the lessons; make pages, slides and exercises"),
    "bench": (
        "metabin.experiments.bench_command",
        "measure what the layer and a training step cost",
    ),
}


def usage() -> str:
    """What `python -m metabin` prints: a line for each command."""
    lines = [f"  {name:12} {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: python -m metabin COMMAND [--help]", "", *lines])


def main(arguments: list[str] | None = None) -> int:
    """Call a command; returns its exit code, 2 for a command that there isn't."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        problem = f"no command {name!r}" if name else "give a command"
        print(f"metabin: {problem}\n{usage()}", file=sys.stderr)
        return 2
    module, _ = COMMANDS[name]
    return import_module(module).main(rest) or 0


if __name__ == "__main__":
    sys.exit(main())
