"""The flags of `python -m metabin train`, and the configuration that they make."""

import argparse
import inspect
import re
from dataclasses import fields
from pathlib import Path

from metabin.config import CHOICES, METHODS, PROFILES, Config
from metabin.datasets import SETS
from metabin.datasets.protocols import PROTOCOLS, choose
from metabin.presets import PRESETS, SETTINGS, preset
from metabin.runs.compiling import MODES

SETTING = {
    "market_duke": "single_source",
    "supervised": "supervised",
}  # of a protocol; the others have several sources
DUKE = {"outer_lr": 0.5}  # the paper's, where DukeMTMC-reID is the single source (Section 4.2)


def parser(description: str = "") -> argparse.ArgumentParser:
    """The command's own flags, and one for each field of Config with the comment beside it."""
    usage = "%(prog)s [--flag value ...]"
    flags = argparse.ArgumentParser(
        "python -m metabin train", usage, description, allow_abbrev=False
    )
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument(
        "--profile",
        choices=PROFILES,
        default="demo",
        help="how large everything is (default: demo)",
    )
    flags.add_argument(
        "--preset", choices=PRESETS, default="paper", help="where the paper leaves a choice"
    )
    domain = "what a domain is: a set, or a camera (default: the protocol's, or multi_source)"
    flags.add_argument("--setting", choices=SETTINGS, help=domain)
    flags.add_argument(
        "--method", choices=METHODS, default="metabin", help="a row of the paper's tables"
    )
    data = flags.add_argument_group(
        "data", "streets that are drawn here, unless there are pictures"
    )
    own = "folders in Market-1501's layout or .csv files, a domain each; with --protocol, the folder of all data sets"
    data.add_argument("--data-root", nargs="+", type=Path, help=own)
    data.add_argument("--protocol", choices=PROTOCOLS, help="train on the sources of a protocol")
    data.add_argument("--target", help="which run of a protocol that has several")
    kept_out = "identities of each source to keep out of training, for validation (default: 0)"
    data.add_argument("--held-out", type=int, default=0, metavar="N", help=kept_out)
    opt_in = [name for name, known in SETS.items() if known.opt_in]
    data.add_argument(
        "--opt-in", nargs="+", default=(), choices=opt_in, help="sets that are read only on request"
    )
    keep = flags.add_argument_group("what is kept")
    keep.add_argument("--run-dir", type=Path, help="its folder (default: build/runs/PROFILE)")
    keep.add_argument(
        "--log-every",
        type=int,
        default=20,
        help="steps between two looks at the losses (default: 20)",
    )
    keep.add_argument(
        "--save-every",
        type=float,
        default=300,
        help="seconds between two checkpoints (default: 300)",
    )
    keep.add_argument(
        "--deterministic", action="store_true", help="on a GPU too, resume to the bit; slower"
    )
    faster = "torch.compile for the extractor: minutes first, faster then; the last two with CUDA graphs (default: no)"
    flags.add_argument("--compile", choices=("no", *MODES), default="no", help=faster)
    whole = "of several processes (torchrun): normalize by the whole batch, not each by its part"
    flags.add_argument("--sync-stats", action="store_true", help=whole)
    group = flags.add_argument_group(
        "configuration", "each overrides profile, preset, setting and method"
    )
    comments = dict(
        re.findall(r"^    (\w+): .*?(?:# (.*))?$", inspect.getsource(Config), re.MULTILINE)
    )
    for f in fields(Config):
        options = dict(default=argparse.SUPPRESS, help=comments[f.name].replace("%", "%%"))
        if isinstance(f.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        elif isinstance(f.default, tuple):
            options |= dict(type=type(f.default[0]), nargs=2 if f.name == "size" else "*")
        else:
            options |= dict(type=type(f.default), choices=CHOICES.get(f.name))
        group.add_argument(f"--{f.name.replace('_', '-')}", **options)
    return flags


def configure(given: argparse.Namespace) -> Config:
    """Preset and setting, what the profile makes smaller, the method, and last the fields that were given one by one.

    Raises ValueError for a setting that contradicts the protocol, and for a value that makes no sense.
    """
    own = {f.name: getattr(given, f.name) for f in fields(Config) if hasattr(given, f.name)}
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
    return preset(
        given.preset, setting_of(given), given.profile, **METHODS[given.method] | duke(given) | own
    )


def setting_of(given: argparse.Namespace) -> str:
    """The setting: the protocol's, where there is one. Raises ValueError when another one was given."""
    if not given.protocol:
        return given.setting or "multi_source"
    setting = SETTING.get(given.protocol, "multi_source")
    if given.setting not in (None, setting):
        raise ValueError(
            f"--protocol {given.protocol} has --setting {setting}, not {given.setting}: leave --setting out"
        )
    return setting


def duke(given: argparse.Namespace) -> dict[str, float]:
    """What DukeMTMC-reID as the single source changes, unless it was given."""
    single = given.protocol and choose(given.protocol, given.target).sources == ("dukemtmc",)
    return {name: value for name, value in DUKE.items() if single and not hasattr(given, name)}
