"""The pictures that open lessons: drawn from formulas, hand-sized data, or a lesson's network."""

from collections.abc import Callable
from dataclasses import replace

import torch
from matplotlib import pyplot as plt

from metabin.analysis.readings import restyle
from metabin.analysis.toy import toy_step
from metabin.config import Config
from metabin.experiments import at_home, lesson_streets, load_network, read_results
from metabin.plotting import data, gradients, layers, losses, meta, retrieval, rho, worlds
from metabin.plotting.history import draw_schedule
from metabin.plotting.people import draw_people
from metabin.plotting.speed import draw_speed
from metabin.streets import make_streets

STREETS = {}, {"gamma": 0.3}, {"gain_red": 0.4}  # the styles of three_streets.svg


def speed() -> plt.Figure:
    """figures/speed.svg, of figures/results/bench.json."""
    training = read_results("bench")["training"]
    return draw_speed(training["rows"][0], training["limits"])


def rank_list() -> plt.Figure:
    """figures/rank_list.svg: what a network with BN finds on its own and on unseen streets."""
    task = lesson_streets()
    streets = {
        "streets it was\ntrained on": at_home(task).target_set(),
        "streets it\nnever saw": task.target_set(),
    }
    return retrieval.draw_teaser(load_network("bn"), streets)


def three_streets() -> plt.Figure:
    """figures/three_streets.svg: two people of lesson 02, each by the cameras of three streets."""
    world = replace(lesson_streets().world, height=128, width=64, style=0)
    people = make_streets(world, [20], num_ids=2, images_per_camera=1).images[:3:2]
    seen = [restyle(people, 0, **style) for style in STREETS]  # (2, 3, H, W) on each street
    return worlds.draw_teaser([torch.stack(pictures) for pictures in zip(*seen, strict=True)])


def meta_question() -> plt.Figure:
    """figures/meta_question.svg: a meta-step of the toy before its answer, the outer move."""
    step = toy_step(0.6, inner_lr=0.5, outer_lr=0.0)
    return meta.draw_steps({"Which way should ρ move?": step})


PICTURES: dict[str, Callable[[], plt.Figure]] = {  # the name of a file in figures/
    "people": draw_people,
    "gradient_question": gradients.draw_teaser,
    "rank_list": rank_list,
    "layer": layers.draw_teaser,
    "losses": losses.draw_teaser,
    "meta_question": meta_question,
    "rho_question": rho.draw_teaser,
    "schedule": lambda: draw_schedule(Config()),
    "speed": speed,
    "splits": data.draw_teaser,
    "three_streets": three_streets,
}
