"""Backbones: Table 6's specification, torchvision's features, and files of weights that fit or are refused."""

import functools
import json
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.experiments import bench
from metabin.networks.backbones import (
    InvertedResidual,
    MobileNetV2,
    build_backbone,
    resnet,
)
from metabin.networks.model import build_model
from metabin.networks.normalizations import NORMS
from metabin.networks.pretrained import load_weights
from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.runs.checkpoints import load_model, save_model

TABLE_6 = {  # as published: dimension, norm layers, balancing parameters, all parameters in millions
    "mobilenetv2_x1_0": (1280, 53, 17_088, "2.26"),
    "mobilenetv2_x1_4": (1792, 53, 23_822, "4.34"),
    "resnet18": (512, 20, 4_800, "11.19"),
    "resnet34": (512, 36, 8_512, "21.30"),
    "resnet50": (2048, 53, 26_560, "23.56"),
    "resnet101": (2048, 104, 52_672, "42.61"),
    "resnet152": (2048, 155, 75_712, "58.30"),
}
TORCHVISION = {"resnet18": "resnet18", "resnet50": "resnet50", "mobilenetv2_x1_0": "mobilenet_v2"}
BLOCKS = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images(n: int = 4, height: int = 64, width: int = 32) -> Tensor:
    return torch.randn(n, 3, height, width, generator=generator())  # (n, 3, height, width)


@torch.no_grad()
def as_if_trained(net: nn.Module) -> nn.Module:
    """Random affine pairs and running statistics, so that a tensor in a wrong place shows; in eval mode."""
    draw = generator()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for kind, low in (
                ("weight", 0.5),
                ("running_var", 0.5),
                ("bias", -0.5),
                ("running_mean", -0.5),
            ):
                values = getattr(module, kind)
                values.copy_(torch.rand(values.shape, generator=draw) + low)
    return net.eval()


