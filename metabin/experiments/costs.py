"""What things cost, as reports: Fig. 2's memory of the meta-step, Table 6's architectures."""

import torch

from metabin.analysis.costs import phase_bytes, phases
from metabin.experiments.bench import backbone_cost
from metabin.experiments.curves import FIGURE_2
from metabin.experiments.results import markdown
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.runner import experiment_report, experiment_text, trials_of
from metabin.experiments.tasks import FIRST
from metabin.train import Run

# Norm layers, rho, other parameters in millions; MiB of training, ms an image; Rank-1, mAP
PRINTED = {
    "mobilenetv2_x1_0": (53, 17_088, 2.26, 5907, 1.34, 61.9, 70.1),
    "mobilenetv2_x1_4": (53, 23_822, 4.34, 7883, 1.89, 64.7, 72.3),
    "resnet18": (20, 4_800, 11.19, 2473, 0.80, 59.5, 67.5),
    "resnet34": (36, 8_512, 21.30, 3097, 1.38, 62.8, 71.0),
    "resnet50": (53, 26_560, 23.56, 6885, 2.63, 66.0, 73.6),
    "resnet101": (104, 52_672, 42.61, 9207, 4.26, 68.1, 75.9),
    "resnet152": (155, 75_712, 58.30, 12665, 5.92, 68.3, 75.8),
}
TABLE_6 = Experiment(
    "Table 6: architectures",
    tuple(
        Row(name, "metabin", {"backbone": name}, paper=printed[-2:])
        for name, printed in PRINTED.items()
    ),
    claims=(
        ("resnet50", "resnet18"),
        ("resnet152", "resnet50"),
        ("mobilenetv2_x1_4", "mobilenetv2_x1_0"),
    ),
    seeds=3,
)


def figure2_report(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """The curves of Fig. 2, and for each point the MiB of its meta-step and of the base step."""
    report = experiment_report(FIGURE_2, seeds, jobs, profile)
    for row, numbers in zip(FIGURE_2.rows, report["rows"], strict=True):
        [first] = trials_of(row, [FIRST], profile)
        run = Run(first.config, first.task.train_set())
        base, meta = phase_bytes(run, phases(run))
        numbers |= {"base_mib": base / 2**20, "meta_mib": meta / 2**20}
    return report


def figure2_text(report: dict) -> str:
    """The table of the curves, then the memory of each point."""
    lines = [experiment_text(report), ""]
    for row in report["rows"]:
        meta, base = f"{row['meta_mib']:.0f} MiB", f"{row['base_mib']:.0f}"
        lines.append(f"- {row['name']}: {meta}, the base step {base}")
    return "\n".join(lines)


def table6_report(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """Specification, memory and time of every architecture; on full-size streets also accuracy."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rounds = 10 if device.type == "cuda" else 2
    costs, exact = [], 0
    for name, printed in PRINTED.items():
        cost = backbone_cost(name, device, rounds) | {"printed": list(printed)}
        millions = round(cost["parameters"] / 1e6, 2)
        exact += (cost["norms"], cost["rho"], millions) == printed[:3]
        costs.append(cost)
    measured = (
        f"specification equal in {exact} of {len(costs)} architectures,"
        " time and memory of a step measured"
    )
    if profile == "demo":
        report = {"worlds": [], "seeds": []}
        verdict = f"partly: {measured}; accuracy not run"
    else:
        report = experiment_report(TABLE_6, seeds, jobs, profile)
        verdict = f"{report['verdict']}; {measured}"
    return report | {"verdict": verdict, "device": device.type, "costs": costs}


def table6_text(report: dict) -> str:
    """Every architecture beside what the paper printed of it, and accuracy where it was run."""
    rows = []
    for cost in report["costs"]:
        norms, rho, millions, _, ms, *_ = cost["printed"]
        row = [cost["backbone"], cost["norms"], cost["rho"], f"{cost['parameters'] / 1e6:.2f}M"]
        row += [f"{norms}, {rho}, {millions:.2f}M", f"{cost['bn_step_ms']:.0f}"]
        row += [f"{cost['bin_over_bn']:.2f}", f"{cost['bn_kept_mib'] * cost['kept_over_bn']:.0f}"]
        rows.append([*row, f"{cost['bin_ms_per_image']:.2f}", ms])
    heads = ["", "norm layers", "rho", "other parameters", "paper", "BN step, ms", "BIN / BN"]
    table = markdown([*heads, "kept, MiB", "ms an image", "paper"], rows)
    images = report["costs"][0]["images"]
    where = f"On {report['device']}, steps of {images} images of 256 x 128."
    accuracy = [experiment_text(report), ""] if "rows" in report else []
    return "\n".join([*accuracy, table, "", where, "", report["verdict"]])
