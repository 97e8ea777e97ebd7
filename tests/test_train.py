"""The configuration, a run's state and the loop of Algorithm 1."""

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
from metabin.data.batches import join
from metabin.data.images import ImageSet
from metabin.norm import balancing_parameters
from metabin.train import Run, learning_rate, meta_update, train

BASE = {"base/id", "base/triplet"}
META = {"meta_train/scatter", "meta_train/shuffle", "meta_train/triplet", "meta_test/triplet"}


def weights(run: Run) -> dict[str, torch.Tensor]:
    """A copy of every parameter and buffer."""
    return {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}


def steps(run: Run, n: int) -> list:
    return list(itertools.islice(train(run), n))


def assert_equal(one: dict, other: dict):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def rho_values(run: Run) -> torch.Tensor:
    return torch.cat([r.detach() for r in balancing_parameters(run.model).values()])


# --- the schedule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "expected"),
    # 0.1x at the start, half-way to 1x at 5 of 100 epochs, 1x from 10 on, 0.1x from 40, 0.01x from 70
    [
        (0, 0.001),
        (0.05, 0.0055),
        (0.1, 0.01),
        (0.3999, 0.01),
        (0.4, 0.001),
        (0.6999, 0.001),
        (0.7, 1e-4),
        (0.999, 1e-4),
    ],
)
def test_the_papers_learning_rate_by_hand(progress, expected):
    assert learning_rate(Config(), progress) == pytest.approx(expected)


def test_without_a_warm_up_the_learning_rate_starts_at_the_top():
    assert learning_rate(Config(warmup=0.0), 0.0) == 0.01


def test_milestones_fall_on_the_iteration_that_they_name():
    config = demo(iterations=400)
    rates = [learning_rate(config, i / 400) for i in range(400)]
    assert [i for i in range(41, 400) if rates[i] != rates[i - 1]] == [160, 280]


# --- a run ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norms_too", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_weights_decay_and_norms_do_only_when_told_and_rho_never(people, quick, method, norms_too):
    scales = dict(weight_decay=0.1, joint_rho_scale=3.0, bias_lr_scale=2.0, decay_norms=norms_too)
    run = Run(replace(quick, **METHODS[method], **scales), people)
    name_of = {p: name for name, p in run.model.named_parameters()}
    settings = {}  # parameter name -> (weight decay, scale of the step size)
    for group in run.optimizer.param_groups:
        for p in group["params"]:
            assert name_of[p] not in settings
            settings[name_of[p]] = group["weight_decay"], group["scale"]
    expected = {}
    for path, module in run.model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            decay = (
                0.1
                if isinstance(module, nn.Conv2d | nn.Linear) or (norms_too and name != "rho")
                else 0
            )
            expected[f"{path}.{name}"] = (
                decay,
                {"rho": 3.0, "bias": 2.0, "in_bias": 2.0}.get(name, 1.0),
            )
    learned_by_meta_step = run.config.algorithm == "metabin"
    left_out = {
        n for n in expected if n == "neck.bias" or (n.endswith(".rho") and learned_by_meta_step)
    }
    assert settings == {n: value for n, value in expected.items() if n not in left_out}


def test_a_batch_is_one_mini_batch_per_domain_whose_images_belong_to_its_labels(quick):
    people = make_people()
    people.images.copy_(
        people.pids[:, None, None, None] * 7 + 10
    )  # every picture shows its identity as one grey
    run = Run(quick, people)
    batches = run.base_batches.draw()
    assert [b.domains.unique().tolist() for b in batches] == [[0], [1], [2], [3]]
    for batch in batches:
        assert batch.images.shape == (4, 3, 32, 16) and batch.pids.bincount().max() == 2
        grey = normalize(
            (batch.pids * 7 + 10).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 30, 14)
        )
        torch.testing.assert_close(
            batch.images[:, :, 1:-1, 1:-1], grey
        )  # a shift of one pixel reaches no further
        assert (batch.images[:, :, 0] < grey[:, :, 0, :1]).any()  # but brings in some black
    joined = join(batches)
    assert (
        torch.equal(joined.pids, torch.cat([b.pids for b in batches]))
        and joined.images.shape[0] == 16
    )