@functools.cache
def torchvisions(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return as_if_trained(torchvision.models.get_model(TORCHVISION[name]))


@functools.cache
def untrained(name: str) -> nn.Module:
    return build_backbone(name, "bin")


# --- specification -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLE_6)
def test_a_backbone_has_the_specification_of_table_6(name):
    backbone, (dim, layers, balancing, millions) = untrained(name), TABLE_6[name]
    rho = [r.numel() for r in balancing_parameters(backbone).values()]
    others = sum(p.numel() for key, p in backbone.named_parameters() if not key.endswith("rho"))
    assert (backbone.out_channels, len(rho), sum(rho), f"{others / 1e6:.2f}") == (
        dim,
        layers,
        balancing,
        millions,
    )
    assert sum(isinstance(module, BatchInstanceNorm2d) for module in backbone.modules()) == layers
    assert not any(type(module) is nn.BatchNorm2d for module in backbone.modules())


@pytest.mark.parametrize("name", TABLE_6)
@torch.no_grad()
def test_a_map_is_a_16th_of_the_image(name):
    assert untrained(name)(images(2)).shape == (2, TABLE_6[name][0], 4, 2)


def test_the_channels_of_the_wide_mobilenetv2_are_cut_not_rounded():
    wide = untrained("mobilenetv2_x1_4")
    widths = [
        [m for m in stage.modules() if isinstance(m, nn.Conv2d)][-1].out_channels for stage in wide
    ]
    assert widths == [44, 22, 33, 44, 89, 134, 224, 448, 1792]
    assert sum(isinstance(module, InvertedResidual) for module in wide.modules()) == 17


@pytest.mark.parametrize("norm", NORMS)
def test_every_normalization_trains_before_an_activation_in_place(norm):
    model = build_model(norm, 3, "mobilenetv2_x1_0")
    features, logits = model(images())
    (logits.sum() + features.square().sum()).backward()
    gradients = [p.grad for p in model.extractor.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert gradients[0].any()
    assert type(model.neck) is nn.BatchNorm1d and not model.neck.bias.requires_grad


def test_an_unknown_backbone_is_refused_with_the_names_of_all():
    with pytest.raises(ValueError, match="'resnet51'.*streetnet.*resnet50"):
        build_backbone("resnet51")


# --- torchvision's weights -----------------------------------------------------------------------------------------


@torch.no_grad()
def torchvisions_features(name: str, x: Tensor) -> Tensor:
    net = torchvisions(name)
    if name.startswith("mobilenet"):
        return net.features(x)
    for module in list(net.children())[:-2]:
        x = module(x)
    return x


def save(state: dict, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("name", "suffix"), [*((name, "pth") for name in TORCHVISION), ("resnet18", "safetensors")]
)
@torch.no_grad()
def test_with_torchvisions_weights_and_stride_the_features_are_torchvisions(name, suffix, tmp_path):
    path = save(torchvisions(name).state_dict(), tmp_path / f"weights.{suffix}")
    backbone = (
        MobileNetV2(1.0, last_stride=2)
        if name.startswith("mobilenet")
        else resnet(name, last_stride=2)
    )
    load_weights(backbone, name, path)
    expected = torchvisions_features(name, images())
    found = backbone.eval()(images())
    assert found.shape[2:] == (2, 1)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert found.std() > 0.01 * expected.abs().max()  # neither is constant

    closer = build_backbone(name, weights=path).eval()(images())
    assert closer.shape[2:] == (4, 2)
    assert not torch.allclose(closer[..., ::2, ::2], expected)


@torch.no_grad()
def test_the_identity_in_torchvisions_mobilenetv2_normalizes_in_train_mode(tmp_path):
    path = save(torchvisions("mobilenetv2_x1_0").state_dict(), tmp_path / "weights.pth")
    expansion = build_backbone("mobilenetv2_x1_0", weights=path)[1][0][0]
    x = F.relu6(3 * images(128, 8, 8)).view(4, 96, 8, 8)[:, :32]  # as it comes out of the stem
    torch.testing.assert_close(expansion.eval()(x.clone()), x)
    normalized = F.batch_norm(x, None, None, training=True).clamp(
        0, 6
    )  # weight sqrt(1 + eps), bias 0
    torch.testing.assert_close(expansion.train()(x.clone()), normalized, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_x1_0"])
def test_at_rho_1_a_pretrained_network_is_the_bn_network_in_both_modes_and_in_its_gradients(
    name, tmp_path
):
    path = save(torchvisions(name).state_dict(), tmp_path / "weights.pth")
    bn, bin_ = (build_backbone(name, norm, path).double() for norm in ("bn", "bin"))
    x = images(2).double()
    for mode in (False, True):
        expected, found = bn.train(mode)(x), bin_.train(mode)(x)
        torch.testing.assert_close(found, expected)
    for maps in (expected, found):
        (
            maps * torch.linspace(-1, 1, maps.shape[1], dtype=maps.dtype).view(-1, 1, 1)
        ).sum().backward()
    gradients = dict(bin_.named_parameters())
    for key, parameter in bn.named_parameters():
        torch.testing.assert_close(gradients[key].grad, parameter.grad, rtol=1e-6, atol=1e-8)


def test_wrapped_prefixed_and_old_files_load_too(tmp_path):
    state = torchvisions("resnet18").state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 7}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save(wrapped, tmp_path / "wrapped.pth")
    for file in ("old.pth", "wrapped.pth"):
        found = build_backbone("resnet18", weights=tmp_path / file).state_dict()
        assert all(torch.equal(value, state[key]) for key, value in found.items())


class Hub:
    """In torchvision's place: hands out a state, or fails as a machine without a network does."""

    def __init__(self, monkeypatch, state=None):
        self.state, self.urls = state, []
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", self)

    def __call__(self, url, weights_only=False, **options):
        assert weights_only
        self.urls.append(url)
        if self.state is None:
            raise URLError("no route to host")
        return self.state


@pytest.mark.parametrize("name", TORCHVISION)
def test_imagenet_means_torchvisions_first_weights(name, monkeypatch):
    hub = Hub(monkeypatch, torchvisions(name).state_dict())
    backbone = build_backbone(name, weights="imagenet")
    assert hub.urls == [
        torchvision.models.get_model_weights(TORCHVISION[name])["IMAGENET1K_V1"].url
    ]
    stem = torchvisions(name).state_dict()[
        "features.0.0.weight" if "mobile" in name else "conv1.weight"
    ]
    assert torch.equal(backbone[0][0].weight if "mobile" in name else backbone.conv1.weight, stem)


def test_without_a_network_imagenet_says_which_file_to_give(monkeypatch):
    Hub(monkeypatch)
    with pytest.raises(
        ConnectionError,
        match=r"resnet50-\w+\.pth could not be loaded .*no route.*: give that file's path",
    ) as error:
        build_backbone("resnet50", weights="imagenet")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "instead"), [("mobilenetv2_x1_4", "the path"), ("streetnet", "''")]
)
def test_what_torchvision_has_no_weights_of_says_what_to_give(name, instead):
    with pytest.raises(
        ValueError, match=f"no ImageNet weights of {name}: set weights .--weights. to {instead}"
    ):
        build_backbone(name, weights="imagenet")


# --- deep-person-reid's weights ------------------------------------------------------------------------------------


