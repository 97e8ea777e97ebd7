"""The base step and the meta-step: what each may move, and that it moves by the paper's formula."""

import copy
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from metabin.analysis.guard import RUNNING, changes_only
from metabin.losses import Criterion, triplet_loss
from metabin.meta import (
    Batch,
    base_step,
    cyclic_inner_lr,
    inner_step,
    meta_step,
    mldg_step,
    random_direction,
)
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d, balancing_parameters

WIDE = Criterion("scatter + shuffle + triplet", margin=0.5), Criterion("triplet", margin=0.5)


class TinyNet(nn.Sequential):
    """Two BIN layers with smooth non-linearities, in float64, with random affine pairs and rho inside (0, 1)."""

    def __init__(self, seed: int = 0, rho: float | None = None):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = nn.Conv2d(3, 4, 3, 1, 1), BatchInstanceNorm2d(4), nn.Tanh()
            super().__init__(
                *layers, nn.Conv2d(4, 5, 3, 1, 1), BatchInstanceNorm2d(5), nn.Tanh(), nn.Flatten()
            )
            for parameter in self.parameters():
                nn.init.normal_(parameter)
            for r in balancing_parameters(self).values():
                nn.init.uniform_(r, 0.2, 0.8) if rho is None else nn.init.constant_(r, rho)
        self.double()


