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


def parser(description: str = "") -> argparse.ArgumentParser:
    """The command's own flags, and one for each field of Config."""
    flags = argparse.ArgumentParser(
        "python -m metabin train",
        usage="%(prog)s [--flag value ...]",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an abbreviation may mean something else tomorrow
    )
    add = flags.add_argument
    add("--profile", choices=PROFILES, default="demo", help="how large all is (default: demo)")
    add("--preset", choices=PRESETS, default="paper", help="where the paper leaves a choice")
    add(
        "--setting",
        choices=SETTINGS,
        help="what a domain is: a set, or a camera (default: the protocol's, or multi_source)",
    )
    add("--method", choices=METHODS, default="metabin", help="a row of the paper's tables")
    add(
        "--compile",
        choices=("no", *MODES),
        default="no",
        help="torch.compile for the extractor: minutes first, faster then; the last two with "
        "CUDA graphs (default: no)",
    )
    add(
        "--sync-stats",
        action="store_true",
        help="of several processes (torchrun): normalize by the statistics of the whole batch",
    )
    _add_data_flags(flags)
    _add_folder_flags(flags)
    group = flags.add_argument_group(
        "configuration",
        "each overrides profile, preset, setting and method; a name that there isn't is answered "
        "with those that there are",
    )
    comments = _comments()
    for field in fields(Config):
        _add_field(group, field, comments[field.name])
    return flags


def _add_data_flags(flags: argparse.ArgumentParser) -> None:
    group = flags.add_argument_group("data", "drawn streets, unless there are pictures")
    group.add_argument(
        "--data-root",
        nargs="+",
        type=Path,
        help="folders in Market-1501's layout or .csv files, a domain each; with --protocol or "
        "--sources, the folder of all data sets",
    )
    group.add_argument("--protocol", choices=PROTOCOLS, help="train on a protocol's sources")
    group.add_argument("--target", help="which run of a protocol that has several")
    group.add_argument(
        "--sources",
        nargs="+",
        default=(),
        metavar="SOURCE",
        help="train on these, each the name of a data set in --data-root, a folder or a .csv "
        "file; with --protocol, in place of its sources",
    )
    add_targets(group)
    group.add_argument(
        "--held-out",
        type=int,
        default=0,
        metavar="N",
        help="identities of each source to keep out of training, for validation (default: 0)",
    )
    add_opt_in(group)


def add_targets(flags) -> None:
    """The flags `--targets` and `--no-camera-rule`."""
    flags.add_argument(
        "--targets",
        nargs="+",
        default=(),
        metavar="TARGET",
        help="test on these (train: in the end), each the name of a data set in --data-root, a "
        "folder with query and gallery, or a .csv file with a column part; with --protocol, in "
        "place of its targets",
    )
    flags.add_argument(
        "--no-camera-rule",
        action="store_false",
        dest="camera_rule",
        help="own pictures: let pictures from a query's own camera count as matches, for one "
        "camera or unknown ones; data sets keep their rule",
    )


def add_opt_in(flags) -> None:
    """The flag `--opt-in`, with the sets that have a notice now."""
    names = [name for name, dataset in SETS.items() if dataset.opt_in]
    help = "sets that are read only on request"
    flags.add_argument("--opt-in", nargs="+", default=(), choices=names, help=help)


def _add_folder_flags(flags: argparse.ArgumentParser) -> None:
    group = flags.add_argument_group("what is kept")
    group.add_argument("--run-dir", type=Path, help="its folder (default: build/runs/PROFILE)")
    group.add_argument(
        "--log-every",
        type=int,
        default=20,
        help="steps from one line of losses to the next (default: 20)",
    )
    group.add_argument(
        "--save-every",
        type=float,
        default=300,
        help="seconds from one checkpoint to the next (default: 300)",
    )
    group.add_argument(
        "--deterministic", action="store_true", help="resume to the bit on a GPU too; slower"
    )


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
