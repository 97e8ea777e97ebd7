"""Table 6: what each architecture has, what it costs on this machine, and how good it is where a GPU trains it."""

import torch

from metabin.experiments import runner
from metabin.experiments.bench import backbone_cost
from metabin.experiments.rows import Experiment, Row

PRINTED = {  # norm layers, balancing parameters, all others in millions; MiB of training, ms an image; Rank-1, mAP
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


def table6(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """Specification, memory and time of every architecture; in the profile "gpu" also its accuracy on full-size streets."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rounds = 10 if device.type == "cuda" else 2
    costs = [
        backbone_cost(name, device, rounds) | {"printed": list(printed)}
        for name, printed in PRINTED.items()
    ]
    exact = sum(
        (c["norms"], c["rho"], round(c["parameters"] / 1e6, 2)) == tuple(c["printed"][:3])
        for c in costs
    )
    told = f"specification equal in {exact} of {len(costs)} architectures, time and memory of a step measured"
    if profile == "demo":
        return {
            "verdict": f"partly: {told}; accuracy not run",
            "device": device.type,
            "costs": costs,
        }
    report = runner.report(TABLE_6, seeds, jobs, profile)
    return report | {
        "verdict": f"{report['verdict']}; {told}",
        "device": device.type,
        "costs": costs,
    }


def table6_text(report: dict) -> str:
    """Every architecture beside what the paper printed of it, and accuracy where it was run."""
    lines = [
        "| | norm layers | rho | other parameters | paper | BN step, ms | BIN / BN | kept, MiB | ms an image | paper |"
    ]
    lines.append("| --- " * 10 + "|")
    for c in report["costs"]:
        norms, rho, millions, _, ms, *_ = c["printed"]
        ours = f"{c['norms']} | {c['rho']} | {c['parameters'] / 1e6:.2f}M | {norms}, {rho}, {millions:.2f}M"
        step = f"{c['bn_step_ms']:.0f} | {c['bin_over_bn']:.2f} | {c['bn_kept_mib'] * c['kept_over_bn']:.0f}"
        lines.append(f"| {c['backbone']} | {ours} | {step} | {c['bin_ms_per_image']:.2f} | {ms} |")
    images = report["costs"][0]["images"]
    lines += [
        "",
        f"On {report['device']}, steps of {images} images of 256 x 128.",
        "",
        report["verdict"],
    ]
    return "\n".join(([runner.text(report), ""] if "rows" in report else []) + lines)
