"""Taking a model elsewhere: every norm traced and exported, half precision, copies and pickles."""

import copy
import json
import pickle
import re
import warnings
from pathlib import Path

import pytest
import torch
from conftest import make_people
from torch import nn

from metabin.__main__ import main
from metabin.evaluate.retrieval import extract_features
from metabin.networks.model import ReIDModel, build_model
from metabin.networks.normalizations import NORMS, convert_norm
from metabin.runs import export
from metabin.runs.checkpoints import load_model, save_model

ROOT = Path(__file__).resolve().parents[1]
SIZE = (32, 16)
IMAGES = make_people(num_domains=1, ids=3, images=3)  # 9 pictures
TRACED, ANOTHER = IMAGES[:2].images, IMAGES[2:].images


@torch.no_grad()
def as_if_trained(model: ReIDModel) -> ReIDModel:
    """The model in eval mode, no value of a layer at its start: rho lies on both sides of [0, 1]."""
    draw = torch.Generator().manual_seed(1)
    for name, values in model.state_dict().items():
        if values.is_floating_point() and values.dim() == 1:
            noise = torch.rand(values.shape, generator=draw)
            is_rho = name.endswith("rho")
            values.copy_(1.4 * noise - 0.2 if is_rho else 0.5 + noise)
    return model.eval()


@pytest.fixture(params=NORMS)
def network(request) -> export.RetrievalNetwork:
    """A norm in the first three stages of StreetNet, which have every place that it may take."""
    streetnet = build_model("bn", 4, seed=0).extractor[0]
    backbone = convert_norm(nn.Sequential(*list(streetnet)[:3]), request.param)
    backbone.out_channels = 32
    return export.RetrievalNetwork(as_if_trained(ReIDModel(backbone, 4)))


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """The weights of a training at 32 x 16, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    config = json.dumps({"size": SIZE})
    save_model(
        "model.safetensors", as_if_trained(build_model("bin", 4, seed=0)), "bin", config=config
    )
    return Path("model.safetensors")


def assert_near(features, network):
    torch.testing.assert_close(torch.as_tensor(features), network(ANOTHER), rtol=0, atol=1e-6)


def test_an_exported_network_takes_pictures_and_gives_the_features_of_retrieval(network):
    torch.testing.assert_close(network(IMAGES.images), extract_features(network.model, IMAGES))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_every_norm_is_traced_and_takes_another_batch_size(network):
    assert_near(torch.jit.trace(network, TRACED)(ANOTHER), network)


@pytest.mark.slow
def test_every_norm_is_exported_by_torch_and_to_onnx_and_takes_another_batch_size(
    network, tmp_path
):
    onnxruntime = pytest.importorskip("onnxruntime")
    batch = ({0: torch.export.Dim("N")},)
    program = torch.export.export(network, (TRACED,), dynamic_shapes=batch)
    assert_near(program.module()(ANOTHER), network)
    path = tmp_path / "model.onnx"
    assert export.export_network(network, path, SIZE, {}) < 1e-6
    session = onnxruntime.InferenceSession(path)
    assert_near(session.run(None, {"images": ANOTHER.numpy()})[0], network)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_the_python_of_the_troubleshooting_page_runs(weights):
    page = (ROOT / "notebooks" / "troubleshooting.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    names = {}
    exec(code, names)
    pictures = make_people(1, 4, size=names["pictures"].shape[2:]).images
    for network in (names["traced"], names["program"].module()):
        torch.testing.assert_close(network(pictures), names["network"](pictures))


# ---- half precision and copies -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16))
def test_a_model_in_half_precision_gives_nearly_the_same_features(network, dtype):
    model = copy.deepcopy(network.model).to(dtype)
    pixels = ANOTHER / 255
    features = model.embed(pixels.to(dtype))
    assert features.dtype == dtype
    cosines = torch.cosine_similarity(features.float(), network.model.embed(pixels))
    assert cosines.min() > 0.999


@pytest.mark.parametrize(
    "duplicate", (copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)))
)
def test_a_copy_and_a_pickle_of_a_model_give_the_same_features(network, duplicate):
    twin = export.RetrievalNetwork(duplicate(network.model))
    assert torch.equal(twin(ANOTHER), network(ANOTHER))


# ---- the command ---------------------------------------------------------------------------------


def refusal(capsys, *words) -> str:
    """What the command says when it refuses; no file is left behind."""
    before = set(Path().iterdir())
    with pytest.raises(SystemExit) as stop:
        main(["export", *map(str, words)])
    assert stop.value.code == 2 and set(Path().iterdir()) == before
    return capsys.readouterr().err


def test_the_command_says_how_to_use_the_file_and_what_it_says_holds(weights, capsys):
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["export", str(weights), "model.onnx"]) == 0
    printed = capsys.readouterr()
    about, usage = printed.out.split("\n\n")
    assert about.startswith("model.onnx: bin, streetnet, 0.")
    assert "uint8 (N, 3, 32, 16)" in about and "float32 (N, 64)" in about
    assert printed.err == ""
    names = {"query_images": TRACED.numpy(), "gallery_images": ANOTHER.numpy()}
    exec(f"import onnxruntime\n{usage}", names)
    model, notes = load_model(weights)
    features = extract_features(model, IMAGES)
    ranking = (features[:2] @ features[2:].T).argsort(dim=1, descending=True)
    assert names["ranking"].tolist() == ranking.tolist()
    metadata = names["session"].get_modelmeta().custom_metadata_map
    assert json.loads(metadata["metabin"]) == notes


def test_a_size_overrides_the_trainings_and_weights_that_know_none_need_one(
    weights, capsys, monkeypatch
):
    save_model("sizeless.safetensors", as_if_trained(build_model("bin", 4, seed=0)), "bin")
    assert "give --size" in refusal(capsys, "sizeless.safetensors", "model.onnx")
    sizes = []
    monkeypatch.setattr(
        export, "export_network", lambda network, path, size, notes: sizes.append(size)
    )
    export.export_weights(weights, Path("model.onnx"), [48, 24])
    export.export_weights(weights, Path("model.onnx"))
    assert sizes == [(48, 24), SIZE]


@pytest.mark.parametrize(
    "words, message",
    [
        (["model.onnx", "model.safetensors"], "does not end in .onnx"),
        (["nothing.safetensors", "model.onnx"], "no weights at nothing.safetensors"),
        (["model.safetensors", "model.onnx", "--size", "0", "16"], "height and width in pixels"),
        (["model.safetensors", "model.onnx", "--size", "8", "8"], "use larger images"),
    ],
)
def test_what_cannot_be_exported_is_one_message(weights, capsys, words, message):
    assert message in refusal(capsys, *words)


def test_a_missing_package_is_named_with_how_to_get_it(weights, capsys, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnx" else name)
    message = "an export needs onnx: pip install onnx\n"
    assert refusal(capsys, weights, "model.onnx") == message


class OtherWhenExported(nn.Module):
    def forward(self, x):
        return x.flip(1) if torch.compiler.is_exporting() else x


def test_a_file_that_computes_something_else_is_not_written(weights, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    model, notes = load_model(weights)
    model.extractor.append(OtherWhenExported())
    monkeypatch.setattr(export, "load_model", lambda path: (model, notes))
    assert "features differ by" in refusal(capsys, weights, "model.onnx")
