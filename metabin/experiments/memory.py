"""Fig. 2's other half: what the meta-step's samples cost in memory, beside the accuracy that they give."""

from metabin.experiments import runner
from metabin.experiments.bench_training import memory, phases
from metabin.experiments.curves import FIGURE_2
from metabin.experiments.tasks import FIRST
from metabin.train import Run


def figure2(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """The curves of Fig. 2, and for each point the MiB of its meta-step beside those of the base step (`memory`)."""
    report = runner.report(FIGURE_2, seeds, jobs, profile)
    for row, told in zip(FIGURE_2.rows, report["rows"], strict=True):
        [first] = runner.trials_of(row, [FIRST], profile)
        run = Run(first.config, first.task.train_set())
        base, meta = memory(run.model, phases(run), run.device)
        told |= {"base_mib": base / 2**20, "meta_mib": meta / 2**20}
    return report


def figure2_text(report: dict) -> str:
    """The table of the curves, then the memory of each point."""
    lines = [
        f"- {row['name']}: {row['meta_mib']:.0f} MiB, the base step {row['base_mib']:.0f}"
        for row in report["rows"]
    ]
    return "\n".join([runner.text(report), "", *lines])
