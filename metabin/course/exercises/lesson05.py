"""Exercises of lesson 05."""

from collections.abc import Callable

import torch

from metabin.analysis.toy import NO_IMAGES, Tiny, Toy, parabola, tiny_batch, toy_step
from metabin.course.answers import Exercise
from metabin.meta import MetaOptions, meta_step
from metabin.norm import balancing_parameters


def _toy_by_the_package(rho, *numbers) -> float:
    a, s, b, t, beta, gamma, order = numbers  # as in the lesson
    curves = parabola(lowest=s, curvature=a), parabola(lowest=t, curvature=b)
    return toy_step(rho, beta, gamma, order, curves).after


TOY_BY_HAND = Exercise(
    _toy_by_the_package,
    {
        "the lesson's": (0.6, 1.0, 0.2, 4.0, 0.5, 0.5, 0.25, 1),
        "second order": (0.6, 1.0, 0.2, 4.0, 0.5, 0.5, 0.25, 2),
        "a long push": (0.9, 2.0, 0.1, 1.0, 0.4, 0.8, 0.3, 2),
        "beyond the edge": (0.9, 1.0, 0.2, 4.0, 0.5, 1.5, 1.0, 1),
    },
    (
        "the slope of a parabola is its curvature times the distance from its lowest point",
        "from which ρ does the outer step start, and where may it end?",
        "in second order ρ′ depends on ρ: what is its derivative?",
    ),
)


def papers_step(extractor, meta_train, meta_test, inner_lr, outer_lr, order) -> None:
    """`meta_step` with a colleague's arguments."""
    meta_step(extractor, meta_train, meta_test, inner_lr, outer_lr, MetaOptions(order=order))


def after_one_step(step: Callable) -> Callable:
    """rho and the first layer's running mean of a Tiny after a step, by its sizes and order."""

    def measured(inner_lr, outer_lr, order):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            extractor = Tiny().extractor
        step(extractor, tiny_batch(2), tiny_batch(3), inner_lr, outer_lr, order)
        rho = torch.cat([r.detach() for r in balancing_parameters(extractor).values()])
        return {"rho": rho, "running mean": extractor[1].running_mean}

    return measured


MENDED_STEP = Exercise(
    after_one_step(papers_step),
    {
        "small β": (0.01, 0.1, 1),
        "large β": (5.0, 0.1, 1),
        "second order": (0.3, 0.1, 2),
        "large γ": (0.01, 2.0, 1),
    },
    (
        "which of the two passes may move running statistics?",
        "ρ′ may leave [0, 1]: what does a clamp's gradient do to it there?",
        "what does detach() leave of the second order?",
    ),
    measured=after_one_step,
)


_WAVES = (  # no parabolas this time: their curvature depends on rho
    lambda rho: (torch.sin(5 * rho) + rho**2).sum(),
    lambda rho: (torch.cos(4 * rho) + rho).sum(),
)


def _walked(step: Callable) -> Callable:
    """rho after some steps on the toy."""

    def measured(rho, steps, inner_lr, outer_lr, order):
        toy = Toy(rho)
        for _ in range(steps):
            step(toy, *_WAVES, inner_lr, outer_lr, order)
        return toy.rho.detach()

    return measured


def _step_of_the_package(toy, L_mtr, L_mte, inner_lr, outer_lr, order) -> None:
    options = MetaOptions(
        meta_train=lambda feature, logits, batch: (L_mtr(feature), {}),
        meta_test=lambda feature, logits, batch: (L_mte(feature), {}),
        order=order,
    )
    meta_step(toy, NO_IMAGES, NO_IMAGES, inner_lr, outer_lr, options)


STEP_FROM_MEMORY = Exercise(
    _walked(_step_of_the_package),
    {
        "five steps": (0.5, 5, 0.1, 0.05, 1),
        "second order": (0.5, 5, 0.1, 0.05, 2),
        "a long outer step": (0.7, 2, 0.1, 3.0, 1),
    },
    (
        "two gradients: at which ρ is each taken, and at which ρ is the second applied?",
        "torch.autograd.grad(loss, toy.rho, create_graph=…) keeps the way for the second order",
        "where may ρ not end?",
    ),
    measured=_walked,
)
