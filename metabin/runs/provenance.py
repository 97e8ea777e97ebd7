"""Where a number comes from, and which folders files belong to."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# The checkout that the package lies in; the working folder, where the package is installed alone.
ROOT = CHECKOUT if (CHECKOUT / "pyproject.toml").is_file() else Path.cwd()
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib")
PACKAGES += ("papermill", "ipykernel", "metabin")


def cache_folder(root: Path = Path()) -> Path:
    """Where pictures are cached: `build/cache` under `root`, by default the working folder.

    Where that can't be written to, it is the user's cache directory.
    """
    folder = root / "build" / "cache"
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if os.access(existing, os.W_OK):
        return folder
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user) / "metabin"


def provenance() -> dict:
    """What a number needs to be believed later: commit, versions, machine.

    The commit is None outside a git checkout. `dirty`: other files than results have changed.
    """
    commit = dirty = None
    if (ROOT / ".git").exists():  # not some repository further up
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--", ".", ":!figures/results")
        dirty = None if changes is None else bool(changes)
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def git(*words: str) -> str | None:
    """What git prints about the checkout; None where it can't say anything."""
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The installed versions of these packages."""
    installed = importlib.metadata.distributions()
    return {package.name: package.version for package in installed if package.name in packages}


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file that appears under its name only when it is whole."""
    from metabin.data.files import whole_file  # imports torch, which `ROOT` does not need

    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
