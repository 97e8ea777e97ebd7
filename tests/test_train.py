"""A run's state and the loop of Algorithm 1."""

import itertools
from dataclasses import replace

import pytest
import torch
from conftest import make_people
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import metabin.train
from metabin.analysis.guard import changes_only
from metabin.config import METHODS, Config, demo
from metabin.data.augment import normalize
from metabin.meta import cyclic_inner_lr
from metabin.norm import balancing_parameters
from metabin.samplers import join
from metabin.train import Run, learning_rate, meta_update, train

BASE = {"base/id", "base/triplet"}
META = {"meta_train/scatter", "meta_train/shuffle", "meta_train/triplet", "meta_test/triplet"}
MLDG = {"meta_train/id", "meta_train/triplet", "meta_test/id", "meta_test/triplet"}
LOSSES = {"metabin": BASE | META, "one_episode": BASE | META, "joint": BASE, "mldg": BASE | MLDG}
every_method = pytest.mark.parametrize("method", METHODS)


def weights(run: Run) -> dict[str, torch.Tensor]:
    """A copy of every parameter and buffer."""
    return {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}


def steps(run: Run, n: int) -> list:
    return list(itertools.islice(train(run), n))


def assert_equal(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def rho_values(run: Run) -> torch.Tensor:
    return torch.cat([r.detach() for r in balancing_parameters(run.model).values()])


# ---- the schedule --------------------------------------------------------------------------------

# 0.1x at the start, half-way to 1x at 5 of 100 epochs, 1x from 10 on, 0.1x from 40, 0.01x from 70
RATES = {0: 0.001, 0.05: 0.0055, 0.1: 0.01, 0.3999: 0.01, 0.4: 0.001, 0.6999: 0.001, 0.7: 1e-4}


@pytest.mark.parametrize("progress", RATES)
def test_the_papers_learning_rate_by_hand(progress):
    assert learning_rate(Config(), progress) == pytest.approx(RATES[progress])


def test_without_a_warm_up_the_learning_rate_starts_at_the_top():
    assert learning_rate(Config(warmup=0.0), 0.0) == 0.01


def test_milestones_fall_on_the_iteration_that_they_name():
    rates = [learning_rate(demo(), i / 400) for i in range(400)]
    assert [i for i in range(41, 400) if rates[i] != rates[i - 1]] == [160, 280]


def test_a_step_holds_its_place_in_the_schedule_and_so_does_the_optimizer(people, quick):
    run = Run(replace(quick, algorithm="joint", joint_rho_scale=10.0), people)
    for number, step in enumerate(train(run)):
        progress = number / quick.iterations
        assert step.iteration == number + 1
        assert step.lr == learning_rate(quick, progress)
        assert step.inner_lr == cyclic_inner_lr(progress, 0.001, 0.1, 0.05)
        assert {g["lr"] for g in run.optimizer.param_groups} == {step.lr, 10 * step.lr}
    assert number == 5 and list(train(run)) == []


# ---- a run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("norms_too", [False, True])
@every_method
def test_weights_decay_and_norms_do_only_when_told_and_rho_never(people, quick, method, norms_too):
    scales = dict(weight_decay=0.1, joint_rho_scale=3.0, bias_lr_scale=2.0, decay_norms=norms_too)
    run = Run(replace(quick, **METHODS[method], **scales), people)
    settings = []  # parameter, weight decay, scale of the step size
    for group in run.optimizer.param_groups:
        settings += [(p, group["weight_decay"], group["scale"]) for p in group["params"]]
    expected = {}
    for module in run.model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            decays = isinstance(module, nn.Conv2d | nn.Linear) or (norms_too and name != "rho")
            scale = {"rho": 3.0, "bias": 2.0, "in_bias": 2.0}.get(name, 1.0)
            by_meta_step = name == "rho" and run.config.algorithm == "metabin"
            if parameter is not run.model.neck.bias and not by_meta_step:
                expected[parameter] = 0.1 if decays else 0, scale
    assert len(settings) == len(expected)
    assert {p: values for p, *values in settings} == {p: list(v) for p, v in expected.items()}


def test_a_batch_is_one_mini_batch_per_domain_whose_images_belong_to_its_labels(quick):
    people = make_people()
    grey = people.pids[:, None, None, None] * 7 + 10  # every picture shows its identity
    people.images.copy_(grey)
    batches = Run(quick, people).base_batches.draw()
    assert [batch.domains.unique().tolist() for batch in batches] == [[0], [1], [2], [3]]
    for batch in batches:
        assert batch.images.shape == (4, 3, 32, 16) and batch.pids.bincount().max() == 2
        shown = (batch.pids * 7 + 10).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 30, 14)
        inside = batch.images[:, :, 1:-1, 1:-1]  # a shift of one pixel reaches no further
        torch.testing.assert_close(inside, normalize(shown))
        assert (batch.images[:, :, 0] < inside[:, :, 0, :1]).any()  # but brings in some black
    assert join(batches).pids.tolist() == [pid for batch in batches for pid in batch.pids.tolist()]


