"""The base step and the meta-step: what each may move, and that it moves by the paper's formula."""

import copy
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from metabin.analysis.guard import RUNNING, changes_only
from metabin.kernels.collectives import GradientScaler
from metabin.losses import Criterion, triplet_loss
from metabin.meta import (
    MetaOptions,
    base_step,
    cyclic_inner_lr,
    inner_step,
    meta_gradient,
    meta_step,
    mldg_step,
    random_direction,
)
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d, balancing_parameters, batch_instance_norm
from metabin.samplers import Batch

L_MTR = Criterion("scatter + shuffle + triplet", margin=0.5)
L_MTE = Criterion("triplet", margin=0.5)
OPTIONS = MetaOptions(meta_train=L_MTR, meta_test=L_MTE)


class TinyNet(nn.Sequential):
    """Two BIN layers with smooth non-linearities, in float64, with random parameters.

    rho is within (0, 1) by default. `logits` adds a classifier.
    """

    def __init__(self, seed: int = 0, rho: float | None = None, logits: bool = False):
        first = nn.Conv2d(3, 4, 3, 1, 1), BatchInstanceNorm2d(4), nn.Tanh()
        second = nn.Conv2d(4, 5, 3, 1, 1), BatchInstanceNorm2d(5), nn.Tanh(), nn.Flatten()
        super().__init__(*first, *second)
        draw = torch.Generator().manual_seed(seed)
        for parameter in self.double().parameters():
            nn.init.normal_(parameter, generator=draw)
        for r in balancing_parameters(self).values():
            nn.init.uniform_(r, 0.2, 0.8, generator=draw)
            if rho is not None:
                nn.init.constant_(r, rho)
        self.classifier = None
        if logits:
            self.classifier = nn.Linear(120, 4).double()
            nn.init.normal_(self.classifier.weight, 0, 0.1, generator=draw)
            nn.init.zeros_(self.classifier.bias)

    def forward(self, x):
        for layer in list(self)[:7]:
            x = layer(x)
        return x if self.classifier is None else (x, self.classifier(x))

    @property
    def rho(self) -> torch.Tensor:
        """A copy of all balancing parameters, (9,)."""
        return torch.cat([r.detach() for r in balancing_parameters(self).values()])

    def at(self, rho: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """The features with `rho` (9,) in place of the net's, by Eq. 1's plain form."""
        x, parts = images, iter(rho.split([4, 5]))
        for layer in list(self)[:7]:
            if isinstance(layer, BatchInstanceNorm2d):
                x = batch_instance_norm(x, (next(parts), *layer.coefficients()[1:]))
            else:
                x = layer(x)
        return x


def loss_at(net: TinyNet, criterion: Criterion, batch: Batch):
    """A loss as a function of rho (9,)."""
    return lambda rho: criterion(net.at(rho, batch.images), None, batch)[0]


def random_batch(seed: int, num_domains=2, ids=2, images=2, dtype=torch.float64, size=(6, 4)):
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(num_domains * ids).repeat_interleave(images)
    pictures = torch.randn(len(pids), 3, *size, dtype=dtype, generator=draw)
    return Batch(pictures, pids, pids // ids)


def joined(named: dict) -> torch.Tensor:
    return torch.cat([tensor.detach() for tensor in named.values()])


def slope(loss, rho: torch.Tensor) -> torch.Tensor:
    """The gradient by autograd."""
    rho = rho.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(rho), rho)[0]


def differences(function, at: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    """The gradient by finite differences."""
    steps = h * torch.eye(len(at), dtype=at.dtype)
    return torch.stack([(function(at + s) - function(at - s)).detach() / (2 * h) for s in steps])


@contextmanager
def only(model: nn.Module, optimizer: torch.optim.Optimizer, *patterns: str):
    """Only these values may change; and no gradient, flag, mode or momentum."""

    def rest():
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
        flags = [(m.training, vars(m).get("track_running_stats")) for m in model.modules()]
        flags += [(p.requires_grad, p.grad is None) for p in model.parameters()]
        return copy.deepcopy((gradients, momenta)), flags

    tensors, flags = rest()
    with changes_only(model, *patterns) as changed:
        yield changed
    after, flags_after = rest()
    torch.testing.assert_close(after, tensors, rtol=0, atol=0)
    assert flags_after == flags


@pytest.fixture
def trained():
    """A small MetaBIN model after a base step, its optimizer (without rho), and a batch."""
    model = build_model("bin", num_ids=4, seed=0)
    weights = [p for n, p in model.named_parameters() if p.requires_grad and not n.endswith("rho")]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    batch = random_batch(0, dtype=torch.float32, size=(32, 16))
    base_step(model, optimizer, batch)
    return model, optimizer, batch


# ---- the base step (Eq. 5) -----------------------------------------------------------------------


def test_the_base_step_moves_every_weight_and_running_statistic_but_not_rho(trained):
    model, optimizer, batch = trained
    with changes_only(model, "*") as changed:
        losses = base_step(model, optimizer, batch)
    # rho = 1 lets nothing through to the IN pair, and the neck's bias is frozen
    stays = {name for name in model.state_dict() if name.endswith(("rho", "in_weight", "in_bias"))}
    assert set(changed) == set(model.state_dict()) - stays - {"neck.bias"}
    assert set(losses) == {"base/id", "base/triplet"}
    for loss in losses.values():
        assert loss.shape == () and loss.isfinite() and not loss.requires_grad
    with pytest.raises(AssertionError, match=r"only \*rho .* these did: .*classifier\.weight"):
        with changes_only(model, "*rho"):
            base_step(model, optimizer, batch)


def test_the_base_step_leaves_no_gradients_to_pile_up_on_rho(trained):
    model, _, batch = trained
    still = torch.optim.SGD(model.classifier.parameters(), lr=0.0)  # the same gradients each time
    base_step(model, still, batch)
    first = [r.grad.clone() for r in balancing_parameters(model).values()]
    base_step(model, still, batch)
    for r, gradient in zip(balancing_parameters(model).values(), first, strict=True):
        assert torch.equal(r.grad, gradient)


def test_the_base_step_is_gradient_descent_on_cross_entropy_plus_triplet():
    model, batch = TinyNet(logits=True), random_batch(1)
    features, logits = model(batch.images)
    loss = F.cross_entropy(logits, batch.pids, label_smoothing=0.2)
    loss = loss + triplet_loss(features, batch.pids, 5.0)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    expected = [(p - 0.1 * g).detach() for p, g in zip(parameters, gradients, strict=True)]
    criterion = Criterion("id + triplet", label_smoothing=0.2, margin=5.0)
    base_step(model, torch.optim.SGD(parameters, lr=0.1), batch, criterion)
    torch.testing.assert_close([p.detach() for p in parameters], expected)


# ---- the inner step (Eq. 9) ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_inner_step_follows_the_finite_differences_of_the_meta_train_loss(seed):
    net, batch = TinyNet(seed), random_batch(seed)
    loss = loss_at(net, L_MTR, batch)
    moved, losses = inner_step(net, balancing_parameters(net), batch, 0.3, OPTIONS)
    expected = net.rho - 0.3 * differences(loss, net.rho)
    torch.testing.assert_close(joined(moved), expected, rtol=0, atol=1e-7)
    assert sum(losses.values()).item() == pytest.approx(loss(net.rho).item())
    assert set(losses) == {"meta_train/scatter", "meta_train/shuffle", "meta_train/triplet"}


@pytest.mark.parametrize("rho", [-0.5, 0.0, 1.0, 1.5])
def test_rho_at_and_beyond_the_ends_of_its_range_keeps_its_gradient(rho):
    net = TinyNet(0, rho)
    moved, _ = inner_step(net, balancing_parameters(net), random_batch(1), inner_lr=0.1)
    assert ((joined(moved) - rho).abs() > 1e-9).all()


# ---- the meta-step (Eq. 10, Algorithm 1 lines 9-15) ----------------------------------------------


@pytest.mark.parametrize("rho", [None, 0.0, 1.0])
@pytest.mark.parametrize("inner_lr", [0.1, 30.0])
def test_the_meta_step_is_the_first_order_formula(inner_lr, rho):
    net, meta_train, meta_test = TinyNet(0, rho), random_batch(1), random_batch(2)
    start, l_mte = net.rho, loss_at(net, L_MTE, meta_test)
    virtual = start - inner_lr * slope(loss_at(net, L_MTR, meta_train), start)
    if inner_lr == 30:  # it throws rho' far out of [0, 1], on both sides
        assert virtual.min() < 0 and virtual.max() > 1
    expected = (start - 0.1 * slope(l_mte, virtual)).clamp(0, 1)
    losses = meta_step(net, meta_train, meta_test, inner_lr, 0.1, OPTIONS)
    torch.testing.assert_close(net.rho, expected, rtol=0, atol=1e-10)
    assert losses["meta_test/triplet"].item() == pytest.approx(l_mte(virtual).item())


@pytest.mark.parametrize("inner_lr", [0.0, 0.2])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_the_meta_gradient_is_that_of_finite_differences_in_both_orders(seed, order, inner_lr):
    net, meta_train, meta_test = TinyNet(seed), random_batch(seed + 1), random_batch(seed + 2)
    start = net.rho
    l_mtr, l_mte = loss_at(net, L_MTR, meta_train), loss_at(net, L_MTE, meta_test)

    def outer(rho):  # first order: the inner gradient does not follow rho
        return l_mte(rho - inner_lr * slope(l_mtr, start if order == 1 else rho))

    options = replace(OPTIONS, order=order)
    gradients, _ = meta_gradient(net, meta_train, meta_test, inner_lr, options)
    torch.testing.assert_close(joined(gradients), differences(outer, start), rtol=0, atol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"order": 2}, {"statistics": "source"}])