def random_batch(
    seed: int, num_domains: int = 2, ids: int = 2, images: int = 2, dtype=torch.float64, size=(6, 4)
):
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(num_domains * ids).repeat_interleave(images)
    pictures = torch.randn(len(pids), 3, *size, dtype=dtype, generator=draw)
    return Batch(pictures, pids, pids // ids)


def values(rho: dict) -> torch.Tensor:
    return torch.cat([r.detach() for r in rho.values()])


def features_at(net: TinyNet, rho: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The features with the balancing parameters `rho` (9,) put in by hand: Eq. 1 by torch's own BN and IN.

    The clamp is straight-through: values as if clamped, gradients as if not.
    """
    parts = iter(rho.split([4, 5]))
    for layer in net:
        if isinstance(layer, BatchInstanceNorm2d):
            part = next(parts)
            r = (part + (part.clamp(0, 1) - part).detach())[:, None, None]
            batch = F.batch_norm(images, None, None, layer.weight, layer.bias, training=True)
            images = r * batch + (1 - r) * F.instance_norm(
                images, weight=layer.in_weight, bias=layer.in_bias
            )
        else:
            images = layer(images)
    return images


def gradient_at(rho: torch.Tensor, loss) -> torch.Tensor:
    rho = rho.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(rho), rho)[0]


def everything(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict:
    """Copies of all that a step could change: parameters, buffers, their gradients, flags, the optimizer's state."""
    tensors = {name: t.detach().clone() for name, t in model.state_dict().items()}
    gradients = {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    flags = {f"{name}.needs_grad": p.requires_grad for name, p in model.named_parameters()}
    modes = {
        f"{name}.modes": (m.training, vars(m).get("track_running_stats"))
        for name, m in model.named_modules()
    }
    state = {} if optimizer is None else optimizer.state_dict()["state"]
    momenta = {f"momentum.{i}": buffers["momentum_buffer"] for i, buffers in state.items()}
    return copy.deepcopy(tensors | gradients | flags | modes | momenta)


def changed(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    same = {
        k: torch.equal(v, after[k]) if torch.is_tensor(v) else v == after[k]
        for k, v in before.items()
    }
    return {k for k, unchanged in same.items() if not unchanged}


def rho_names(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_parameters() if name.split(".")[-1] == "rho"}


# --- the base step (Eq. 5) -----------------------------------------------------------------------------------------


@pytest.fixture
def trained():
    """A small MetaBIN model after a base step, its optimizer (which does not hold rho), and a batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("bin", num_ids=4)
    weights = [
        p
        for name, p in model.named_parameters()
        if p.requires_grad and name not in rho_names(model)
    ]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    batch = random_batch(0, dtype=torch.float32, size=(32, 16))
    base_step(model, optimizer, batch)
    return model, optimizer, batch


def test_the_base_step_moves_every_weight_and_running_statistic_but_not_rho(trained):
    model, optimizer, batch = trained
    before = everything(model)
    losses = base_step(model, optimizer, batch)
    moved = {name for name in changed(before, everything(model)) if not name.endswith(".grad")}
    # rho = 1 lets nothing through to the IN pair, and the neck's bias is frozen
    stays = {
        name
        for name in model.state_dict()
        if name.split(".")[-1] in ("rho", "in_weight", "in_bias")
    }
    assert moved == set(model.state_dict()) - stays - {"neck.bias"}
    assert set(losses) == {"base/id", "base/triplet"}
    assert all(
        loss.shape == () and loss.isfinite() and not loss.requires_grad for loss in losses.values()
    )


def test_the_base_step_leaves_no_gradients_to_pile_up_on_rho(trained):
    model, _, batch = trained
    frozen = torch.optim.SGD(
        model.classifier.parameters(), lr=0.0
    )  # the same gradients in every step
    gradients = []
    for _ in range(2):
        base_step(model, frozen, batch)
        gradients.append(copy.deepcopy([r.grad for r in balancing_parameters(model).values()]))
    for first, second in zip(*gradients, strict=True):
        assert second is None or torch.equal(first, second)


def test_the_base_step_is_gradient_descent_on_cross_entropy_plus_triplet():
    model = nn.ModuleDict({"f": nn.Linear(3, 2), "g": nn.Linear(2, 4)}).double()
    model.forward = lambda x: (model["f"](x), model["g"](model["f"](x)))
    batch = random_batch(1, size=(1, 1))._replace(images=torch.randn(8, 3, dtype=torch.float64))
    features, logits = model(batch.images)
    loss = F.cross_entropy(logits, batch.pids, label_smoothing=0.2) + triplet_loss(
        features, batch.pids, 0.5
    )
    expected = [
        (p - 0.1 * g).detach()
        for p, g in zip(
            model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
        )
    ]
    criterion = Criterion("id + triplet", label_smoothing=0.2, margin=0.5)
    base_step(model, torch.optim.SGD(model.parameters(), lr=0.1), batch, criterion)
    torch.testing.assert_close(list(model.parameters()), expected, rtol=1e-6, atol=1e-7)


# --- the inner step (Eq. 9) ----------------------------------------------------------------------------------------


def test_the_inner_step_changes_nothing_in_the_model(trained):
    model, optimizer, batch = trained
    before = everything(model, optimizer)
    inner_step(model.extractor, balancing_parameters(model.extractor), batch, inner_lr=1.0)
    assert changed(before, everything(model, optimizer)) == set()


@pytest.mark.parametrize("seed", range(3))
def test_the_inner_step_follows_the_finite_differences_of_the_meta_train_loss(seed):
    net, batch = TinyNet(seed), random_batch(seed)
    rho = values(balancing_parameters(net))

    def loss(at):
        with torch.no_grad():
            return WIDE[0](features_at(net, at, batch.images), None, batch)[0].item()

    steps = torch.eye(len(rho), dtype=rho.dtype) * 1e-6
    slopes = torch.tensor([(loss(rho + step) - loss(rho - step)) / 2e-6 for step in steps])
    moved, losses = inner_step(
        net, balancing_parameters(net), batch, inner_lr=0.3, criterion=WIDE[0]
    )
    torch.testing.assert_close(values(moved), (rho - 0.3 * slopes).to(rho.dtype), rtol=0, atol=1e-7)
    assert sum(losses.values()).item() == pytest.approx(loss(rho))
    assert set(losses) == {"meta_train/scatter", "meta_train/shuffle", "meta_train/triplet"}
    assert not any(loss.requires_grad for loss in losses.values())


# --- the meta-step (Eq. 10, Algorithm 1 lines 9-15) ----------------------------------------------------------------


@pytest.mark.parametrize("rho", [None, 0.0, 1.0])
@pytest.mark.parametrize(
    "inner_lr", [0.0, 0.1, 30.0]
)  # 30 throws rho' far out of [0, 1], on both sides
def test_the_meta_step_is_the_first_order_formula(inner_lr, rho):
    net, meta_train, meta_test = TinyNet(0, rho), random_batch(1), random_batch(2)
    start = values(balancing_parameters(net))

    def l_mtr(at):
        return WIDE[0](features_at(net, at, meta_train.images), None, meta_train)[0]

    def l_mte(at):
        return triplet_loss(features_at(net, at, meta_test.images), meta_test.pids, 0.5)

    virtual = start - inner_lr * gradient_at(start, l_mtr)
    assert inner_lr < 30 or (virtual.min() < 0 and virtual.max() > 1)
    gradient = gradient_at(virtual, l_mte)
    losses = meta_step(net, meta_train, meta_test, inner_lr, outer_lr=0.1, criteria=WIDE)
    torch.testing.assert_close(
        values(balancing_parameters(net)), (start - 0.1 * gradient).clamp(0, 1), rtol=0, atol=1e-10
    )
    assert losses["meta_test/triplet"].item() == pytest.approx(l_mte(virtual).item())


def test_without_an_inner_step_the_meta_step_follows_the_finite_differences_of_the_meta_test_loss():
    net, meta_test = TinyNet(3), random_batch(4)
    rho = values(balancing_parameters(net))

    def loss(at):
        with torch.no_grad():
            return triplet_loss(features_at(net, at, meta_test.images), meta_test.pids).item()

    steps = torch.eye(len(rho), dtype=rho.dtype) * 1e-6
    slopes = torch.tensor([(loss(rho + step) - loss(rho - step)) / 2e-6 for step in steps])
    meta_step(net, random_batch(5), meta_test, inner_lr=0.0, outer_lr=1e-3)
    torch.testing.assert_close(
        values(balancing_parameters(net)), (rho - 1e-3 * slopes).to(rho.dtype), rtol=0, atol=1e-9
    )


def test_the_meta_step_moves_rho_and_nothing_else(trained):
    model, optimizer, batch = trained
    model.train()
    before = everything(model, optimizer)
    losses = meta_step(
        model.extractor, batch, random_batch(1, dtype=torch.float32, size=(32, 16)), 0.1, 10.0
    )
    assert changed(before, everything(model, optimizer)) == rho_names(model)
    assert all(
        loss.shape == () and loss.isfinite() and not loss.requires_grad for loss in losses.values()
    )
    assert all(r.requires_grad and r.is_leaf for r in balancing_parameters(model).values())


def test_with_source_statistics_the_meta_test_batch_is_seen_as_at_deployment():
    """BN in eval mode, its running statistics those of the meta-train batch at rho'; the gradient by finite differences."""
    net, meta_train, meta_test = TinyNet(), random_batch(1), random_batch(2)
    rho = balancing_parameters(net)
    start = values(rho)
    moved, _ = inner_step(net, rho, meta_train, 0.3, WIDE[0])
    deployed = copy.deepcopy(net)
    deployed.load_state_dict(moved, strict=False)
    for layer in deployed:
        layer.momentum = 1.0
    deployed(meta_train.images)
    deployed.eval()

    @torch.no_grad()
    def loss(at: torch.Tensor) -> float:
        deployed.load_state_dict(dict(zip(rho, at.split([4, 5]), strict=True)), strict=False)
        return WIDE[1](deployed(meta_test.images), None, meta_test)[0].item()

    at, steps = values(moved), 1e-6 * torch.eye(9, dtype=torch.float64)
    gradient = torch.tensor(
        [(loss(at + step) - loss(at - step)) / 2e-6 for step in steps], dtype=torch.float64
    )
    expected = start - 0.01 * gradient
    buffers = {name: b.clone() for name, b in net.named_buffers()}
    meta_step(net, meta_train, meta_test, 0.3, 0.01, WIDE, statistics="source")
    torch.testing.assert_close(values(rho), expected.clamp(0, 1), rtol=1e-6, atol=1e-8)
    assert gradient.norm() > 0.1
    assert net.training and all(torch.equal(b, buffers[name]) for name, b in net.named_buffers())
    assert all(layer.momentum == 0.1 for layer in net if isinstance(layer, BatchInstanceNorm2d))


@pytest.mark.parametrize("outer_lr", [1e6, -1e6])
def test_rho_stays_in_its_range_however_large_the_step(outer_lr):
    net = TinyNet(0)
    meta_step(net, random_batch(1), random_batch(2), inner_lr=10.0, outer_lr=outer_lr)
    assert set(values(balancing_parameters(net)).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("outside", [-0.5, 0.0, 1.0, 1.5])
def test_rho_at_and_beyond_the_ends_of_its_range_keeps_its_gradient(outside):
    net, batch = TinyNet(0, outside), random_batch(1)
    moved, _ = inner_step(net, balancing_parameters(net), batch, inner_lr=0.1)
    assert ((values(moved) - outside).abs() > 1e-9).all()


class BackwardConvolutions(TorchDispatchMode):
    """Notes what every convolution's backward is asked for: gradients of (input, weight, bias)."""

    def __enter__(self):
        self.masks = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.masks.append(tuple(args[-1]))
        return func(*args, **(kwargs or {}))


def test_the_meta_phases_compute_no_weight_gradients(trained):
    model, optimizer, batch = trained
    convolutions = sum(isinstance(m, nn.Conv2d) for m in model.modules())
    with BackwardConvolutions() as base:
        base_step(model, optimizer, batch)
    with BackwardConvolutions() as meta:
        meta_step(model.extractor, batch, batch, 0.1, 0.1)
    assert len(base.masks) == convolutions and all(weight for _, weight, _ in base.masks)
    # two phases, and the first convolution has nothing before it that needs a gradient
    assert meta.masks == [(True, False, False)] * 2 * (convolutions - 1)


# --- second order, MLDG, controls ----------------------------------------------------------------------------------


def outer_loss(
    net: TinyNet,
    start: torch.Tensor,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    virtual=None,
):
    """L_mte(rho') by hand, where rho' = rho - beta * gradient at rho, or at `virtual` held constant for first order."""
    at = start if virtual is None else virtual
    gradient = gradient_at(
        at, lambda r: WIDE[0](features_at(net, r, meta_train.images), None, meta_train)[0]
    )
    moved = start - inner_lr * gradient
    with torch.no_grad():
        return triplet_loss(features_at(net, moved, meta_test.images), meta_test.pids, 0.5).item()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_the_outer_gradient_follows_finite_differences_in_both_orders(seed, order):
    net, meta_train, meta_test = TinyNet(seed), random_batch(seed + 1), random_batch(seed + 2)
    start = values(balancing_parameters(net))
    held = start if order == 1 else None  # first order: the inner gradient does not follow rho
    steps = torch.eye(len(start), dtype=start.dtype) * 1e-6
    slopes = [
        (
            outer_loss(net, start + h, meta_train, meta_test, 0.2, held)
            - outer_loss(net, start - h, meta_train, meta_test, 0.2, held)
        )
        / 2e-6
        for h in steps
    ]
    meta_step(net, meta_train, meta_test, 0.2, outer_lr=1e-3, criteria=WIDE, order=order)
    expected = start - 1e-3 * torch.tensor(slopes, dtype=start.dtype)
    torch.testing.assert_close(values(balancing_parameters(net)), expected, rtol=0, atol=1e-9)


def test_the_orders_differ_only_with_an_inner_step():
    ends = {}
    for order, inner_lr in itertools.product((1, 2), (0.0, 0.2)):
        net = TinyNet(0)
        meta_step(net, random_batch(1), random_batch(2), inner_lr, 0.1, order=order)
        ends[order, inner_lr] = values(balancing_parameters(net))
    torch.testing.assert_close(ends[1, 0.0], ends[2, 0.0], rtol=0, atol=1e-12)
    assert (ends[1, 0.2] - ends[2, 0.2]).abs().max() > 1e-6


class Classifier(nn.Module):
    """TinyNet with logits, its features pooled by a random matrix so that both losses have something to say."""

    def __init__(self, seed: int = 0):
        super().__init__()
        self.extractor = TinyNet(seed)
        draw = torch.Generator().manual_seed(seed)
        self.classifier = nn.Linear(120, 4).double()
        with torch.no_grad():
            self.classifier.weight.copy_(torch.randn(4, 120, generator=draw) * 0.1)
            self.classifier.bias.zero_()

    def forward(self, images):
        features = self.extractor(images)
        return features, self.classifier(features)


@pytest.mark.parametrize("order", [1, 2])
def test_mldg_moves_everything_along_the_base_loss_plus_the_loss_after_the_virtual_step(order):
    model, meta_train, meta_test = Classifier(), random_batch(1), random_batch(2)
    criterion = Criterion("id + triplet", margin=5.0)  # no hinge at rest
    twin = copy.deepcopy(model)
    names, start = zip(*twin.named_parameters(), strict=True)

    def loss(parameters, batch):
        return criterion(
            *torch.func.functional_call(
                copy.deepcopy(twin), dict(zip(names, parameters, strict=True)), batch.images
            ),
            batch,
        )[0]

    inner = torch.autograd.grad(loss(start, meta_train), start, create_graph=order == 2)
    objective = loss(start, meta_train) + loss(
        [p - 0.01 * g for p, g in zip(start, inner, strict=True)], meta_test
    )
    expected = [
        p - 0.1 * g for p, g in zip(start, torch.autograd.grad(objective, start), strict=True)
    ]
    expected = [
        p.clamp(0, 1) if n.endswith("rho") else p for n, p in zip(names, expected, strict=True)
    ]

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mldg_step(
        model, optimizer, meta_train, meta_test, 0.01, criterion, (criterion, criterion), order
    )
    for name, p, wanted in zip(names, model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), wanted.detach(), rtol=1e-7, atol=1e-9, msg=name)


def test_mldg_lets_running_statistics_follow_the_meta_train_batch_alone():
    model, meta_train = Classifier(), random_batch(1)
    with changes_only(model, "*") as changed:
        mldg_step(
            model, torch.optim.SGD(model.parameters(), lr=0.0), meta_train, random_batch(2), 0.1
        )
    assert {name.rpartition(".")[2] for name in changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    plain = Classifier()
    plain(meta_train.images)
    assert torch.equal(model.extractor[1].running_mean, plain.extractor[1].running_mean)


def test_a_meta_step_may_ask_for_logits():
    model = Classifier()
    start = values(balancing_parameters(model))
    criteria = Criterion("id + triplet"), Criterion("id")
    with changes_only(model, "*.rho"):
        losses = meta_step(model, random_batch(1), random_batch(2), 0.1, 0.1, criteria)
    assert set(losses) == {"meta_train/id", "meta_train/triplet", "meta_test/id"}
    assert not torch.equal(values(balancing_parameters(model)), start)


def test_the_control_walks_as_far_as_the_gradient_but_elsewhere():
    moves = {}
    for control in (None, lambda g: random_direction(g, torch.Generator().manual_seed(0))):
        net = TinyNet(0)
        start = {name: r.detach().clone() for name, r in balancing_parameters(net).items()}
        meta_step(net, random_batch(1), random_batch(2), 0.1, 1e-3, control=control)
        moves[control is None] = [
            r.detach() - start[name] for name, r in balancing_parameters(net).items()
        ]
    for real, random in zip(moves[True], moves[False], strict=True):  # layer by layer
        assert random.norm() == pytest.approx(real.norm().item(), rel=1e-6)
        assert (torch.cosine_similarity(real, random, dim=0) < 0.99).all()


def test_scaled_gradients_survive_half_precision_and_an_overflow_moves_nothing():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    plain, scaled = TinyNet(0), TinyNet(0)
    for net, options in ((plain, {}), (scaled, dict(scaler=scaler))):
        meta_step(net, random_batch(1), random_batch(2), 0.1, 0.1, **options)
    torch.testing.assert_close(
        *(values(balancing_parameters(net)) for net in (plain, scaled)), rtol=0, atol=1e-9
    )
    overflowing = torch.amp.GradScaler("cpu", init_scale=float("inf"))
    before = values(balancing_parameters(scaled))
    meta_step(scaled, random_batch(1), random_batch(2), 0.1, 0.1, scaler=overflowing)
    assert torch.equal(values(balancing_parameters(scaled)), before)


# --- what a phase may change ----------------------------------------------------------------------------------------


def test_the_guard_tells_what_changed_and_names_what_should_not_have(trained):
    model, optimizer, batch = trained
    with changes_only(model, "*weight", "*bias", *RUNNING) as changed:
        base_step(model, optimizer, batch)
    assert "neck.running_mean" in changed and "classifier.weight" in changed
    with changes_only(model, "*.rho") as changed:
        meta_step(model.extractor, batch, batch, 0.1, 0.1)
    assert set(changed) == rho_names(model)
    with changes_only(model) as changed:
        inner_step(model.extractor, balancing_parameters(model.extractor), batch, 0.1)
    assert changed == []
    with pytest.raises(
        AssertionError, match=r"only \*\.rho may change here, but these did: .*classifier\.weight"
    ):
        with changes_only(model, "*.rho"):
            base_step(model, optimizer, batch)


LACKING = {
    "one meta-train domain": (dict(num_domains=1), dict()),
    "one meta-test domain": (dict(), dict(num_domains=1)),
    "one identity in each domain": (dict(ids=1), dict(ids=1)),
    "one image of each identity": (dict(images=1), dict(images=1)),
}


@pytest.mark.parametrize("case", LACKING)
def test_domains_that_offer_little_still_give_finite_steps(case):
    net, (meta_train, meta_test) = TinyNet(0), LACKING[case]
    losses = meta_step(net, random_batch(1, **meta_train), random_batch(2, **meta_test), 0.1, 0.1)
    assert all(loss.isfinite() for loss in losses.values())
    assert values(balancing_parameters(net)).isfinite().all()


def test_a_meta_test_batch_without_negatives_leaves_rho_where_it_was():
    net = TinyNet(0)
    before = values(balancing_parameters(net))
    meta_step(net, random_batch(1), random_batch(2, num_domains=1, ids=1), 0.1, 0.1)
    assert torch.equal(values(balancing_parameters(net)), before)


def test_an_extractor_without_balancing_parameters_is_refused():
    with pytest.raises(ValueError, match="balancing parameters"):
        meta_step(
            nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()).double(),
            random_batch(0),
            random_batch(1),
            0.1,
            0.1,
        )


# --- the cyclic inner step size ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0, 0.001),
        (0.0125, 0.0505),
        (0.025, 0.1),
        (0.0375, 0.0505),
        (0.05, 0.001),
        (0.075, 0.1),
        (0.99375, 0.02575),
    ],
)
def test_the_papers_inner_step_size_by_hand(progress, expected):
    assert cyclic_inner_lr(progress, 0.001, 0.1, 0.05) == pytest.approx(expected)


@given(
    progress=st.floats(0, 1), cycle=st.floats(0.01, 1), low=st.floats(0, 1), height=st.floats(0, 1)
)
def test_the_inner_step_size_is_a_triangle_wave(progress, cycle, low, height):
    at = [cyclic_inner_lr(progress + i * cycle / 2, low, low + height, cycle) for i in range(3)]
    assert all(low - 1e-9 <= value <= low + height + 1e-9 for value in at)
    assert at[0] + at[1] == pytest.approx(2 * low + height)  # half a period later it is mirrored
    assert at[2] == pytest.approx(at[0], abs=1e-9)


def test_the_inner_step_size_goes_up_as_evenly_as_it_comes_down():
    wave = [cyclic_inner_lr(i / 40, 0, 1, 0.5) for i in range(20)]
    assert {round(abs(b - a), 9) for a, b in itertools.pairwise(wave)} == {0.1}
    assert wave.index(max(wave)) == 10