def test_a_pooled_batch_is_as_large_and_leaves_domains_out(people, quick):
    run = Run(replace(quick, base_sampling="pooled"), people)
    drawn = [run.base_batches.draw() for _ in range(20)]
    assert all(len(batches) == 1 and len(batches[0].pids) == 16 for batches in drawn)
    assert min(len(batches[0].domains.unique()) for batches in drawn) < 4
    domains = [batch.domains.unique().tolist() for batch in run.meta_batches.draw()]
    assert domains == [[0], [1], [2], [3]]


def test_images_and_methods_that_cannot_be_trained_are_refused_with_the_way_out(people, quick):
    alone = make_people(num_domains=1)
    with pytest.raises(ValueError, match="relabel"):
        Run(quick, people[people.pids % 2 == 1])
    with pytest.raises(ValueError, match="a domain on each side.*cameras_as_domains"):
        Run(quick, alone)
    with pytest.raises(ValueError, match='norm="bin", or algorithm="joint"'):
        Run(replace(quick, norm="ibn"), people)
    with pytest.raises(ValueError, match="images of size"):
        Run(replace(quick, size=(64, 32)), people)
    (step,) = steps(Run(replace(quick, algorithm="joint"), alone), 1)
    assert all(loss.isfinite() for loss in step.losses.values())


def test_domain_numbers_may_have_gaps(quick):
    people = make_people(num_domains=3)
    run = Run(quick, replace(people, domains=people.domains * 2, names=("a", "", "b", "", "c")))
    assert [batch.domains[0].item() for batch in run.base_batches.draw()] == [0, 2, 4]
    steps(run, 1)


def test_a_run_leaves_its_images_and_the_global_random_state_alone(quick, monkeypatch):
    people, untouched, seeded, ends = make_people(), make_people(), [], []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    for seed in (1, 2):
        torch.default_generator.manual_seed(seed)
        before = torch.get_rng_state()
        run = Run(quick, people, "cpu")
        steps(run, 1)
        assert torch.equal(torch.get_rng_state(), before)
        ends.append(weights(run))
    assert_equal(*ends)
    assert seeded == []  # no graphics card's either
    assert_equal(people.tensors(), untouched.tensors())


# ---- the loop ------------------------------------------------------------------------------------


@every_method
def test_every_method_trains_by_one_argument_and_returns_its_losses(people, quick, method):
    run = Run(replace(quick, **METHODS[method]), people)
    start = rho_values(run) if "bin" in run.config.norm else None
    for step in steps(run, 2):
        assert set(step.losses) == LOSSES[run.config.algorithm]
        for loss in step.losses.values():  # tensors, not floats: nobody waited for the device
            assert isinstance(loss, torch.Tensor) and loss.shape == ()
            assert loss.isfinite() and not loss.requires_grad
    if start is not None:
        moved = rho_values(run)
        assert not torch.equal(moved, start) and moved.min() >= 0 and moved.max() <= 1


def test_the_first_meta_step_may_come_later(people, quick):
    losses = [set(step.losses) for step in train(Run(replace(quick, meta_start=2), people))]
    assert losses == [BASE] * 2 + [BASE | META] * 4


def test_the_losses_fall_on_people_who_are_easy_to_tell_apart(people, quick):
    run = Run(replace(quick, iterations=30, warmup=0.0, algorithm="joint"), people)
    losses = torch.stack([sum(step.losses.values()) for step in train(run)])
    assert losses[-5:].mean() < 0.8 * losses[:3].mean()


def test_the_meta_phases_split_the_domains_of_another_mini_batch(people, quick, monkeypatch):
    calls = {"base_step": [], "meta_step": []}
    for name, arguments in calls.items():
        step = getattr(metabin.train, name)

        def noting(*values, step=step, arguments=arguments):
            arguments.append(values)
            return step(*values)

        monkeypatch.setattr(metabin.train, name, noting)
    changes = dict(meta_train_share=0.75, label_smoothing=0.2, margin=0.4, outer_lr=0.7)
    made = list(train(Run(replace(quick, iterations=10, **changes), people)))
    splits = set()
    for step, base, meta in zip(made, *calls.values(), strict=True):
        _, _, batch, criterion, *_ = base
        _, meta_train, meta_test, inner_lr, outer_lr, options = meta
        assert batch.domains.bincount().tolist() == [4, 4, 4, 4]
        domains = set(meta_train.domains.tolist())
        assert len(domains) == 3 and domains | set(meta_test.domains.tolist()) == {0, 1, 2, 3}
        both = join([meta_train, meta_test])
        assert both.domains.bincount().tolist() == [4, 4, 4, 4]
        assert not torch.equal(both.pids.sort()[0], batch.pids.sort()[0])
        criteria = criterion, options.meta_train, options.meta_test
        formulas = ["id + triplet", "scatter + shuffle + triplet", "triplet"]
        assert [c.formula for c in criteria] == formulas
        for c in criteria:
            assert (c.options["label_smoothing"], c.options["margin"]) == (0.2, 0.4)
        assert (inner_lr, outer_lr) == (step.inner_lr, 0.7)
        splits.add(tuple(domains))
    assert len(made) == 10 and len(splits) > 2


