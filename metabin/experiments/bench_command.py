"""`python -m metabin bench`: what things cost on this machine, measured side by side."""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path

from metabin.runs.compiling import MODES
from metabin.runs.provenance import provenance, write_json


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m metabin bench", description=__doc__)
    flag = parser.add_argument
    flag("--json", type=Path, help="also put the numbers into this file, beside all others in it")
    flag("--training", action="store_true", help="measure an iteration of training alone")
    flag("--rounds", type=int, help="paired measurements of each case (default 15; of training 5)")
    training = parser.add_argument_group("with --training").add_argument
    training("--backbone", help="default MobileNetV2, x1.4 on a GPU")
    training("--size", nargs=2, type=int, metavar=("H", "W"))
    training("--compile", choices=MODES, default="no", help="compiled as well, in minutes")
    options = parser.parse_args(arguments)
    import torch  # `--help` doesn't wait for it

    from metabin.experiments.bench import print_layer_costs, print_world_costs
    from metabin.experiments.bench_training import print_training_costs
    from metabin.networks.backbones import BACKBONES

    if options.backbone not in (None, *BACKBONES):
        parser.error(f"--backbone {options.backbone}: choose one of {', '.join(BACKBONES)}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    made = provenance() | {"device": name, "threads": torch.get_num_threads()}
    if options.training:
        costs = print_training_costs(
            device, options.backbone, options.size, options.rounds, options.compile
        )
        report = {"training": {"provenance": made} | costs}  # measured at a time of its own
    else:
        world = print_world_costs(device)  # first: the layer's inputs would hide its peak memory
        layer = print_layer_costs(device, options.rounds or 15)
        report = {"provenance": made, "world": world, "layer": layer}
    if options.json:
        path = options.json
        others = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        write_json(path, others | report)