def test_the_meta_step_follows_the_meta_gradient(changes):
    net, sides = TinyNet(), (random_batch(1), random_batch(2))
    start, options = net.rho, replace(OPTIONS, **changes)
    gradients, expected = meta_gradient(net, *sides, 0.3, options)
    assert torch.equal(net.rho, start) and joined(gradients).norm() > 0.1
    losses = meta_step(net, *sides, 0.3, 0.01, options)
    assert torch.equal(net.rho, (start - 0.01 * joined(gradients)).clamp(0, 1))
    assert losses == expected


def test_the_meta_phases_move_rho_and_nothing_else(trained):
    model, optimizer, batch = trained
    net, other = model.extractor, random_batch(1, dtype=torch.float32, size=(32, 16))
    with only(model, optimizer):
        inner_step(net, balancing_parameters(net), batch, 1.0)
    for statistics in ("own", "source"):
        with only(model, optimizer):
            meta_gradient(net, batch, other, 0.1, MetaOptions(statistics=statistics))
    with only(model, optimizer, "*.rho") as changed:
        losses = meta_step(net, batch, other, 0.1, 10.0)
    assert set(changed) == {f"extractor.{name}" for name in balancing_parameters(net)}
    for loss in losses.values():
        assert loss.shape == () and loss.isfinite() and not loss.requires_grad
    assert all(r.requires_grad and r.is_leaf for r in balancing_parameters(net).values())


