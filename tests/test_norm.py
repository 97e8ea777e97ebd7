"""The layer against its plain form, Eq. 1 by hand, torch's layers and finite differences."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from metabin.norm import (
    BatchInstanceNorm2d,
    balancing_parameters,
    batch_instance_norm,
    frozen_running_stats,
)

FORMATS = (torch.contiguous_format, torch.channels_last)
AFFINE = ("rho", "weight", "bias", "in_weight", "in_bias")
both_formats = pytest.mark.parametrize("memory_format", FORMATS)
both_modes = pytest.mark.parametrize("training", (True, False))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_layer(
    channels: int, seed: int = 0, training: bool = True, rho: float | None = None
) -> BatchInstanceNorm2d:
    """A float64 layer with random parameters and statistics; rho within (0, 1) by default."""
    draw = seeded(seed)
    layer = BatchInstanceNorm2d(channels).double().train(training)
    with torch.no_grad():
        for name in AFFINE[1:]:
            getattr(layer, name).normal_(generator=draw)
        layer.rho.uniform_(0.05, 0.95, generator=draw)
        layer.running_mean.normal_(generator=draw)
        layer.running_var.uniform_(0.5, 2, generator=draw)
        if rho is not None:
            layer.rho.fill_(rho)
    return layer


def random_maps(shape, seed: int = 0) -> torch.Tensor:
    """Maps whose mean and spread differ from image to image and from channel to channel."""
    draw = seeded(seed)
    x = torch.randn(shape, generator=draw, dtype=torch.float64)
    spread = torch.rand(*shape[:2], 1, 1, generator=draw) + 0.5
    return x * spread + torch.randn(*shape[:2], 1, 1, generator=draw)  # (N, C, H, W)


def by_hand(layer: BatchInstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Eq. 1 from means and variances; for rho within [0, 1]."""
    mean, var = layer.running_mean, layer.running_var
    if layer.training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    mean, var = mean[:, None, None], var[:, None, None]
    rho, weight, bias, in_weight, in_bias = (t[:, None, None] for t in layer.coefficients())
    by_batch = (x - mean) / (var + layer.eps).sqrt() * weight + bias
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    by_image = (x - mean) / (var + layer.eps).sqrt() * in_weight + in_bias
    return rho * by_batch + (1 - rho) * by_image


