"""The flags of `python -m metabin train`, and the configuration that they make."""

import argparse
import inspect
import re
from dataclasses import Field, fields
from pathlib import Path

from metabin.config import METHODS, PROFILES, Config
from metabin.datasets import SETS
from metabin.datasets.protocols import PROTOCOLS, protocol_run
from metabin.presets import PRESETS, SETTINGS, preset
from metabin.runs.compiling import MODES

# The setting of a protocol; the others have several sources.
SETTING_OF_PROTOCOL = {"market_duke": "single_source", "supervised": "supervised"}
# The paper's changes where DukeMTMC-reID is the single source (Section 4.2).
DUKE = {"outer_lr": 0.5}


def command_flags(name: str, description: str, **options) -> argparse.ArgumentParser:
    """A command's parser, still without flags; its help shows the description as it is written."""
    style = argparse.RawDescriptionHelpFormatter
    program = f"python -m metabin {name}"
    return argparse.ArgumentParser(
        program, description=description, formatter_class=style, **options
    )


def parser(description: str = "") -> argparse.ArgumentParser:
    """The command's own flags, and one for each field of Config."""
    # An abbreviation may mean something else tomorrow.
    options = {"usage": "%(prog)s [--flag value ...]", "allow_abbrev": False}
    flags = command_flags("train", description, **options)
    add = flags.add_argument
    add("--profile", choices=PROFILES, default="demo", help="how large all is (default: demo)")
    add("--preset", choices=PRESETS, default="paper", help="where the paper leaves a choice")
    help = "what a domain is: a set, or a camera (default: the protocol's, or multi_source)"
    add("--setting", choices=SETTINGS, help=help)
    add("--method", choices=METHODS, default="metabin", help="a row of the paper's tables")
    help = (
        "torch.compile for the extractor: takes minutes, then is faster; the last two: CUDA graphs"
    )
    add("--compile", choices=("no", *MODES), default="no", help=help)
    help = "of several processes (torchrun): normalize by the statistics of the whole batch"
    add("--sync-stats", action="store_true", help=help)

    group = flags.add_argument_group("data", "drawn streets, unless there are pictures")
    help = "folders or .csv files, a domain each; with names of data sets, the folder of all sets"
    group.add_argument("--data-root", nargs="+", type=Path, help=help)
    help = "train on these, named like targets; with --protocol, in place of its sources"
    group.add_argument("--sources", nargs="+", default=(), metavar="SOURCE", help=help)
    add_target_flags(group)

    add = flags.add_argument_group("what is kept").add_argument
    add("--run-dir", type=Path, help="its folder (default: build/runs/PROFILE)")
    help = "steps from one line of losses to the next (default: 20)"
    add("--log-every", type=int, default=20, help=help)
    help = "seconds from one checkpoint to the next (default: 300)"
    add("--save-every", type=float, default=300, help=help)
    add("--deterministic", action="store_true", help="resume to the bit on a GPU too; slower")

    about = "each overrides profile, preset, setting and method; a wrong name is answered with all"
    group = flags.add_argument_group("configuration", about)
    comments = _comments()
    for field in fields(Config):
        _add_field(group, field, comments[field.name])
    return flags


def add_target_flags(flags) -> None:
    """The flags that a training and a test share: a protocol, targets, and how they are read."""
    add = flags.add_argument
    help = (
        "learn from its sources, test on its targets (test: no_duke where there are no --targets)"
    )
    add("--protocol", choices=PROTOCOLS, help=help)
    add("--target", help="which run of a protocol that has several")
    help = (
        "test on these (train: in the end), each the name of a data set in --data-root, a folder "
        "with query and gallery, or a .csv file; with --protocol, in place of its targets"
    )
    add("--targets", nargs="+", default=(), metavar="TARGET", help=help)
    help = (
        "own pictures: let pictures from a query's own camera count as matches, for one camera or "
        "unknown ones; data sets keep their rule"
    )
    add("--no-camera-rule", action="store_false", dest="camera_rule", help=help)
    help = "identities of each source to keep out of training, for validation (default: 0)"
    add("--held-out", type=int, default=0, metavar="N", help=help)
    names = [name for name, dataset in SETS.items() if dataset.opt_in]
    help = "sets that are read only on request"
    add("--opt-in", nargs="+", default=(), choices=names, help=help)


def _comments() -> dict[str, str]:
    """The comment beside each field of Config, by the field's name."""
    line = re.compile(r"^    (\w+): .*?(?:# (.*))?$", re.MULTILINE)
    return dict(line.findall(inspect.getsource(Config)))


def _add_field(group, field: Field, comment: str) -> None:
    """One flag for a field of Config, with the type of the field's default."""
    options = {"default": argparse.SUPPRESS, "help": comment.replace("%", "%%")}
    if isinstance(field.default, bool):
        options["action"] = argparse.BooleanOptionalAction
    elif isinstance(field.default, tuple):
        options["type"] = type(field.default[0])
        options["nargs"] = 2 if field.name == "size" else "*"
    else:
        options["type"] = type(field.default)
    group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def configure(options: argparse.Namespace) -> Config:
    """Preset and setting, what the profile makes smaller, the method, and last single fields.

    Raises ValueError for a setting that contradicts the protocol, and for a value that makes no
    sense.
    """
    changes = METHODS[options.method] | duke_changes(options)
    for field in fields(Config):
        if hasattr(options, field.name):
            value = getattr(options, field.name)
            changes[field.name] = tuple(value) if isinstance(value, list) else value
    return preset(options.preset, setting_of(options), options.profile, **changes)


def setting_of(options: argparse.Namespace) -> str:
    """The setting: the protocol's, where there is one.

    Raises ValueError when another one was asked for.
    """
    if not options.protocol:
        return options.setting or "multi_source"
    setting = SETTING_OF_PROTOCOL.get(options.protocol, "multi_source")
    if options.setting not in (None, setting):
        raise ValueError(
            f"--protocol {options.protocol} has --setting {setting}, not {options.setting}: "
            "leave --setting out"
        )
    return setting


def duke_changes(options: argparse.Namespace) -> dict[str, float]:
    """What DukeMTMC-reID as the single source changes, unless it is set by a flag."""
    if not options.protocol:
        return {}
    if protocol_run(options.protocol, options.target).sources != ("dukemtmc",):
        return {}
    return {name: value for name, value in DUKE.items() if not hasattr(options, name)}
