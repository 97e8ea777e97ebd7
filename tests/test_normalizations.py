"""Conversion of whole models: what is put where, and that it computes what its name says."""

import copy
import functools
from collections import Counter

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn import functional as F

from metabin.networks import normalizations
from metabin.networks.backbones import MobileNetV2, StreetNet
from metabin.networks.normalizations import (
    NORMS,
    HalfNorm2d,
    IBNorm2d,
    SharedBatchInstanceNorm2d,
    SwitchableLayerNorm2d,
    SwitchableNorm2d,
    convert_norm,
)
from metabin.networks.places import early_blocks, residual_blocks
from metabin.norm import BatchInstanceNorm2d, balancing_parameters, frozen_running_stats

LAYERS = [
    norm for norm, (_, where) in NORMS.items() if where is normalizations.everywhere
]  # methods of one BN's place
SWITCHABLE = (SwitchableNorm2d, SwitchableLayerNorm2d)
MIXTURES = (SharedBatchInstanceNorm2d, *SWITCHABLE)


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


def worn_network(norm: str, training: bool = True, seed: int = 0) -> nn.Module:
    """A StreetNet in float64 whose norm parameters and statistics have all left their starts, rho between 0 and 1."""
    model = convert_norm(StreetNet().double(), norm).train(training)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_var", "rho")):
                tensor.uniform_(0.2, 0.8, generator=draw)
            elif tensor.dim() == 1:
                tensor.normal_(generator=draw)
            elif tensor.dim() == 4:
                tensor.normal_(std=tensor[0].numel() ** -0.5, generator=draw)
    return model


network = functools.cache(worn_network)  # for tests that change nothing in it


def maps(
    channels: int, images: int = 5, height: int = 4, width: int = 3, seed: int = 0
) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, height, width, generator=draw, dtype=torch.float64)