def test_with_source_statistics_the_meta_test_batch_is_seen_as_at_deployment():
    """BN in eval mode with the statistics of the meta-train batch at rho'."""
    net, meta_train, meta_test = TinyNet(), random_batch(1), random_batch(2)
    moved, _ = inner_step(net, balancing_parameters(net), meta_train, 0.3, OPTIONS)
    deployed = copy.deepcopy(net)
    deployed.load_state_dict(moved, strict=False)
    deployed[1].momentum = deployed[4].momentum = 1.0
    deployed(meta_train.images)
    deployed.eval()

    def loss(rho: torch.Tensor) -> torch.Tensor:
        parameters = dict(zip(moved, rho.split([4, 5]), strict=True))
        features = functional_call(deployed, parameters, meta_test.images)
        return L_MTE(features, None, meta_test)[0]

    options = replace(OPTIONS, statistics="source")
    gradients, _ = meta_gradient(net, meta_train, meta_test, 0.3, options)
    expected = differences(loss, joined(moved))
    torch.testing.assert_close(joined(gradients), expected, rtol=1e-6, atol=1e-6)
    assert net[1].momentum == net[4].momentum == 0.1


@pytest.mark.parametrize("outer_lr", [1e6, -1e6])
def test_rho_stays_in_its_range_however_large_the_step(outer_lr):
    net = TinyNet()
    meta_step(net, random_batch(1), random_batch(2), inner_lr=10.0, outer_lr=outer_lr)
    assert set(net.rho.tolist()) == {0.0, 1.0}


