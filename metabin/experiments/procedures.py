"""All experiments of `python -m metabin tables`: how each is run, printed and drawn."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from metabin.experiments import (
    costs,
    history,
    phase,
    pictures,
    schedules,
    tuning,
    worlds,
)
from metabin.experiments.declarations import (
    EXPERIMENTS,
    FINISHED_EXPERIMENTS,
    OF_FINISHED_TRAININGS,
    WORLDS,
)
from metabin.experiments.rows import Experiment
from metabin.experiments.runner import experiment_report, experiment_text


class Procedure(NamedTuple):
    """How an experiment is run, printed, and drawn by a function of `plotting`."""

    report: Callable[[int, int], dict]  # (seeds, jobs) -> report
    text: Callable[[dict], str]
    draw: str = ""
    seeds: int = 5


def procedures(profile: str = "demo") -> dict[str, Procedure]:
    """The experiments of a profile by name, in an order in which each finds what it builds on."""

    def here(report: Callable) -> Callable[[int, int], dict]:
        return partial(report, profile=profile)

    named = {
        "worlds": Procedure(worlds.worlds_report, worlds.worlds_text),
        "tuning": Procedure(here(tuning.tuning_report), tuning.tuning_text),
        "schedules": Procedure(
            schedules.schedules_report, schedules.schedules_text, "draw_schedules"
        ),
    }
    finished = profile == "finished"
    for name, experiment in (FINISHED_EXPERIMENTS if finished else EXPERIMENTS).items():
        named[name] = _declared(name, experiment, profile)
    for name, experiment in OF_FINISHED_TRAININGS.items():
        named[name] = _declared(name, experiment, "finished")
    named |= {
        "history": Procedure(history.history_report, history.history_text, "draw_history", WORLDS),
        "figure3": Procedure(pictures.figure3_report, pictures.figure3_text, "draw_figure3"),
        "figure5": Procedure(pictures.figure5_report, pictures.figure5_text, "draw_figure5"),
    }
    if finished:
        return named
    figure2 = here(costs.figure2_report)
    named["figure2"] = named["figure2"]._replace(report=figure2, text=costs.figure2_text)
    return named | {
        "table6": Procedure(here(costs.table6_report), costs.table6_text, seeds=3),
        "phase": Procedure(phase.phase_report, phase.phase_text, "draw_phase", seeds=3),
    }


def _declared(name: str, experiment: Experiment, profile: str) -> Procedure:
    report = partial(experiment_report, experiment, profile=profile)
    return Procedure(report, experiment_text, _drawing(name, experiment), experiment.seeds)


def _drawing(name: str, experiment: Experiment) -> str:
    if experiment.keeps_rho and name.startswith("figure"):
        return "draw_rho_layers"
    is_curve = any(row.at is not None for row in experiment.rows)
    return "draw_curves" if is_curve else "draw_table"


def chosen_procedures(experiment: str, profile: str) -> dict[str, Procedure]:
    """One experiment by its name, or "all". Raises ValueError for one that the profile lacks."""
    named = procedures(profile)
    if experiment == "all":
        return named
    if experiment not in named:
        names = ", ".join(named)
        raise ValueError(f"no {experiment} in profile {profile}: choose one of {names}")
    return {experiment: named[experiment]}