def as_is(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output, and no running statistic has moved."""
    with torch.no_grad(), frozen_running_stats(model):
        return model(x)


# ---- what a layer computes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("channels", (6, 7))
def test_each_layer_computes_what_its_name_says(training, channels):
    bn, x = worn_batch_norm(channels, training), maps(channels)
    batch = copy.deepcopy(bn)(x)
    instance = F.instance_norm(x, weight=bn.weight, bias=bn.bias, eps=bn.eps)
    plain = F.instance_norm(x, eps=bn.eps)
    half = channels // 2
    expected = {
        "bn": batch,
        "in": instance,
        "in_fresh": plain,
        "in_plain": plain,
        "half": torch.cat((batch[:, :half], instance[:, half:]), dim=1),
        "bin": batch,
        "bin_shared": batch,
    }
    assert expected.keys() | {"switchable", "switchable_ln"} == set(
        LAYERS
    )  # those two have tests of their own
    for norm, wanted in expected.items():
        layer = convert_norm(nn.Sequential(copy.deepcopy(bn)), norm)[0]
        assert layer.training == training
        torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-12, msg=norm)
    mirrored = torch.cat((instance[:, :half], batch[:, half:]), dim=1)
    torch.testing.assert_close(
        IBNorm2d.from_batch_norm(copy.deepcopy(bn))(x), mirrored, rtol=0, atol=1e-12
    )


def test_two_channels_can_be_computed_by_hand():
    """Means of maps 2, 6; 2, 6, variances 1, 1; 4, 16. Batch: 4, 5; 4, 14. Images: 2, 2.5; 6, 8.5."""
    x = torch.tensor([[[1.0, 3], [0, 4]], [[5, 7], [2, 10]]], dtype=torch.float64).unsqueeze(
        2
    )  # (2, 2, 1, 2)
    r3, r5, r14, r15, ln_a, ln_b = (number**0.5 for number in (3, 5, 14, 15, 8.5 / 3, 20.5 / 3))
    batch = [[[-3 / r5, -1 / r5], [-4 / r14, 0]], [[1 / r5, 3 / r5], [-2 / r14, 6 / r14]]]
    ones = [[-1, 1], [-1, 1]]
    two = [[[-2 / r3, 0], [-1, 1 / 3]], [[0, 2 / r3], [-3 / r15, 5 / r15]]]
    three = [[[-5 / 3 / ln_a, 1 / 3 / ln_a], [-8 / 3 / ln_b, 4 / 3 / ln_b]]]  # the first image's
    eps = 1e-15
    found = {
        kind: kind(2, eps).double()(x).squeeze(2) for kind in (HalfNorm2d, IBNorm2d, *SWITCHABLE)
    }
    wanted = {
        HalfNorm2d: [[batch[0][0], ones[0]], [batch[1][0], ones[1]]],
        IBNorm2d: [[ones[0], batch[0][1]], [ones[1], batch[1][1]]],
        SwitchableNorm2d: two,
    }
    for kind, numbers in wanted.items():
        torch.testing.assert_close(
            found[kind], torch.tensor(numbers, dtype=torch.float64), msg=kind.__name__
        )
    torch.testing.assert_close(
        found[SwitchableLayerNorm2d][:1], torch.tensor(three, dtype=torch.float64)
    )
    shared = SharedBatchInstanceNorm2d(2, eps).double()
    with torch.no_grad():
        shared.rho.copy_(torch.tensor([0.5, 0.25])), shared.weight.fill_(2), shared.bias.fill_(1)
    first = shared(x)[0, :, 0, 0]
    assert first.tolist() == pytest.approx([2 * (-1.5 / r5 - 0.5) + 1, 2 * (-1 / r14 - 0.75) + 1])


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("kind", SWITCHABLE)
def test_a_switch_turned_to_one_side_is_that_normalization(kind, training):
    bn, x = worn_batch_norm(4, training), maps(4)
    x = x * torch.tensor([0.5, 1, 2, 3]).view(-1, 1, 1) + torch.arange(5).view(-1, 1, 1, 1)
    affine = {"weight": bn.weight, "bias": bn.bias, "eps": bn.eps}
    sides = [copy.deepcopy(bn)(x), F.instance_norm(x, **affine), F.group_norm(x, 1, **affine)][
        : kind.branches
    ]
    for side, wanted in enumerate(sides):
        layer = kind.from_batch_norm(bn)
        with torch.no_grad():
            layer.mean_logits[side] = layer.var_logits[side] = 60
        torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-12)


def test_means_and_variances_are_switched_apart():
    bn, x = worn_batch_norm(4), maps(4) + torch.arange(5).view(-1, 1, 1, 1)
    layer = SwitchableNorm2d.from_batch_norm(bn)
    with torch.no_grad():
        layer.mean_logits[0] = layer.var_logits[1] = 60  # the batch's mean, the image's variance
    scaled = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((2, 3), correction=0, keepdim=True) + bn.eps
    ).sqrt()
    torch.testing.assert_close(layer(x), scaled * bn.weight.view(-1, 1, 1) + bn.bias.view(-1, 1, 1))


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("rho", (1.0, 0.0))
def test_at_its_ends_the_shared_layer_is_bn_or_in_with_the_one_affine_pair(rho, training):
    bn, x = worn_batch_norm(5, training), maps(5)
    layer = SharedBatchInstanceNorm2d.from_batch_norm(bn)
    nn.init.constant_(layer.rho, rho)
    wanted = bn(x) if rho else F.instance_norm(x, weight=bn.weight, bias=bn.bias, eps=bn.eps)
    torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-12)
    assert list(dict(layer.named_parameters())) == ["weight", "bias", "rho"]
    assert list(balancing_parameters(layer)) == ["rho"]


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("kind", MIXTURES)
def test_derivatives_agree_with_finite_differences(kind, training):
    layer = kind.from_batch_norm(worn_batch_norm(2, training))
    draw = torch.Generator().manual_seed(0)
    names = [name for name, _ in layer.named_parameters()]
    values = [
        torch.rand(p.shape, generator=draw, dtype=p.dtype).requires_grad_()
        for p in layer.parameters()
    ]

    def function(x, *values):
        return functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    x = maps(2, 2, 2, 2).requires_grad_()
    with frozen_running_stats(layer):
        assert gradcheck(function, (x, *values))
        assert gradgradcheck(function, (x, *values))


@pytest.mark.slow
@pytest.mark.parametrize("kind", (*MIXTURES, HalfNorm2d))
def test_a_compiled_layer_gives_the_same_numbers_without_a_graph_break(kind):
    layer, x = kind.from_batch_norm(worn_batch_norm(4)), maps(4).requires_grad_()
    twin = copy.deepcopy(layer)
    y, z = layer(x), torch.compile(twin, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(z, y)
    wanted, found = (
        torch.autograd.grad(out.pow(3).sum(), [x, *net.parameters()])
        for out, net in ((y, layer), (z, twin))
    )
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(twin.state_dict(), layer.state_dict())


@pytest.mark.parametrize("kind", (HalfNorm2d, IBNorm2d))
def test_the_batch_half_goes_on_with_the_statistics_it_was_given(kind):
    bn = worn_batch_norm(7)
    layer = kind.from_batch_norm(bn)
    bn(maps(7)), layer(maps(7))
    channels = slice(3) if kind is HalfNorm2d else slice(3, 7)
    assert torch.allclose(layer.batch.running_mean, bn.running_mean[channels])
    assert torch.allclose(layer.batch.running_var, bn.running_var[channels])
    assert int(layer.batch.num_batches_tracked) == 8


@pytest.mark.parametrize("momentum", (0.3, None))
@pytest.mark.parametrize("kind", MIXTURES)
def test_the_running_statistics_of_mixtures_are_batch_norms_own(kind, momentum):
    bn = worn_batch_norm(3)
    bn.momentum = momentum
    layer = kind.from_batch_norm(bn)
    for seed in range(3):
        bn(maps(3, seed=seed) + seed), layer(maps(3, seed=seed) + seed)
    for name, value in bn.named_buffers():
        torch.testing.assert_close(getattr(layer, name), value)


@pytest.mark.parametrize("kind", SWITCHABLE)
def test_a_switchable_layer_keeps_its_exactness_where_the_mean_dwarfs_the_spread(kind):
    x = maps(3, 4, 8, 4) + 1000
    exact, single = (
        kind(3).to(dtype)(x.float().to(dtype)) for dtype in (torch.float64, torch.float32)
    )
    torch.testing.assert_close(
        single.double(), exact, rtol=0, atol=1e-3
    )  # means to 1e-4; by x^2 it would be 0.1


# ---- what holds whatever the input --------------------------------------------------------------------------------


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), order=st.permutations(range(4)))
def test_permuting_the_images_permutes_the_outputs(norm, training, seed, order):
    model, x = network(norm, training), maps(3, 4, 32, 16, seed)
    torch.testing.assert_close(as_is(model, x[order]), as_is(model, x)[order], rtol=1e-8, atol=1e-8)


def exact_layer(norm: str, training: bool, **values: float) -> nn.Module:
    """The layer of a norm, of six channels, with almost no eps, and the values given for its parameters."""
    bn = worn_batch_norm(6, training)
    bn.eps = 1e-18
    layer = NORMS[norm][0](bn)
    for name, value in values.items():
        nn.init.constant_(layer.get_parameter(name), value)
    return layer


positive = st.floats(0.1, 10)
shift = st.floats(-10, 10)


@pytest.mark.parametrize("training", (True, False))
@given(seed=st.integers(0, 1000), scales=st.lists(positive, min_size=24, max_size=24), moved=shift)
def test_what_instance_norm_serves_does_not_see_an_images_scale_and_shift(
    training, seed, scales, moved
):
    x = maps(6, 4, seed=seed)
    scale = torch.tensor(scales, dtype=x.dtype).view(4, 6, 1, 1)
    shifted = x * scale + moved * scale.flip(0)  # each image and channel by its own
    turned = torch.tensor([0.0, 60], dtype=x.dtype)
    layers = {
        norm: exact_layer(norm, training, **({"rho": 0.0} if norm.startswith("bin") else {}))
        for norm in ("in", "in_fresh", "in_plain", "bin", "bin_shared", "switchable", "half", "ibn")
    }
    with torch.no_grad():
        (
            layers["switchable"].mean_logits.copy_(turned),
            layers["switchable"].var_logits.copy_(turned),
        )
    served = {"half": slice(3, 6), "ibn": slice(3)}
    for norm, layer in layers.items():
        y, z = (as_is(layer, images)[:, served.get(norm, slice(None))] for images in (x, shifted))
        torch.testing.assert_close(z, y, rtol=1e-7, atol=1e-7, msg=norm)


@given(seed=st.integers(0, 1000), scales=st.lists(positive, min_size=6, max_size=6), moved=shift)
def test_in_train_mode_no_layer_but_layer_norm_sees_the_scale_and_shift_of_a_channel(
    seed, scales, moved
):
    x = maps(6, 4, seed=seed)
    scale = torch.tensor(scales, dtype=x.dtype).view(6, 1, 1)
    for norm in {*NORMS} - {"dualnorm", "switchable_ln"}:
        values = {"rho": 0.3} if norm.startswith("bin") else {}
        layer = exact_layer(norm, training=True, **values)
        seen = as_is(layer, x * scale + moved * scale.flip(0))
        torch.testing.assert_close(seen, as_is(layer, x), rtol=1e-7, atol=1e-7, msg=norm)
    layer = exact_layer(
        "switchable_ln", training=True
    )  # it sees one channel's against another's, not the whole's
    torch.testing.assert_close(
        as_is(layer, x * scales[0] + moved), as_is(layer, x), rtol=1e-7, atol=1e-7
    )


# ---- what holds for every method in a network ---------------------------------------------------------------------


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("norm", NORMS)
def test_channels_last_gives_the_same_numbers(norm, training):
    model, x = network(norm, training), maps(3, 4, 32, 16)
    torch.testing.assert_close(
        as_is(model, x.contiguous(memory_format=torch.channels_last)), as_is(model, x)
    )


@pytest.mark.parametrize("memory_format", (torch.contiguous_format, torch.channels_last))
@pytest.mark.parametrize("kind", MIXTURES)
def test_what_a_mixture_gives_lies_in_memory_as_what_it_was_given(kind, memory_format):
    x = maps(3).contiguous(memory_format=memory_format)
    assert kind(3).double()(x).is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("norm", LAYERS)
def test_under_autocast_bfloat16_comes_out_and_statistics_stay_in_float32(norm):
    layer = convert_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=1.0)), norm)
    x = maps(3, 4, 8, 8).float() + 3
    with torch.autocast("cpu", torch.bfloat16):
        features = layer[0](x)
        assert layer[1](features).dtype == torch.bfloat16
    for name, value in layer[1].named_buffers():
        if name.endswith("running_mean"):
            mean = features.float().mean((0, 2, 3))[: len(value)]
            torch.testing.assert_close(value, mean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_frozen_running_statistics_hold_and_batch_statistics_are_used(norm):
    model, x = worn_network(norm), maps(3, 4, 32, 16)
    before = {name: value.clone() for name, value in model.named_buffers()}
    held = as_is(model, x)
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
    assert torch.equal(model(x), held)
    assert all(not torch.equal(before[name], value) for name, value in model.named_buffers())


@pytest.mark.parametrize("norm", NORMS)
def test_in_eval_mode_an_image_does_not_depend_on_its_batch(norm):
    model, x = network(norm, False), maps(3, 4, 32, 16)
    torch.testing.assert_close(as_is(model, x[1:2]), as_is(model, x)[1:2])


@pytest.mark.parametrize("norm", NORMS)
def test_a_state_dict_goes_into_another_network_of_the_same_norm(norm):
    model, other = worn_network(norm, seed=1), worn_network(norm, seed=2)
    x = maps(3, 4, 32, 16)
    assert not torch.allclose(as_is(model, x), as_is(other, x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(as_is(model, x), as_is(other, x))
    pointers = [value.data_ptr() for value in model.state_dict().values()]
    assert len(set(pointers)) == len(pointers)  # nothing is stored twice


@pytest.mark.parametrize("norm", NORMS)
def test_dtype_device_and_mode_are_carried_over(norm):
    model = convert_norm(StreetNet().double().eval(), norm)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert not any(module.training for module in model.modules())
    with torch.device("meta"):
        model = StreetNet()
    assert {value.device.type for value in convert_norm(model, norm).state_dict().values()} == {
        "meta"
    }


@pytest.mark.parametrize("training", (True, False))
def test_three_methods_start_as_the_function_that_was_converted(training):
    model = worn_network("bn", training)
    x = maps(3, 4, 32, 16)
    converted = {norm: convert_norm(copy.deepcopy(model), norm) for norm in NORMS}
    kept = {
        norm
        for norm, twin in converted.items()
        if torch.allclose(as_is(twin, x), as_is(model, x), atol=1e-8)
    }
    assert kept == {"bn", "bin", "bin_shared"}


# ---- where --------------------------------------------------------------------------------------------------------


def resnet_blocks(*counts: int) -> set[str]:
    return {
        f"layer{stage}.{block}" for stage, count in enumerate(counts, 1) for block in range(count)
    }


BLOCKS = {  # of the early stages, by hand; the norms of the whole network; each block's first norm
    StreetNet: ({"1", "2"}, 11, "norm1"),
    torchvision.models.resnet18: (resnet_blocks(2, 2, 2), 20, "bn1"),
    torchvision.models.resnet50: (resnet_blocks(3, 4, 6), 53, "bn1"),
    MobileNetV2: (
        {f"{s}.{b}" for s, n in enumerate((1, 2, 3, 4, 3, 3), 1) for b in range(n)},
        53,
        "0.1",
    ),
    torchvision.models.mobilenet_v2: (
        {f"features.{block}" for block in range(1, 17)},
        52,
        "conv.0.1",
    ),
}


def meta(build) -> tuple[nn.Module, dict[str, nn.Module]]:
    """A network without numbers, and its modules by name."""
    with torch.device("meta"):
        model = build()
    return model, dict(model.named_modules())


def norms_in(model: nn.Module) -> dict[type, int]:
    kinds = Counter(type(module) for module in model.modules())
    return {kind: kinds[kind] for kind in (nn.BatchNorm2d, nn.InstanceNorm2d, IBNorm2d)}


@pytest.mark.parametrize("build", BLOCKS)
def test_ibn_touches_the_first_norm_of_each_early_block_and_nothing_else(build):
    blocks, norms, first = BLOCKS[build]
    model, before = meta(build)
    convert_norm(model, "ibn")
    assert {name for name in before if model.get_submodule(name) is not before[name]} == {
        f"{b}.{first}" for b in blocks
    }
    assert norms_in(model) == {
        nn.BatchNorm2d: norms,
        nn.InstanceNorm2d: len(blocks),
        IBNorm2d: len(blocks),
    }  # one of each


@pytest.mark.parametrize("build", BLOCKS)
def test_dualnorm_puts_an_instance_norm_behind_each_early_block_and_touches_nothing_else(build):
    blocks, norms, _ = BLOCKS[build]
    model, before = meta(build)
    assert set(early_blocks(model)) == blocks
    convert_norm(model, "dualnorm")
    for name in blocks:
        block, instance = model.get_submodule(name)
        assert block is before[name] and type(instance) is nn.InstanceNorm2d
    assert set(before.values()) <= set(model.modules())
    assert norms_in(model) == {nn.BatchNorm2d: norms, nn.InstanceNorm2d: len(blocks), IBNorm2d: 0}


@pytest.mark.parametrize("norm", LAYERS[1:])
def test_the_other_methods_touch_every_norm(norm):
    for build, (_, norms, _) in BLOCKS.items():
        model, before = meta(build)
        names = {name for name, module in before.items() if isinstance(module, nn.BatchNorm2d)}
        convert_norm(model, norm)
        assert len(names) == norms
        assert all(type(model.get_submodule(name)) is not nn.BatchNorm2d for name in names)


def test_dualnorm_normalizes_what_an_early_block_gives():
    model, x = worn_network("bn"), maps(3, 4, 32, 16)
    twin = convert_norm(copy.deepcopy(model), "dualnorm")
    with torch.no_grad():
        wanted = model[0](x)
        for number in (1, 2):
            wanted = F.instance_norm(model[number](wanted), eps=1e-5)
        wanted = model[4](model[3](wanted))
    torch.testing.assert_close(twin(x), wanted)


def test_the_residual_blocks_of_a_network_are_found_in_their_order():
    with torch.device("meta"):
        assert residual_blocks(StreetNet()) == ["1", "2", "3", "4"]
        assert residual_blocks(nn.Sequential(StreetNet())) == ["0.1", "0.2", "0.3", "0.4"]
        assert residual_blocks(torchvision.models.resnet18()) == sorted(resnet_blocks(2, 2, 2, 2))
        assert len(residual_blocks(MobileNetV2())) == 17


# ---- conversion ---------------------------------------------------------------------------------------------------


def test_conversion_returns_the_model_and_leaves_its_other_layers_alone():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), worn_batch_norm(4).float(), nn.Flatten(), nn.BatchNorm1d(4)
    )
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
    with pytest.raises(ValueError, match="'batch'.*bn, in, in_fresh.*dualnorm"):
        convert_norm(torchvision.models.resnet18(), "batch")


@pytest.mark.parametrize("norm", {*NORMS} - {"bn"})
def test_a_model_that_was_converted_is_refused(norm):
    with pytest.raises(ValueError, match="convert it once"):
        convert_norm(convert_norm(StreetNet(), norm), "bin")


@pytest.mark.parametrize("norm", ("ibn", "dualnorm"))
def test_a_model_without_early_blocks_is_refused(norm):
    with pytest.raises(ValueError, match=f"no place for {norm}.*residual blocks"):
        convert_norm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), norm)


def test_a_rho_that_depends_on_the_input_is_differentiated_once_in_either_way():
    layer, x = BatchInstanceNorm2d(3).double(), maps(3).double().requires_grad_()

    def slope(create_graph):
        rho = x.mean((0, 2, 3)).sigmoid()
        y = torch.func.functional_call(layer, {"rho": rho}, x)
        return torch.autograd.grad(y.square().sum(), x, create_graph=create_graph)[0]

    torch.testing.assert_close(slope(False), slope(True).detach(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("options", [dict(affine=False), dict(track_running_stats=False)])
def test_a_norm_without_values_to_take_over_is_refused_by_name(options):
    with pytest.raises(ValueError, match="^1 has no affine pair or no running statistics"):
        convert_norm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, **options)), "half")