def zoo_state(width: float) -> dict[str, Tensor]:
    """A MobileNetV2 as deep-person-reid's model zoo stores it, of random values: its names, its shapes."""
    state, draw = {}, generator()

    def conv_and_norm(conv, norm, outputs, inputs, size):
        state[f"{conv}.weight"] = (
            torch.randn(outputs, inputs, size, size, generator=draw) / (inputs * size**2) ** 0.5
        )
        for kind, low in (
            ("weight", 0.5),
            ("bias", -0.5),
            ("running_mean", -0.5),
            ("running_var", 0.5),
        ):
            state[f"{norm}.{kind}"] = torch.rand(outputs, generator=draw) + low
        state[f"{norm}.num_batches_tracked"] = torch.tensor(9)

    inputs, last = int(32 * width), int(1280 * max(width, 1))
    conv_and_norm("conv1.conv", "conv1.bn", inputs, 3, 3)
    for stage, (t, c, n, _) in enumerate(BLOCKS, start=2):
        for block in range(n):
            place, inner, outputs = f"conv{stage}.{block}", t * inputs, int(c * width)
            conv_and_norm(f"{place}.conv1.conv", f"{place}.conv1.bn", inner, inputs, 1)
            conv_and_norm(f"{place}.dwconv2.conv", f"{place}.dwconv2.bn", inner, 1, 3)
            conv_and_norm(f"{place}.conv3.0", f"{place}.conv3.1", outputs, inner, 1)
            inputs = outputs
    conv_and_norm("conv9.conv", "conv9.bn", last, inputs, 1)
    return state | {
        "classifier.weight": torch.zeros(1000, last),
        "classifier.bias": torch.zeros(1000),
    }


def zoo_features(state: dict[str, Tensor], x: Tensor, last_stride: int) -> Tensor:
    """The paper's MobileNetV2 written out over a zoo file's tensors, in eval mode."""

    def conv(x, conv, norm, **options):
        x = F.conv2d(x, state[f"{conv}.weight"], **options)
        kinds = "running_mean", "running_var", "weight", "bias"
        return F.batch_norm(x, *(state[f"{norm}.{kind}"] for kind in kinds))

    x = F.relu6(conv(x, "conv1.conv", "conv1.bn", stride=2, padding=1))
    for stage, (_, c, n, s) in enumerate(BLOCKS, start=2):
        for block in range(n):
            place, stride = (
                f"conv{stage}.{block}",
                (last_stride if c == 160 else s) if block == 0 else 1,
            )
            y = F.relu6(conv(x, f"{place}.conv1.conv", f"{place}.conv1.bn"))
            depthwise = dict(stride=stride, padding=1, groups=y.shape[1])
            y = F.relu6(conv(y, f"{place}.dwconv2.conv", f"{place}.dwconv2.bn", **depthwise))
            y = conv(y, f"{place}.conv3.0", f"{place}.conv3.1")
            x = x + y if x.shape == y.shape else y
    return F.relu6(conv(x, "conv9.conv", "conv9.bn"))


@pytest.mark.parametrize(("name", "width"), [("mobilenetv2_x1_0", 1.0), ("mobilenetv2_x1_4", 1.4)])
@pytest.mark.parametrize("last_stride", [1, 2])
@torch.no_grad()
def test_with_a_file_of_deep_person_reids_zoo_the_features_are_that_networks(
    name, width, last_stride, tmp_path
):
    state = zoo_state(width)
    path = save(state, tmp_path / "zoo.pth")
    backbone = MobileNetV2(width, last_stride)
    load_weights(backbone, name, path)
    found, expected = backbone.eval()(images()), zoo_features(state, images(), last_stride)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.1
    if last_stride == 1:
        torch.testing.assert_close(build_backbone(name, weights=path).eval()(images()), found)


# --- files that don't fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "complaint"),
    [
        (
            "resnet34",
            lambda: torchvisions("resnet18").state_dict(),
            "layer1.2.conv1.weight is missing.* and 77 more",
        ),
        (
            "resnet18",
            lambda: torchvisions("resnet50").state_dict(),
            "layer1.0.conv3.weight is unexpected",
        ),
        (
            "resnet18",
            lambda: torchvisions("mobilenetv2_x1_0").state_dict(),
            "conv1.weight is missing",
        ),
        ("streetnet", lambda: torchvisions("resnet18").state_dict(), "0.0.weight is missing"),
        (
            "mobilenetv2_x1_4",
            lambda: torchvisions("mobilenetv2_x1_0").state_dict(),
            r"\(32, 3, 3, 3\) instead of \(44",
        ),
        (
            "mobilenetv2_x1_4",
            lambda: zoo_state(1.0),
            r"conv1.conv.weight has the shape \(32, 3, 3, 3\) instead of \(44",
        ),
        (
            "mobilenetv2_x1_0",
            lambda: torchvisions("resnet18").state_dict(),
            "conv1.conv.weight is missing",
        ),
        (
            "resnet18",
            lambda: build_backbone("resnet18", "bin").state_dict(),
            "bn1.in_weight is unexpected",
        ),
    ],
)
def test_weights_of_another_network_are_refused_with_what_differs(name, state, complaint, tmp_path):
    path = save(state(), tmp_path / "other.pth")
    with pytest.raises(
        ValueError, match=f"other.pth does not fit {name}: .*{complaint}"
    ) as refusal:
        build_backbone(name, weights=path)
    assert str(refusal.value).count(";") <= 3 and "\n" not in str(refusal.value)


