"""The layer against torch's own batch_norm and instance_norm, in float64 where numbers are compared."""

import copy
import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn import functional as F

from metabin.norm import BatchInstanceNorm2d, balancing_parameters, frozen_running_stats

FORMATS = (torch.contiguous_format, torch.channels_last)
AFFINE = ("rho", "weight", "bias", "in_weight", "in_bias")


def random_layer(
    channels: int, seed: int = 0, training: bool = True, rho: float | None = None
) -> BatchInstanceNorm2d:
    """A float64 layer with random parameters and statistics; rho in (0, 1) unless it is given."""
    draw = torch.Generator().manual_seed(seed)
    layer = BatchInstanceNorm2d(channels).double().train(training)
    with torch.no_grad():
        for name in AFFINE[1:]:
            getattr(layer, name).normal_(generator=draw)
        layer.rho.uniform_(0.05, 0.95, generator=draw) if rho is None else layer.rho.fill_(rho)
        layer.running_mean.normal_(generator=draw)
        layer.running_var.uniform_(0.5, 2, generator=draw)
    return layer


def random_maps(shape, seed: int = 0, memory_format=torch.contiguous_format) -> torch.Tensor:
    """Maps whose mean and spread differ from image to image and from channel to channel."""
    draw = torch.Generator().manual_seed(seed)
    n, c, _, _ = shape
    x = torch.randn(*shape, generator=draw, dtype=torch.float64)
    x = x * torch.rand(n, c, 1, 1, generator=draw).add(0.5) + torch.randn(
        n, c, 1, 1, generator=draw
    )
    return x.contiguous(memory_format=memory_format)  # (N, C, H, W)


def two_calls(layer: BatchInstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Eq. 1 by torch's two functions; for rho within [0, 1]."""
    given = (None, None) if layer.training else (layer.running_mean, layer.running_var)
    batch = F.batch_norm(x, *given, layer.weight, layer.bias, layer.training, eps=layer.eps)
    instance = F.instance_norm(x, weight=layer.in_weight, bias=layer.in_bias, eps=layer.eps)
    rho = layer.rho.view(1, -1, 1, 1)
    return rho * batch + (1 - rho) * instance


@given(
    n=st.integers(2, 5),
    c=st.integers(1, 5),
    h=st.integers(1, 6),
    w=st.integers(2, 6),
    training=st.booleans(),
    memory_format=st.sampled_from(FORMATS),
    seed=st.integers(0, 1000),
)
def test_outputs_and_all_gradients_equal_those_of_the_two_calls(
    n, c, h, w, training, memory_format, seed
):
    layer = random_layer(c, seed, training)
    x = random_maps((n, c, h, w), seed, memory_format).requires_grad_()
    wanted = two_calls(layer, x)
    with frozen_running_stats(layer):
        y = layer(x)
    assert torch.allclose(y, wanted, rtol=1e-10, atol=1e-10)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)
    inputs = [x, *(getattr(layer, name) for name in AFFINE)]
    for found, expected in zip(
        *(torch.autograd.grad(out, inputs, dy) for out in (y, wanted)), strict=True
    ):
        assert torch.allclose(
            found, expected, rtol=1e-7, atol=1e-7
        )  # maps of two positions magnify rounding


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("memory_format", FORMATS)
def test_first_and_second_derivatives_agree_with_finite_differences(training, memory_format):
    layer = random_layer(2, training=training)
    x = random_maps((3, 2, 3, 2), memory_format=memory_format).requires_grad_()
    values = [getattr(layer, name).detach().requires_grad_() for name in AFFINE]

    def function(x, *values):
        return functional_call(layer, dict(zip(AFFINE, values, strict=True)), (x,))

    with frozen_running_stats(layer):
        assert gradcheck(function, (x, *values))
        assert gradgradcheck(function, (x, *values))