class BackwardConvolutions(TorchDispatchMode):
    """Notes what every convolution's backward is asked for: gradients of (input, weight, bias)."""

    def __enter__(self):
        self.masks = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.masks.append(tuple(args[-1]))
        return func(*args, **(kwargs or {}))


@contextmanager
def kept_for_backward():
    """Yields where the tensors lie that autograd keeps."""
    kept = set()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.add(tensor.data_ptr()) or tensor, lambda tensor: tensor
    ):
        yield kept


def test_the_meta_phases_compute_no_weight_gradients(trained):
    model, optimizer, batch = trained
    convolutions = sum(isinstance(m, nn.Conv2d) for m in model.modules())
    with BackwardConvolutions() as base, kept_for_backward() as kept:
        base_step(model, optimizer, batch)
    assert batch.images.data_ptr() in kept
    with BackwardConvolutions() as meta, kept_for_backward() as kept:
        meta_step(model.extractor, batch, batch, 0.1, 0.1)
    assert batch.images.data_ptr() not in kept  # no graph before the first rho
    assert len(base.masks) == convolutions and all(weight for _, weight, _ in base.masks)
    # two phases, and the first convolution has nothing before it that needs a gradient
    assert meta.masks == [(True, False, False)] * 2 * (convolutions - 1)


def test_a_meta_step_may_ask_for_logits():
    net = TinyNet(logits=True)
    options = MetaOptions(meta_train=Criterion("id + triplet"), meta_test=Criterion("id"))
    with changes_only(net, "*.rho") as changed:
        losses = meta_step(net, random_batch(1), random_batch(2), 0.1, 0.1, options)
    assert set(losses) == {"meta_train/id", "meta_train/triplet", "meta_test/id"}
    assert changed == ["1.rho", "4.rho"]


def test_the_control_walks_as_far_as_the_gradient_but_elsewhere():
    sides = random_batch(1), random_batch(2)
    gradients, _ = meta_gradient(TinyNet(), *sides, 0.1)
    net, draw = TinyNet(), torch.Generator().manual_seed(0)
    options = MetaOptions(control=lambda gradient: random_direction(gradient, draw))
    meta_step(net, *sides, 0.1, 1e-3, options)
    random = (TinyNet().rho - net.rho).split([4, 5])
    for walked, gradient in zip(random, gradients.values(), strict=True):  # layer by layer
        assert walked.norm() == pytest.approx(1e-3 * gradient.norm().item(), rel=1e-6)
        assert torch.cosine_similarity(walked, gradient, dim=0) < 0.99


def test_scaled_gradients_survive_half_precision_and_an_overflow_moves_nothing():
    sides = random_batch(1), random_batch(2)
    expected, _ = meta_gradient(TinyNet(), *sides, 0.1)
    for scale in (2.0**10, float("inf")):
        options = MetaOptions(scaler=GradientScaler("cpu", init_scale=scale))
        gradients, _ = meta_gradient(TinyNet(), *sides, 0.1, options)
        wanted = joined(expected) if scale < float("inf") else torch.zeros(9).double()
        torch.testing.assert_close(joined(gradients), wanted, rtol=0, atol=1e-9)


