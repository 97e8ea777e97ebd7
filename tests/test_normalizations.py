"""Conversion of whole models: what is put where, and that it computes what its name says."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.normalizations import NORMS, HalfNorm2d, convert_norm


def worn_batch_norm(channels: int, training: bool = True) -> nn.BatchNorm2d:
    """A BatchNorm2d as after some training."""
    draw = torch.Generator().manual_seed(channels)
    bn = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.3).double().train(training)
    with torch.no_grad():
        for tensor in (bn.weight, bn.bias, bn.running_mean):
            tensor.normal_(generator=draw)
        bn.running_var.uniform_(0.5, 2, generator=draw)
        bn.num_batches_tracked.fill_(7)
    return bn


def maps(channels: int) -> torch.Tensor:
    return torch.randn(5, channels, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("build", (torchvision.models.resnet18, torchvision.models.mobilenet_v2))
@pytest.mark.parametrize("training", (True, False))
def test_at_rho_one_a_converted_model_computes_what_the_model_computed(build, training):
    model = build(num_classes=5).double().train(training)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    twin = convert_norm(copy.deepcopy(model), "bin")
    x = torch.randn(3, 3, 96, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(twin(x), model(x), rtol=1e-8, atol=1e-8)
    kept = twin.state_dict()
    for name, value in model.state_dict().items():
        assert torch.allclose(kept[name], value, rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize(
    ("build", "layers", "channels"),
    (
        (torchvision.models.resnet18, 20, 4_800),
        (torchvision.models.resnet34, 36, 8_512),
        (torchvision.models.resnet50, 53, 26_560),
        (torchvision.models.mobilenet_v2, 52, 17_056),
    ),
)
def test_every_norm_is_replaced_as_table_6_counts_them(build, layers, channels):
    with torch.device("meta"):
        model = convert_norm(build(), "bin")
    rho = balancing_parameters(model)
    assert (len(rho), sum(map(torch.numel, rho.values()))) == (layers, channels)
    assert not any(type(module) is nn.BatchNorm2d for module in model.modules())


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("channels", (6, 7))
def test_each_layer_computes_what_its_name_says(training, channels):
    bn, x = worn_batch_norm(channels, training), maps(channels)
    batch = copy.deepcopy(bn)(x)
    instance = F.instance_norm(x, weight=bn.weight, bias=bn.bias, eps=bn.eps)
    half = channels // 2
    expected = {
        "bn": batch,
        "in": instance,
        "half": torch.cat((batch[:, :half], instance[:, half:]), dim=1),
        "bin": batch,
    }
    assert expected.keys() == NORMS.keys()
    for norm, wanted in expected.items():
        layer = convert_norm(nn.Sequential(copy.deepcopy(bn)), norm)[0]
        assert layer.training == training
        assert torch.allclose(layer(x), wanted, atol=1e-12), norm


def test_the_batch_half_goes_on_with_the_statistics_it_was_given():
    bn = worn_batch_norm(7)
    layer = HalfNorm2d.from_batch_norm(bn)
    bn(maps(7)), layer(maps(7))
    assert torch.allclose(layer.batch.running_mean, bn.running_mean[:3])
    assert torch.allclose(layer.batch.running_var, bn.running_var[:3])
    assert int(layer.batch.num_batches_tracked) == 8


def test_conversion_returns_the_model_and_leaves_its_other_layers_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), worn_batch_norm(4).float(), nn.Flatten(), nn.BatchNorm1d(4))
    before = list(model)
    assert convert_norm(model, "bin") is model
    assert [a is b for a, b in zip(model, before, strict=True)] == [True, False, True, True]
    assert isinstance(model[1], BatchInstanceNorm2d)
    assert (model[1].eps, model[1].momentum) == (1e-3, 0.3)


def test_a_layer_that_sits_in_two_places_stays_one_layer():
    bn = nn.BatchNorm2d(4)
    model = convert_norm(nn.Sequential(bn, nn.ReLU(), bn), "in")
    assert model[0] is model[2]
    assert isinstance(model[0], nn.InstanceNorm2d)


def test_bn_leaves_the_model_as_it_is():
    model = torchvision.models.resnet18(num_classes=2)
    before = dict(model.named_modules())
    convert_norm(model, "bn")
    assert all(before[name] is module for name, module in model.named_modules())


def test_an_unknown_name_is_answered_with_the_choices():
    with pytest.raises(ValueError, match="'batch'.*bn, in, half, bin"):
        convert_norm(torchvision.models.resnet18(), "batch")


def test_a_model_without_batch_norm_is_refused():
    model = convert_norm(nn.Sequential(nn.BatchNorm2d(4)), "bin")
    with pytest.raises(ValueError, match="no BatchNorm2d"):
        convert_norm(model, "in")