@pytest.mark.parametrize("training", (True, False))
def test_with_rho_one_the_layer_is_batch_norm(training):
    bn = nn.BatchNorm2d(6).double().train(training)
    nn.init.normal_(bn.weight), nn.init.normal_(bn.bias), nn.init.uniform_(bn.running_var, 0.5, 2)
    layer = BatchInstanceNorm2d.from_batch_norm(bn)
    x = random_maps((4, 6, 5, 3))
    assert layer.training == training
    assert torch.allclose(layer(x), bn(x), atol=1e-12)


def test_with_rho_zero_an_image_does_not_depend_on_its_batch():
    layer = random_layer(6, rho=0.0)
    x = random_maps((4, 6, 5, 3))
    alone = layer.eval()(x[:1])
    assert torch.allclose(layer.train()(x)[:1], alone, atol=1e-12)
    assert torch.allclose(layer(x.flip(0))[-1:], alone, atol=1e-12)


@given(seed=st.integers(0, 1000), momentum=st.sampled_from((0.1, 0.5, 1.0, None)))
def test_running_statistics_are_batch_norms_own(seed, momentum):
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        bn = nn.BatchNorm2d(7, momentum=momentum).to(dtype)
        layer = BatchInstanceNorm2d.from_batch_norm(bn)
        for step in range(3):
            x = (random_maps((6, 7, 8, 4), seed + step) + 0.5).to(dtype)
            bn(x), layer(x)
        assert int(layer.num_batches_tracked) == 3
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(
                getattr(layer, name), getattr(bn, name), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("rho", (0.0, 0.5, 1.0))
@pytest.mark.parametrize("mean", (0, 100, 1000))
@pytest.mark.parametrize("memory_format", FORMATS)
def test_float32_errs_at_most_four_times_as_much_as_torchs_layers(rho, mean, memory_format):
    layer = random_layer(32, rho=rho)
    bn, instance = nn.BatchNorm2d(32).double(), nn.InstanceNorm2d(32, affine=True).double()
    bn.load_state_dict(layer.state_dict(), strict=False)
    instance.load_state_dict({"weight": layer.in_weight, "bias": layer.in_bias})
    draw = torch.Generator().manual_seed(1)
    x = (torch.randn(16, 32, 8, 4, generator=draw) + mean).to(memory_format=memory_format)
    dy = torch.randn(x.shape, generator=draw)

    def errors(module):
        found = []
        for dtype in (torch.float32, torch.float64):
            inputs = x.to(dtype, copy=True).requires_grad_()
            outputs = copy.deepcopy(module).float().to(dtype)(inputs)
            outputs.backward(dy.to(dtype))
            found.append((outputs.detach().double(), inputs.grad.double()))
        return [float((single - double).abs().max()) for single, double in zip(*found, strict=True)]

    (y, dx), (bn_y, bn_dx), (_, in_dx) = map(errors, (layer, bn, instance))
    assert y <= 4 * bn_y
    assert dx <= 4 * (bn_dx if rho == 1 else in_dx)
    assert y <= 1e-5  # whatever the mean; batch norm's own error reaches 1e-3


def test_no_value_is_lost_where_a_map_is_constant():
    layer = random_layer(2)
    x = torch.full((3, 2, 4, 4), 7.0, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    rho = layer.rho
    assert torch.allclose(
        y, (rho * layer.bias + (1 - rho) * layer.in_bias).view(1, -1, 1, 1).expand_as(y)
    )
    y.square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("outside", (-0.3, 1.2))
def test_rho_outside_its_range_is_clamped_but_keeps_its_gradient(outside):
    layer = random_layer(3, rho=outside)
    inside = random_layer(3, rho=min(max(outside, 0.0), 1.0))
    x = random_maps((4, 3, 5, 2)).requires_grad_()
    dy = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    assert torch.equal(layer(x), inside(x))
    for create_graph in (False, True):
        found, expected = (
            torch.autograd.grad(module(x), [x, *module.parameters()], dy, create_graph=create_graph)
            for module in (layer, inside)
        )
        assert all(map(torch.allclose, found, expected))
        assert (found[-1] != 0).all()  # rho's: registered last


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16))
def test_memory_format_and_dtype_come_out_as_they_went_in(memory_format, dtype):
    layer = random_layer(3).to(torch.promote_types(dtype, torch.float32))
    x = random_maps((4, 3, 6, 4)).to(dtype=dtype, memory_format=memory_format).requires_grad_()
    y = layer(x)
    for tensor in (y, *torch.autograd.grad(y, x, torch.ones_like(y))):
        assert tensor.dtype == dtype
        assert tensor.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_slices_and_gradients_in_any_layout_are_taken_as_well(memory_format):
    layer = random_layer(3)
    expected_layer = functools.partial(two_calls, layer)
    whole = random_maps((4, 6, 5, 4)).requires_grad_()
    for x in (whole[:, ::2].transpose(2, 3), whole[:, :3].contiguous(memory_format=memory_format)):
        for dy in (
            random_maps(x.shape),
            random_maps(x.shape, 0, torch.channels_last),
            x.new_ones(1).expand(x.shape),
        ):
            found, expected = (
                torch.autograd.grad(y(x), whole, dy, retain_graph=True)[0]
                for y in (layer, expected_layer)
            )
            assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_under_autocast_statistics_stay_in_float32(memory_format):
    conv, bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=1.0)
    layer = BatchInstanceNorm2d.from_batch_norm(bn)
    images = (random_maps((8, 3, 16, 8)).float() + 3).to(memory_format=memory_format)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = conv(images)
        assert layer(features).dtype == bn(features).dtype == torch.bfloat16
    exact = features.double()
    assert layer.running_mean.dtype == torch.float32
    torch.testing.assert_close(
        layer.running_mean.double(), exact.mean((0, 2, 3)), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        layer.running_var.double(), exact.var((0, 2, 3)), rtol=1e-5, atol=1e-6
    )