def plainly(layer: BatchInstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
    running = None if layer.training else (layer.running_mean, layer.running_var)
    return batch_instance_norm(x, layer.coefficients(), running, layer.eps)


# ---- Eq. 1 and its derivatives -------------------------------------------------------------------


@both_modes
@both_formats
@given(
    shape=st.tuples(*(st.integers(*b) for b in ((2, 5), (1, 5), (1, 6), (2, 6)))), data=st.data()
)
def test_the_fused_layer_its_plain_form_and_eq_1_by_hand_agree_in_value_and_gradients(
    shape, data, training, memory_format
):
    seed = data.draw(st.integers(0, 1000))
    layer = random_layer(shape[1], seed, training)
    x = random_maps(shape, seed).contiguous(memory_format=memory_format).requires_grad_()
    dy = torch.randn(shape, generator=seeded(seed), dtype=x.dtype)
    results = []
    with frozen_running_stats(layer):
        for form in (by_hand, plainly, BatchInstanceNorm2d.__call__):
            y = form(layer, x)
            results.append((y, torch.autograd.grad(y, (x, *layer.coefficients()), dy)))
    (expected, expected_gradients), *others = results
    for y, gradients in others:
        torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
        # maps of two positions magnify rounding
        torch.testing.assert_close(gradients, expected_gradients, rtol=1e-7, atol=1e-7)


@both_modes
@both_formats
def test_first_and_second_derivatives_agree_with_finite_differences(training, memory_format):
    layer = random_layer(2, training=training)
    x = random_maps((3, 2, 3, 2)).contiguous(memory_format=memory_format).requires_grad_()
    values = [value.detach().requires_grad_() for value in layer.coefficients()]

    def function(x, *values):
        return functional_call(layer, dict(zip(AFFINE, values, strict=True)), (x,))

    with frozen_running_stats(layer):
        assert gradcheck(function, (x, *values))
        assert gradgradcheck(function, (x, *values))


@both_modes
def test_with_rho_one_the_layer_is_batch_norm(training):
    bn = nn.BatchNorm2d(6).double().train(training)
    bn.load_state_dict(random_layer(6).state_dict(), strict=False)
    layer = BatchInstanceNorm2d.from_batch_norm(bn)
    x = random_maps((4, 6, 5, 3))
    assert layer.training == training
    assert torch.allclose(layer(x), bn(x), atol=1e-12)


@pytest.mark.parametrize("outside", (-0.3, 1.2))
def test_rho_outside_its_range_is_clamped_but_keeps_its_gradient(outside):
    layer, inside = random_layer(3, rho=outside), random_layer(3, rho=float(outside > 0))
    x = random_maps((4, 3, 5, 2)).requires_grad_()
    dy = torch.randn(x.shape, generator=seeded(), dtype=x.dtype)
    assert torch.equal(layer(x), inside(x))
    expected = torch.autograd.grad(inside(x), (x, *inside.parameters()), dy)
    assert (expected[-1] != 0).all()  # rho's: registered last
    for create_graph in (False, True):
        inputs = x, *layer.parameters()
        gradients = torch.autograd.grad(layer(x), inputs, dy, create_graph=create_graph)
        torch.testing.assert_close(gradients, expected)


def test_rho_alone_can_be_replaced_and_differentiated():
    model = nn.Sequential(nn.Conv2d(3, 4, 3).double(), random_layer(4), nn.Tanh(), random_layer(4))
    x = random_maps((4, 3, 8, 6))
    twin = copy.deepcopy(model)
    for value in balancing_parameters(twin).values():
        value.data.fill_(0.25)
    twin(x).pow(3).sum().backward()
    expected = [value.grad for value in balancing_parameters(twin).values()]

    def loss(rho):
        return functional_call(model, rho, (x,)).pow(3).sum()

    rho = {name: torch.full((4,), 0.25).double() for name in balancing_parameters(model)}
    with frozen_running_stats(model):  # the function transform, too, gives the same gradient
        transformed = torch.func.grad(loss)(rho)
        loss({name: value.requires_grad_() for name, value in rho.items()}).backward()
    torch.testing.assert_close([value.grad for value in rho.values()], expected)
    torch.testing.assert_close(list(transformed.values()), expected)


# ---- statistics ----------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), momentum=st.sampled_from((0.1, 0.5, 1.0, None)))
def test_running_statistics_are_batch_norms_own(seed, momentum):
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        bn = nn.BatchNorm2d(7, momentum=momentum).to(dtype)
        layer = BatchInstanceNorm2d.from_batch_norm(bn)
        for step in range(3):
            x = (random_maps((6, 7, 8, 4), seed + step) + 0.5).to(dtype)
            bn(x), layer(x)
        buffers, expected = dict(layer.named_buffers()), dict(bn.named_buffers())
        torch.testing.assert_close(buffers, expected, rtol=tolerance, atol=tolerance)


def test_frozen_running_stats_hold_every_layer_and_put_everything_back():
    layers = nn.BatchNorm2d(3), BatchInstanceNorm2d(3), nn.Flatten(), nn.BatchNorm1d(24)
    model = nn.Sequential(*layers, nn.BatchNorm1d(24, track_running_stats=False))
    x = random_maps((4, 3, 4, 2)).float()
    before = copy.deepcopy(model.state_dict())
    free = copy.deepcopy(model)(x)
    with pytest.raises(KeyError), frozen_running_stats(model):
        assert torch.equal(model(x), free)  # batch statistics are used
        functional_call(model, {"1.rho": torch.zeros(3)}, (x,))
        raise KeyError
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert not model[-1].track_running_stats
    model(x)
    assert [int(model[i].num_batches_tracked) for i in (0, 1, 3)] == [1, 1, 1]


# ---- layout and precision ------------------------------------------------------------------------


@pytest.mark.parametrize("rho", (0.0, 0.5, 1.0))
@pytest.mark.parametrize("mean", (0, 100, 1000))
@both_formats
def test_float32_errs_at_most_four_times_as_much_as_torchs_layers(rho, mean, memory_format):
    layer = random_layer(32, rho=rho)
    bn, instance = nn.BatchNorm2d(32).double(), nn.InstanceNorm2d(32, affine=True).double()
    bn.load_state_dict(layer.state_dict(), strict=False)
    instance.load_state_dict({"weight": layer.in_weight, "bias": layer.in_bias})
    x = torch.randn(16, 32, 8, 4, generator=seeded(1)) + mean
    x = x.contiguous(memory_format=memory_format)
    dy = torch.randn(x.shape, generator=seeded(2))

    def run(module, dtype):
        inputs = x.to(dtype, copy=True).requires_grad_()
        outputs = copy.deepcopy(module).float().to(dtype)(inputs)
        outputs.backward(dy.to(dtype))
        return outputs.detach().double(), inputs.grad.double()

    def errors(module):
        pairs = zip(run(module, torch.float32), run(module, torch.float64), strict=True)
        return [float((single - double).abs().max()) for single, double in pairs]

    (y, dx), (bn_y, bn_dx), (_, in_dx) = map(errors, (layer, bn, instance))
    assert y <= 4 * bn_y
    assert dx <= 4 * (bn_dx if rho == 1 else in_dx)
    assert y <= 1e-5  # whatever the mean; batch norm's own error reaches 1e-3


def test_no_value_is_lost_where_a_map_is_constant():
    layer = random_layer(2)
    x = torch.full((3, 2, 4, 4), 7.0, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    shift = layer.rho * layer.bias + (1 - layer.rho) * layer.in_bias
    assert torch.allclose(y, shift.view(-1, 1, 1).expand_as(y))
    y.square().sum().backward()
    assert x.grad.isfinite().all()


@both_formats
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16))
def test_memory_format_and_dtype_come_out_as_they_went_in(memory_format, dtype):
    layer = random_layer(3).to(torch.promote_types(dtype, torch.float32))
    x = random_maps((4, 3, 6, 4)).to(dtype=dtype, memory_format=memory_format).requires_grad_()
    y = layer(x)
    for tensor in (y, *torch.autograd.grad(y, x, torch.ones_like(y))):
        assert tensor.dtype == dtype
        assert tensor.is_contiguous(memory_format=memory_format)