class Code:
    """What a pickle would run."""

    def __reduce__(self):
        return print, ("run",)


WEIGHTS = {"conv1.weight": torch.zeros(3)}
REFUSED = {  # content of a file -> what is said of it
    "a list": ([torch.zeros(3)], "holds 0 sets of weights, not one: it is a list$"),
    "text": ({"conv1.weight": "text"}, r"0 sets .*: it is a dict of 'conv1.weight' \(str\)$"),
    "two": ({"model": WEIGHTS, "mean": WEIGHTS}, r"2 sets .*'model' \(dict\), 'mean' \(dict\)$"),
    "a call": (Code(), r"holds code \(\S*print\), which is not run: .*save the weights alone"),
    "a network": (
        nn.Identity(),
        r"holds code \(torch.nn.modules.linear.Identity\), which is not run",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_of_a_whole_file_without_weights_it_is_said_what_it_holds(kind, tmp_path, capsys):
    content, complaint = REFUSED[kind]
    path = save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"other.pth .*{complaint}"):
        build_backbone("streetnet", weights=path)
    assert "run" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_called_damaged_and_a_missing_one_missing(tmp_path):
    whole = save(WEIGHTS, tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("no weights")
    for name in ("cut.pth", "text.pth", "text.safetensors"):
        with pytest.raises(ValueError, match=f"{name} is damaged or no file of weights"):
            build_backbone("streetnet", weights=tmp_path / name)
    with pytest.raises(FileNotFoundError, match="none.pth"):
        build_backbone("streetnet", weights=tmp_path / "none.pth")


def below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network's tensors as another project keeps them, with a head beside the backbone."""
    inner = {f"{prefix}{key}": tensor for key, tensor in state.items()}
    return inner | {"bottleneck.weight": torch.ones(9), "heads.conv1.weight": torch.ones(9)}


OTHERS = {  # what other projects write around a network's tensors
    "fastreid": lambda state: {"model": below("backbone.", state), "iteration": 9},
    "bag of tricks": lambda state: below("base.", state),
    "several GPUs": lambda state: below("module.base.", state),
    "a trunk far within": lambda state: below("encoder.visual.trunk.", state),
    "torchreid": lambda state: {
        "state_dict": state,
        "epoch": 60,
        "rank1": np.float64(0.5),
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []},
    },
    "an average beside it": lambda state: {"state_dict": state, "averaged": state},
}


@pytest.mark.parametrize("project", OTHERS)
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_x1_0"])
@torch.no_grad()
def test_weights_in_another_projects_file_are_found(name, project, tmp_path):
    state = torchvisions(name).state_dict()
    path = save(OTHERS[project](state), tmp_path / "model.pth.tar")
    found, expected = (build_backbone(name, weights=path), build_backbone(name))
    load_weights(expected, name, save(state, tmp_path / "plain.pth"))
    for key, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[key], tensor), key


# --- shared models, costs ------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_shared_model_remembers_its_backbone(tmp_path):
    model = build_model("bin", 5, "mobilenetv2_x1_0")
    model(images())  # moves the running statistics
    save_model(tmp_path / "model.safetensors", model, "bin", "mobilenetv2_x1_0", method="MetaBIN")
    shared, notes = load_model(tmp_path / "model.safetensors")
    assert notes == {"norm": "bin", "backbone": "mobilenetv2_x1_0", "method": "MetaBIN"}
    similar = F.cosine_similarity(shared.embed(images()), model.eval().embed(images()))
    assert similar.min() > 0.999


def test_a_shared_model_without_a_backbones_name_is_a_streetnet(tmp_path):
    path, model = tmp_path / "model.safetensors", build_model("half", 5)
    save_model(path, model, "half")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    save_file(tensors, path, metadata={"metabin": json.dumps({"norm": "half"})})
    shared, notes = load_model(path)
    assert notes == {"norm": "half", "backbone": "streetnet"}
    assert [type(m) for m in shared.modules()] == [type(m) for m in model.modules()]


def test_bin_keeps_about_as_much_for_backward_as_bn_in_a_whole_network():
    x = images(2, 128, 64)
    bn, bin_ = (
        bench.kept_bytes(build_backbone("mobilenetv2_x1_0", norm), x) for norm in ("bn", "bin")
    )
    assert (
        bn <= bin_ < 1.02 * bn
    )  # a few numbers for each image and channel more, whatever the size