def test_rho_alone_can_be_replaced_and_differentiated():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), random_layer(4).float(), nn.Conv2d(4, 5, 1), random_layer(5).float()
    )
    x = random_maps((4, 3, 8, 6)).float()
    rho = {
        name: torch.full_like(value, 0.25, requires_grad=True)
        for name, value in balancing_parameters(model).items()
    }
    gradients = torch.autograd.grad(
        functional_call(model, rho, (x,)).square().sum(), list(rho.values())
    )
    twin = copy.deepcopy(model)
    for value in balancing_parameters(twin).values():
        value.data.fill_(0.25)
    twin(x).square().sum().backward()
    for found, expected in zip(gradients, balancing_parameters(twin).values(), strict=True):
        assert torch.allclose(found, expected.grad, rtol=1e-4, atol=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_function_transform_grad_gives_the_same_gradient():
    layer = random_layer(3)
    x, rho = random_maps((4, 3, 5, 2)), layer.rho.detach()
    with frozen_running_stats(layer):
        found = torch.func.grad(
            lambda rho: functional_call(layer, {"rho": rho}, (x,)).pow(3).sum()
        )(rho)
        expected = torch.autograd.grad(layer(x).pow(3).sum(), layer.rho)[0]
    assert torch.allclose(found, expected)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_numbers_without_a_graph_break():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), random_layer(4).float(), nn.ReLU(inplace=True))
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, backend="aot_eager", fullgraph=True)
    for memory_format in FORMATS:
        x = random_maps((4, 3, 8, 6)).float().to(memory_format=memory_format)
        y, z = model(x), compiled(x)
        assert torch.allclose(y, z, atol=1e-5)
        y.square().sum().backward(), z.square().sum().backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-4), name
    for a, b in zip(model.buffers(), twin.buffers(), strict=True):
        assert torch.allclose(a, b)
    before = [b.clone() for b in twin.buffers()]
    with frozen_running_stats(twin):
        compiled(x)
    assert all(map(torch.equal, before, twin.buffers()))


