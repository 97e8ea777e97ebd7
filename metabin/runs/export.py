"""A trained network as an ONNX file, for programs without Python or torch."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.data.augment import MEAN, STD
from metabin.data.files import whole_file
from metabin.networks.model import ReIDModel
from metabin.runs.checkpoints import load_model

PACKAGES = "onnx", "onnxscript", "onnxruntime"  # the extra `export` in pyproject.toml
TRACED, CHECKED = 2, (1, 5)  # batch sizes
TOLERANCE = 1e-4  # between features of length 1; rounding makes 1e-7


class RetrievalNetwork(nn.Module):
    """What is exported: pixels in, the feature by which people are compared out.

    uint8 RGB pictures (N, 3, H, W) -> features (N, D) of length 1, so that a product of two is
    their cosine. These are the features of `extract_features`.
    """

    def __init__(self, model: ReIDModel):
        super().__init__()
        self.model = model
        # Buffers, since a trace can't follow the cache in which `normalize` keeps its constants.
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.float() / 255 - self.mean) / self.std  # (N, 3, H, W)
        return F.normalize(self.model.embed(pixels))  # (N, D)


class Exported(NamedTuple):
    """What an ONNX file takes and gives, and how near it comes to torch."""

    notes: dict[str, str]  # what the weights say of their training
    size: tuple[int, ...]  # height and width of a picture
    dim: int  # numbers in a feature
    difference: float  # the largest between its features and torch's


def export_weights(weights: Path, output: Path, size: tuple[int, ...] | None = None) -> Exported:
    """Write a file of weights as an ONNX file, with the same notes in its metadata.

    `size` is height and width of its pictures; by default the training's. Raises what `load_model`
    and `export_network` raise, and ValueError for a size that is not known or too small.
    """
    model, notes = load_model(weights)
    size = tuple(size or json.loads(notes.get("config", "{}")).get("size", ()))
    if not size:
        raise ValueError(f"{weights} doesn't say how large its pictures are: give --size")
    if min(size) < 1:
        raise ValueError(f"--size {size[0]} {size[1]}: height and width in pixels are needed")
    difference = export_network(RetrievalNetwork(model), output, size, notes)
    return Exported(notes, size, model.neck.num_features, difference)


def export_network(
    network: RetrievalNetwork, output: Path, size: tuple[int, ...], notes: dict[str, str]
) -> float:
    """Write an ONNX file that takes any number of pictures; its largest difference from torch.

    Raises ImportError without onnx, onnxscript and onnxruntime, and ValueError where onnxruntime
    computes other features than torch; then no file is written.
    """
    images = random_pictures(TRACED, size)
    network(images)  # pictures that are too small are refused here, in plain words
    missing = " ".join(name for name in PACKAGES if find_spec(name) is None)
    if missing:
        raise ImportError(f"an export needs {missing}: pip install {missing}")
    program = torch.onnx.export(
        network,
        (images,),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["features"],
        dynamic_shapes={"images": {0: torch.export.Dim("N")}},
    )
    program.model.metadata_props["metabin"] = json.dumps(notes)
    with whole_file(output) as temporary:
        program.save(temporary, external_data=False)
        difference = difference_from_torch(temporary, network, size)
        if not difference <= TOLERANCE:  # NaN is not
            raise ValueError(
                f"{output} is not written: its features differ by {difference:.2g} from torch's"
            )
    return difference


def difference_from_torch(path: Path, network: RetrievalNetwork, size: tuple[int, ...]) -> float:
    """Largest difference between an ONNX file's features and the network's, at two batch sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    differences = []
    for count in CHECKED:
        images = random_pictures(count, size)
        [features] = session.run(None, {"images": images.numpy()})
        differences.append((torch.from_numpy(features) - network(images)).abs().max())
    return torch.stack(differences).max().item()


def random_pictures(count: int, size: tuple[int, ...]) -> Tensor:
    """Noise, the same every time: (count, 3, H, W) uint8."""
    draw = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, 3, *size), dtype=torch.uint8, generator=draw)