@both_formats
def test_slices_and_gradients_in_any_layout_are_taken_as_well(memory_format):
    layer = random_layer(3)
    whole = random_maps((4, 6, 5, 4)).requires_grad_()
    for x in (whole[:, ::2].transpose(2, 3), whole[:, :3].contiguous(memory_format=memory_format)):
        dy = random_maps(x.shape)
        strided = dy.contiguous(memory_format=torch.channels_last)
        for gradient in (dy, strided, x.new_ones(1).expand(x.shape)):
            (dx,) = torch.autograd.grad(layer(x), whole, gradient, retain_graph=True)
            (expected,) = torch.autograd.grad(by_hand(layer, x), whole, gradient, retain_graph=True)
            assert torch.allclose(dx, expected, atol=1e-9)


@both_formats
def test_under_autocast_statistics_stay_in_float32(memory_format):
    conv, layer = nn.Conv2d(3, 4, 3), BatchInstanceNorm2d(4, momentum=1.0)
    images = (random_maps((8, 3, 16, 8)).float() + 3).to(memory_format=memory_format)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = conv(images)
        assert layer(features).dtype == torch.bfloat16
    var, mean = torch.var_mean(features.double(), (0, 2, 3))
    statistics = layer.running_mean, layer.running_var
    torch.testing.assert_close(statistics, (mean.float(), var.float()), rtol=1e-5, atol=1e-6)


def test_only_the_input_and_per_image_numbers_are_kept_for_backward():
    x = torch.randn(4, 3, 32, 32, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        BatchInstanceNorm2d(3)(x)
    assert [t.data_ptr() for t in kept if t.numel() > 4 * 3] == [x.data_ptr()]


# ---- traced and compiled -------------------------------------------------------------------------


@both_formats
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_a_traced_layer_in_eval_mode_takes_another_batch_size(memory_format):
    layer = random_layer(3, training=False)
    traced = torch.jit.trace(
        layer, random_maps((2, 3, 4, 4)).contiguous(memory_format=memory_format)
    )
    x = random_maps((5, 3, 4, 4), seed=1)
    assert torch.allclose(traced(x), layer(x), atol=1e-12)


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
    before = copy.deepcopy(twin.state_dict())
    torch.testing.assert_close(before, model.state_dict())
    with frozen_running_stats(twin):
        compiled(x)
    torch.testing.assert_close(before, twin.state_dict(), rtol=0, atol=0)


# ---- names and refusals --------------------------------------------------------------------------


def test_balancing_parameters_are_named_as_the_model_names_them():
    inner = nn.Sequential(BatchInstanceNorm2d(4))
    model = nn.Sequential(nn.Conv2d(3, 4, 1), inner, BatchInstanceNorm2d(4))
    rho = balancing_parameters(model)
    assert list(rho) == ["1.0.rho", "2.rho"] and rho["2.rho"] is model[2].rho
    assert list(balancing_parameters(model[2])) == ["rho"]
    assert balancing_parameters(nn.BatchNorm2d(3)) == {}


@pytest.mark.parametrize("strict", (True, False))
def test_a_state_dict_without_rho_is_refused_even_when_not_strict(strict):
    model = nn.Sequential(BatchInstanceNorm2d(3))
    with pytest.raises(RuntimeError, match="0.rho is missing.*convert"):
        model.load_state_dict(nn.Sequential(nn.BatchNorm2d(3)).state_dict(), strict=strict)
    model.load_state_dict(model.state_dict(), strict=strict)
    model.load_state_dict({}, strict=False)  # nothing of this layer: nothing to refuse


@pytest.mark.parametrize("lacking", ("affine", "track_running_stats"))
def test_a_batch_norm_without_affine_or_statistics_is_refused(lacking):
    with pytest.raises(ValueError, match="affine=True"):
        BatchInstanceNorm2d.from_batch_norm(nn.BatchNorm2d(3, **{lacking: False}))


REFUSED = {
    (4, 3, 1, 1): "larger than 1 x 1",
    (1, 3, 4, 4): "at least two images",
    (0, 3, 4, 4): "empty batch",
    (4, 5, 4, 4): r"\(N, 3, H, W\), got \(4, 5, 4, 4\)",
    (4, 3, 4): r"\(N, 3, H, W\)",
}


@pytest.mark.parametrize("shape", REFUSED)
def test_what_cannot_be_normalized_is_named(shape):
    with pytest.raises(ValueError, match=REFUSED[shape]):
        BatchInstanceNorm2d(3)(torch.zeros(shape))


def test_integer_images_are_refused_and_a_single_image_is_fine_in_eval_mode():
    layer = BatchInstanceNorm2d(3).eval()
    with pytest.raises(TypeError, match="uint8"):
        layer(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert layer(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 4, 4)