def test_only_the_input_and_per_image_numbers_are_kept_for_backward():
    x = torch.randn(4, 3, 32, 32, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        BatchInstanceNorm2d(3)(x)
    assert [t.data_ptr() for t in kept if t.numel() > 4 * 3] == [x.data_ptr()]


def test_frozen_running_stats_hold_every_layer_and_put_everything_back():
    model = nn.Sequential(
        nn.BatchNorm2d(3),
        BatchInstanceNorm2d(3),
        nn.Flatten(),
        nn.BatchNorm1d(3 * 8),
        nn.BatchNorm1d(3 * 8, track_running_stats=False),
    )
    x = torch.randn(4, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    before = copy.deepcopy(model.state_dict())
    free = copy.deepcopy(model)(x)
    with pytest.raises(KeyError), frozen_running_stats(model):
        assert torch.equal(model(x), free)  # batch statistics are used
        functional_call(model, {"1.rho": torch.zeros(3)}, (x,))
        raise KeyError
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [m.track_running_stats for m in model if hasattr(m, "track_running_stats")] == [
        True,
        True,
        True,
        False,
    ]
    model(x)
    assert [int(m.num_batches_tracked) for m in (model[0], model[1], model[3])] == [1, 1, 1]


def test_frozen_running_stats_in_eval_mode_change_nothing():
    layer = random_layer(3, training=False)
    x = random_maps((1, 3, 4, 2))
    with frozen_running_stats(layer):
        assert torch.equal(layer(x), layer.eval()(x))
    expected = layer(x)
    with frozen_running_stats(layer):
        assert torch.equal(layer(x), expected)


def test_balancing_parameters_are_named_as_the_model_names_them():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Sequential(BatchInstanceNorm2d(4)), BatchInstanceNorm2d(4)
    )
    found = balancing_parameters(model)
    assert list(found) == ["1.0.rho", "2.rho"]
    assert all(found[name] is dict(model.named_parameters())[name] for name in found)
    assert list(balancing_parameters(model[2])) == ["rho"]
    assert balancing_parameters(nn.BatchNorm2d(3)) == {}


@pytest.mark.parametrize("strict", (True, False))
def test_a_state_dict_without_rho_is_refused_even_when_not_strict(strict):
    model = nn.Sequential(BatchInstanceNorm2d(3))
    with pytest.raises(RuntimeError, match="0.rho is missing.*convert"):
        model.load_state_dict(nn.Sequential(nn.BatchNorm2d(3)).state_dict(), strict=strict)
    model.load_state_dict(model.state_dict(), strict=strict)
    model.load_state_dict({}, strict=False)  # nothing of this layer: nothing to refuse


def test_a_batch_norm_without_affine_or_statistics_is_refused():
    for arguments in ({"affine": False}, {"track_running_stats": False}):
        with pytest.raises(ValueError, match="affine=True"):
            BatchInstanceNorm2d.from_batch_norm(nn.BatchNorm2d(3, **arguments))


@pytest.mark.parametrize(
    ("shape", "message"),
    (
        ((4, 3, 1, 1), "larger than 1 x 1"),
        ((1, 3, 4, 4), "at least two images"),
        ((4, 5, 4, 4), r"expected input of shape \(N, 3, H, W\), got \(4, 5, 4, 4\)"),
        ((4, 3, 4), r"expected input of shape \(N, 3, H, W\)"),
    ),
)
def test_what_cannot_be_normalized_is_named(shape, message):
    with pytest.raises(ValueError, match=message):
        BatchInstanceNorm2d(3)(torch.zeros(shape))


def test_integer_images_are_refused_and_a_single_image_is_fine_in_eval_mode():
    layer = BatchInstanceNorm2d(3).eval()
    with pytest.raises(TypeError, match="uint8"):
        layer(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert layer(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 4, 4)