@pytest.mark.parametrize("method", ["metabin", "one_episode"])
def test_the_meta_update_alone_moves_what_its_algorithm_moves(people, quick, method):
    run = Run(replace(quick, **METHODS[method]), people, "cpu")
    steps(run, 1)  # after which rho has left 1, so that the IN pairs have gradients
    with changes_only(run.model, "*.rho" if method == "metabin" else "*") as changed:
        losses = meta_update(run, inner_lr=0.1)
    assert ("classifier.weight" in changed) == (method == "one_episode")
    assert any(name.endswith("rho") for name in changed) and META <= set(losses)


def test_joint_training_moves_rho_with_its_own_step_size_and_keeps_it_in_range(people, quick):
    moves = []
    for scale in (0.0, 1.0, 1e4):
        run = Run(replace(quick, algorithm="joint", joint_rho_scale=scale), people, "cpu")
        steps(run, 1)
        moves.append((1 - rho_values(run)).max().item())
    none, small, large = moves
    assert none == 0 and 0 < small < 0.1 and large == 1


# ---- random streams ------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(people, quick):
    one, same, other = (Run(replace(quick, seed=seed), people, "cpu") for seed in (0, 0, 1))
    streams = []
    for run in (one, other):
        for batches in (run.base_batches, run.meta_batches):
            streams.append(batches.generator.initial_seed())
    assert len(set(streams)) == 4
    for run in (one, same, other):
        steps(run, 3)
    assert_equal(weights(one), weights(same))
    for name, parameter in one.model.named_parameters():
        if parameter.dim() > 1:
            assert not torch.equal(parameter, other.model.get_parameter(name))


def test_with_the_same_seed_every_method_sees_the_same_base_batches(people, quick):
    runs = [Run(replace(quick, **METHODS[method]), people, "cpu") for method in ("bn", "metabin")]
    for run in runs:
        steps(run, 2)
    assert_equal(*(join(run.base_batches.draw()) for run in runs))


def test_a_run_that_was_stopped_and_looked_at_goes_on_where_it_stands(people, quick):
    straight, stopped = (Run(quick, people, "cpu") for _ in range(2))
    steps(straight, 4)
    numbers = []
    for _ in range(2):
        for step in steps(stopped, 2):
            stopped.model.eval().embed(normalize(people.images[:8]))
            numbers.append(step.iteration)
    assert numbers == [1, 2, 3, 4]
    assert_equal(weights(stopped), weights(straight))


# ---- precision and waiting -----------------------------------------------------------------------


def test_in_half_precision_the_meta_step_sees_the_weights_that_the_base_step_made(
    people, quick, monkeypatch
):
    """Autocast's cache of cast weights would be stale after a step within its context."""
    config = replace(quick, precision="bf16", warmup=0.0, lr=1.0)
    expected = next(train(Run(config, people, "cpu"))).losses
    step = metabin.train.base_step

    def clearing(*arguments):
        losses = step(*arguments)
        torch.clear_autocast_cache()
        return losses

    monkeypatch.setattr(metabin.train, "base_step", clearing)
    assert_equal(next(train(Run(config, people, "cpu"))).losses, expected)


class HostReads(TorchDispatchMode):
    """Notes every operation that the host waits for; integers are the sampler's, on the host."""

    def __enter__(self):
        self.names = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, waits = func.overloadpacket.__name__, False
        if name in ("_local_scalar_dense", "equal", "nonzero", "masked_select"):
            waits = args[0].is_floating_point()
        elif name in ("index", "index_put_"):
            waits = any(t is not None and t.dtype == torch.bool for t in args[1])
        self.names += [name] if waits else []
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", ["bn", "bin", "bin_mldg", "metabin"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_iteration_asks_for_no_value_until_the_caller_does(people, quick, method, precision):
    run = Run(replace(quick, **METHODS[method], precision=precision), people)
    with HostReads() as reads:
        step = steps(run, 2)[-1]
        assert reads.names == []
        assert step.losses["base/id"].item() > 0
        assert reads.names == ["_local_scalar_dense"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a device that one could wait for")
def test_the_loop_never_waits_for_the_device(people, quick):
    run = Run(quick, people)
    steps(run, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps(run, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