LACKING = {  # of meta-train, of meta-test
    "one meta-train domain": (dict(num_domains=1), {}),
    "one meta-test domain": ({}, dict(num_domains=1)),
    "one identity in each domain": (dict(ids=1), dict(ids=1)),
    "one image of each identity": (dict(images=1), dict(images=1)),
    "no negatives": ({}, dict(num_domains=1, ids=1)),
}


@pytest.mark.parametrize("case", LACKING)
def test_domains_that_offer_little_still_give_finite_steps(case):
    net, (meta_train, meta_test) = TinyNet(), LACKING[case]
    start = net.rho
    losses = meta_step(net, random_batch(1, **meta_train), random_batch(2, **meta_test), 0.1, 0.1)
    assert all(loss.isfinite() for loss in losses.values())
    assert net.rho.isfinite().all()
    if case == "no negatives":
        assert torch.equal(net.rho, start)


def test_an_extractor_without_balancing_parameters_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()).double()
    with pytest.raises(ValueError, match="balancing parameters"):
        meta_step(net, random_batch(0), random_batch(1), 0.1, 0.1)


# ---- MLDG ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_mldg_moves_everything_along_the_base_loss_plus_the_loss_at_theta_prime(order):
    model, meta_train, meta_test = TinyNet(logits=True), random_batch(1), random_batch(2)
    base, l_mtr = Criterion("id + triplet", margin=5.0), Criterion("id + 2 triplet", margin=5.0)
    twin = copy.deepcopy(model)
    names, start = zip(*twin.named_parameters(), strict=True)

    def loss(criterion, parameters, batch):
        values = dict(zip(names, parameters, strict=True))
        return criterion(*functional_call(twin, values, batch.images), batch)[0]

    inner = torch.autograd.grad(loss(l_mtr, start, meta_train), start, create_graph=order == 2)
    virtual = [p - 0.01 * g for p, g in zip(start, inner, strict=True)]
    objective = loss(base, start, meta_train) + loss(base, virtual, meta_test)
    gradients = torch.autograd.grad(objective, start)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = MetaOptions(base, l_mtr, base, order)
    mldg_step(model, optimizer, meta_train, meta_test, 0.01, options)
    for name, p, g in zip(names, start, gradients, strict=True):
        expected = (p - 0.1 * g).detach()
        if name.endswith("rho"):
            expected = expected.clamp(0, 1)
        moved = model.get_parameter(name).detach()
        torch.testing.assert_close(moved, expected, rtol=1e-7, atol=1e-9, msg=name)


def test_mldg_lets_running_statistics_follow_the_meta_train_batch_alone():
    model, plain, meta_train = TinyNet(logits=True), TinyNet(), random_batch(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with changes_only(model, *RUNNING):
        mldg_step(model, optimizer, meta_train, random_batch(2), 0.1)
    plain(meta_train.images)
    torch.testing.assert_close(dict(model.named_buffers()), dict(plain.named_buffers()))


# ---- the cyclic inner step size ------------------------------------------------------------------

WAVE = {0: 0.001, 0.0125: 0.0505, 0.025: 0.1, 0.0375: 0.0505, 0.05: 0.001, 0.99375: 0.02575}


@pytest.mark.parametrize("progress", WAVE)
def test_the_papers_inner_step_size_by_hand(progress):
    assert cyclic_inner_lr(progress, 0.001, 0.1, 0.05) == pytest.approx(WAVE[progress])


@given(
    progress=st.floats(0, 1), cycle=st.floats(0.01, 1), low=st.floats(0, 1), height=st.floats(0, 1)
)
def test_the_inner_step_size_is_a_triangle_wave(progress, cycle, low, height):
    at = [cyclic_inner_lr(progress + i * cycle / 2, low, low + height, cycle) for i in range(3)]
    assert all(low - 1e-9 <= value <= low + height + 1e-9 for value in at)
    assert at[0] + at[1] == pytest.approx(2 * low + height)  # half a period later it is mirrored
    assert at[2] == pytest.approx(at[0], abs=1e-9)