def test_identities_that_are_not_numbered_from_zero_are_refused_with_the_way_out(people, quick):
    with pytest.raises(ValueError, match="relabel"):
        Run(quick, people[people.pids % 2 == 1])


def test_a_single_domain_cannot_be_split_for_the_meta_step_but_can_train_jointly(quick):
    alone = make_people(num_domains=1)
    with pytest.raises(ValueError, match="a domain on each side.*cameras_as_domains"):
        Run(quick, alone)
    (step,) = steps(Run(replace(quick, algorithm="joint"), alone), 1)
    assert all(loss.isfinite() for loss in step.losses.values())


def test_a_run_neither_reads_nor_moves_the_global_random_state(people, quick, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    finals = []
    for seed in (1, 2):
        torch.default_generator.manual_seed(seed)
        before = torch.get_rng_state()
        run = Run(quick, people, "cpu")
        steps(run, 1)
        assert torch.equal(torch.get_rng_state(), before)
        finals.append(weights(run))
    assert_equal(*finals)
    assert seeded == []  # no graphics card's either


def test_a_run_does_not_change_the_images_it_is_given(quick):
    people, untouched = make_people(), make_people()
    steps(Run(quick, people), 1)
    assert all(torch.equal(t, untouched.tensors()[name]) for name, t in people.tensors().items())


# --- the loop ------------------------------------------------------------------------------------------------------


MLDG = {f"{phase}/{name}" for phase in ("meta_train", "meta_test") for name in ("id", "triplet")}
PARTS = {"metabin": BASE | META, "one_episode": BASE | META, "joint": BASE, "mldg": BASE | MLDG}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_by_one_argument_and_says_its_losses(people, quick, method):
    run = Run(replace(quick, **METHODS[method]), people)
    start = rho_values(run) if "bin" in run.config.norm else None
    for step in steps(run, 2):
        assert set(step.losses) == PARTS[run.config.algorithm]
        for loss in step.losses.values():  # tensors, not floats: nobody waited for the device
            assert (
                isinstance(loss, torch.Tensor)
                and loss.shape == ()
                and not loss.requires_grad
                and loss.isfinite()
            )
    if start is not None:
        moved = rho_values(run)
        assert not torch.equal(moved, start) and moved.min() >= 0 and moved.max() <= 1


def test_algorithm_1_without_a_rho_to_move_is_refused_with_the_way_out(people, quick):
    with pytest.raises(ValueError, match='norm="bin", or algorithm="joint"'):
        Run(replace(quick, norm="ibn"), people)


def test_the_first_meta_step_may_come_later(people, quick):
    run = Run(replace(quick, meta_start=2), people)
    told = [set(step.losses) for step in train(run)]
    assert told == [BASE] * 2 + [BASE | META] * 4


def test_a_pooled_batch_is_as_large_and_leaves_domains_out(people, quick):
    run = Run(replace(quick, base_sampling="pooled"), people)
    drawn = [run.base_batches.draw() for _ in range(20)]
    assert {len(parts) for parts in drawn} == {1} and {len(parts[0].pids) for parts in drawn} == {
        16
    }
    assert min(len(parts[0].domains.unique()) for parts in drawn) < 4
    assert {tuple(b.domains.unique().tolist()) for b in run.meta_batches.draw()} == {
        (0,),
        (1,),
        (2,),
        (3,),
    }


def test_the_losses_fall_on_people_who_are_easy_to_tell_apart(people, quick):
    run = Run(replace(quick, iterations=30, warmup=0.0), people)
    losses = torch.stack(
        [step.losses["base/id"] + step.losses["base/triplet"] for step in train(run)]
    )
    assert losses[-5:].mean() < 0.8 * losses[:3].mean()


def test_the_schedule_is_what_the_steps_tell_and_the_optimizer_gets(people, quick):
    run = Run(replace(quick, algorithm="joint", joint_rho_scale=10.0), people)
    seen = []
    for step in train(run):
        seen.append(step.iteration)
        progress = (step.iteration - 1) / quick.iterations
        assert step.lr == learning_rate(quick, progress)
        assert step.inner_lr == metabin.train.cyclic_inner_lr(progress, 0.001, 0.1, 0.05)
        assert {g["lr"] for g in run.optimizer.param_groups} == {step.lr, 10 * step.lr}
    assert seen == [1, 2, 3, 4, 5, 6] and list(train(run)) == []


def test_the_meta_phases_split_the_domains_of_another_mini_batch(people, quick, monkeypatch):
    seen = []
    base, meta = metabin.train.base_step, metabin.train.meta_step
    monkeypatch.setattr(
        metabin.train, "base_step", lambda m, o, *a: seen.append(a) or base(m, o, *a)
    )
    monkeypatch.setattr(
        metabin.train, "meta_step", lambda m, *a, **k: seen.append((*a, k)) or meta(m, *a, **k)
    )
    config, splits = (
        replace(quick, meta_train_share=0.75, label_smoothing=0.2, margin=0.4, outer_lr=0.7),
        set(),
    )
    for step in train(Run(replace(config, iterations=10), people)):
        (batch, loss, *_), (meta_train, meta_test, *step_sizes, options) = seen[-2:]
        assert batch.domains.bincount().tolist() == [4, 4, 4, 4]
        in_train, in_test = (set(b.domains.tolist()) for b in (meta_train, meta_test))
        assert len(in_train) == 3 and in_train | in_test == {0, 1, 2, 3} and not in_train & in_test
        assert not torch.equal(join([meta_train, meta_test]).pids.sort()[0], batch.pids.sort()[0])
        assert (loss.formula, loss.label_smoothing, loss.margin) == ("id + triplet", 0.2, 0.4)
        assert [c.formula for c in options["criteria"]] == [
            "scatter + shuffle + triplet",
            "triplet",
        ]
        assert {c.margin for c in options["criteria"]} == {0.4} and step_sizes == [
            step.inner_lr,
            0.7,
        ]
        splits.add(tuple(in_train))
    assert len(seen) == 20 and len(splits) > 2


@pytest.mark.parametrize("method", ["metabin", "one_episode"])
def test_the_meta_update_alone_moves_what_its_algorithm_moves(people, quick, method):
    run = Run(replace(quick, **METHODS[method]), people, "cpu")
    steps(run, 1)  # after which rho has left 1, so that the IN pairs have gradients
    with changes_only(run.model, "*.rho" if method == "metabin" else "*") as changed:
        losses = meta_update(run, inner_lr=0.1)
    assert ("classifier.weight" in changed) == (method == "one_episode")
    assert any(name.endswith("rho") for name in changed) and META <= set(losses)


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(people, quick):
    one, same, other = (Run(replace(quick, seed=seed), people, "cpu") for seed in (0, 0, 1))
    for run in (one, same, other):
        steps(run, 3)
    assert_equal(weights(one), weights(same))
    streams = [
        state
        for run in (one, other)
        for part in ("base_batches", "meta_batches")
        for state in run.state_dict()[part]
    ]
    assert all(
        not torch.equal(a, b) for a, b in itertools.combinations(streams, 2) if a.shape == b.shape
    )
    changed = [name for name, w in weights(one).items() if not torch.equal(w, weights(other)[name])]
    assert {name for name, p in one.model.named_parameters() if p.dim() > 1} <= set(changed)


def test_with_the_same_seed_every_method_sees_the_same_base_batches(people, quick):
    runs = [Run(replace(quick, **METHODS[method]), people, "cpu") for method in ("bn", "metabin")]
    for run in runs:
        steps(run, 2)
    plain, meta = (join(run.base_batches.draw()) for run in runs)
    assert torch.equal(plain.images, meta.images) and torch.equal(plain.pids, meta.pids)


def test_a_run_that_was_stopped_goes_on_where_it_stands(people, quick):
    straight, stopped = (Run(quick, people, "cpu") for _ in range(2))
    steps(straight, 4)
    assert [step.iteration for step in steps(stopped, 2) + steps(stopped, 2)] == [1, 2, 3, 4]
    assert_equal(weights(stopped), weights(straight))


def test_looking_at_the_model_between_steps_does_not_change_the_run(people, quick):
    undisturbed, looked_at = (Run(quick, people, "cpu") for _ in range(2))
    steps(undisturbed, 3)
    for step in itertools.islice(train(looked_at), 3):
        looked_at.model.eval()
        looked_at.model.embed(normalize(people.images[:8]))
        sum(loss.item() for loss in step.losses.values())
    assert_equal(weights(looked_at), weights(undisturbed))


def test_joint_training_moves_rho_with_its_own_step_size_and_keeps_it_in_range(people, quick):
    moves = []
    for scale in (0.0, 1.0, 1e4):
        run = Run(replace(quick, algorithm="joint", joint_rho_scale=scale), people, "cpu")
        steps(run, 1)
        moves.append((1 - rho_values(run)).max().item())
    none, small, large = moves
    assert none == 0 and 0 < small < 0.1 and large == 1


def test_in_half_precision_the_meta_step_sees_the_weights_that_the_base_step_made(
    people, quick, monkeypatch
):
    """Autocast caches the cast weights until its outermost context ends; a step in between makes them stale."""
    config = replace(quick, precision="bf16", warmup=0.0, lr=1.0)
    first = next(train(Run(config, people, "cpu"))).losses
    base = metabin.train.base_step
    monkeypatch.setattr(
        metabin.train, "base_step", lambda *a: (base(*a), torch.clear_autocast_cache())[0]
    )
    fresh = next(train(Run(config, people, "cpu"))).losses
    assert_equal(first, fresh)


def test_half_precision_follows_full_precision(people, quick):
    full, half = (
        next(train(Run(replace(quick, precision=p), people))).losses for p in ("fp32", "bf16")
    )
    for name in full:
        assert half[name].dtype == torch.float32
        assert half[name].item() == pytest.approx(full[name].item(), rel=0.1, abs=0.05)


def test_domain_numbers_may_have_gaps(people, quick):
    part = people[people.domains != 1]
    part = ImageSet(
        part.images, part.pids.unique(return_inverse=True)[1], part.camids, part.domains, part.names
    )
    assert [b.domains[0].item() for b in Run(quick, part).base_batches.draw()] == [0, 2, 3]
    steps(Run(quick, part), 1)


class HostReads(TorchDispatchMode):
    """Notes every operation whose answer the host has to wait for; integers are the sampler's, which lives on the host."""

    def __enter__(self):
        self.seen = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        asks = (
            name in ("_local_scalar_dense", "equal", "nonzero", "masked_select")
            and args[0].is_floating_point()
        )
        by_mask = name in ("index", "index_put_") and any(
            t is not None and t.dtype == torch.bool for t in args[1]
        )
        self.seen += [name] if asks or by_mask else []
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "mode", [METHODS["bn"], METHODS["bin"], METHODS["bin_mldg"], dict(), dict(precision="bf16")]
)
def test_an_iteration_asks_for_no_value_until_the_caller_does(people, quick, mode):
    run = Run(replace(quick, **mode), people)
    with HostReads() as reads:
        step = steps(run, 2)[-1]
        assert reads.seen == []
        assert step.losses["base/id"].item() > 0
        assert reads.seen == ["_local_scalar_dense"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a device that one could wait for")
def test_the_loop_never_waits_for_the_device(people, quick):
    run = Run(quick, people)
    steps(run, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps(run, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
