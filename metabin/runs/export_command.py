"""`python -m metabin export`: trained weights in, an ONNX file out.

    python -m metabin export build/runs/first/model.safetensors model.onnx

The file takes uint8 RGB pictures and gives features that are compared by cosine; the normalization
is inside. It is written when onnxruntime computes the same features as torch. That takes seconds
for a StreetNet and a minute or two for a large ResNet, and needs the packages onnx, onnxscript and
onnxruntime. The exit code is 2 when the file can't be written.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from metabin.runs.flags import command_flags


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_flags("export", __doc__)
    add = flags.add_argument
    add("weights", type=Path, help="model.safetensors of a run")
    add("output", type=onnx_path, help="the file to write, a name that ends in .onnx")
    help = "of the pictures (default: the training's)"
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help=help)
    return flags


def onnx_path(text: str) -> Path:
    """A path that ends in .onnx: in another order, the command would write over the weights."""
    if not text.endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .onnx")
    return Path(text)


def report_lines(output: Path, exported) -> Iterator[str]:
    """What was written, and how to use it. `exported` is an `export.Exported`."""
    notes, (height, width) = exported.notes, exported.size
    megabytes = output.stat().st_size / 1e6
    yield f"{output}: {notes['norm']}, {notes['backbone']}, {megabytes:.1f} MB"
    yield f"onnxruntime and torch differ by at most {exported.difference:.1e}"
    yield f"input   images    uint8 (N, 3, {height}, {width}): RGB, any N; bilinearly resized"
    yield f"output  features  float32 (N, {exported.dim}): length 1, so a product is a cosine"
    yield ""
    yield f"session = onnxruntime.InferenceSession({str(output)!r})"
    yield '[query] = session.run(None, {"images": query_images})'
    yield '[gallery] = session.run(None, {"images": gallery_images})'
    yield "ranking = (-query @ gallery.T).argsort(axis=1)  # best match first"


def main(arguments: list[str] | None = None) -> None:
    """Export from the command line."""
    flags = parser()
    options = flags.parse_args(arguments)
    from metabin.runs.export import export_weights  # `--help` doesn't wait for torch

    try:
        exported = export_weights(options.weights, options.output, options.size)
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, f"{error}\n")
    print(*report_lines(options.output, exported), sep="\n")
