"""reveal.js and MathJax for the decks: fetched once from npm's registry, and checked."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class NpmPackage:
    """A package of npm's registry: what it must be, and which of its files the decks use."""

    name: str
    version: str
    sha512: str  # of the archive, in base64, as the registry states it
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"


REVEAL = NpmPackage(
    "reveal.js",
    "6.0.2",
    "JYIg5D9aoxoaLeb84O+OvAwsKWdIavVgEDScxtYEXFCT6t6TQrhNtSgogcjdCpdLsWglhJn3zyE3fUOwiH5KEg==",
    ("dist/reveal.js", "dist/reveal.css", "dist/plugin/notes.js"),
)
MATHJAX = NpmPackage(
    "mathjax",
    "3.2.2",
    "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    ("es5/tex-svg.js",),  # draws by paths: needs no font, and nothing else of MathJax
)


def fetch(package: NpmPackage, folder: Path) -> Path:
    """The folder with the package's files and LICENSE, fetched where it isn't there yet.

    Raises RuntimeError when npm is missing, the registry can't be reached, or the archive is wrong.
    """
    target, name = folder / package.folder, f"{package.name}@{package.version}"
    if target.is_dir():
        return target
    if shutil.which("npm") is None:
        raise RuntimeError(f"slides need npm once, to fetch {name}: install Node.js and try again")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = ["npm", "pack", name, "--silent", "--pack-destination", scratch]
        done = subprocess.run(command, capture_output=True, text=True, cwd=scratch)
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            reason = (done.stderr or done.stdout).strip().splitlines() or ["no archive came"]
            raise RuntimeError(f"npm could not fetch {name}: {reason[-1]}")
        unpack(archives[0], package, Path(scratch) / "unpacked")
        (Path(scratch) / "unpacked").rename(target)  # complete or not at all
    return target


def unpack(archive: Path, package: NpmPackage, folder: Path) -> None:
    """Write the wanted files of a checked archive, without the folders that they lie in there."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise RuntimeError(
            f"what npm fetched is not {package.name} {package.version}: its sha512 differs"
        )
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for name in (*package.files, "LICENSE"):
            content = tar.extractfile(f"package/{name}").read()
            (folder / PurePosixPath(name).name).write_bytes(content)
