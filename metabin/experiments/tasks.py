"""What the experiments train on and test on, and the settings that each method was given for it.

There are two sizes on streets. Profile "demo": 300 iterations, a training for each test. Profile
"finished": trainings that start from the studio's weights and are at their end, each of which is
tested on unseen streets, on far streets and at home.
"""

from collections.abc import Callable
from dataclasses import replace

from metabin.analysis.networks import network_file
from metabin.config import METHODS, PROFILES, Config
from metabin.experiments.results import read_results
from metabin.experiments.trials import NotRun, Task, Trial
from metabin.streets import World

SPINE = ("bn", "in", "half", "bin", "metabin")
DEVELOPMENT = (1000, 1001)  # seeds of the worlds where settings are chosen
DEVELOPMENT_WORLDS = (1000, 1001, 1002)  # the same for finished trainings, and for their world
FIRST = 1  # the first reported world: the streets were designed while looking at world 0


def _grid(name: str, values: tuple[float, ...], rates: tuple[float, ...], **fixed) -> list[dict]:
    """Settings with every learning rate of `rates` and every value of another option."""
    settings = []
    for lr in rates:
        settings += [{"lr": lr, name: value, **fixed} for value in values]
    return settings


# Settings that are tried for a method: six each, the same budget.
PLAIN = _grid("weight_decay", (5e-4, 5e-3), (0.02, 0.05, 0.1))
META = _grid("outer_lr", (5.0, 20.0, 50.0), (0.05, 0.1), inner_lr_high=1.0)
NO_INNER = {"inner_lr_low": 0.0, "inner_lr_high": 0.0}
META_WITHOUT_INNER = [setting | NO_INNER for setting in META]
TUNED = {
    "bn": PLAIN,
    "bin": _grid("joint_rho_scale", (10.0, 100.0, 1000.0), (0.05, 0.1)),
    "metabin": META,
    "in": PLAIN,
    "half": PLAIN,
    "metabin_source": META,
    "metabin, no inner step": META_WITHOUT_INNER,
    "metabin_source, no inner step": META_WITHOUT_INNER,
}
# Settings that are tried for finished trainings: eight for each method again. The last two of each
# were added where the best of the first six stood at an end of its range.
RATES = (0.02, 0.05)
DECAYS = [*PLAIN, {"lr": 0.01, "weight_decay": 5e-3}, {"lr": 0.2, "weight_decay": 5e-3}]
LARGER = [setting for setting in DECAYS if setting["lr"] > 0.01]  # its choice was at their end
LARGER += [{"lr": 0.4, "weight_decay": 5e-3}]
SCALES = _grid("joint_rho_scale", (10.0, 100.0, 1000.0), RATES)
SCALES += [{"lr": 0.05, "joint_rho_scale": 10_000.0}, {"lr": 0.1, "joint_rho_scale": 1000.0}]
INNER = {"inner_lr_high": 1.0}
FINISHED_META = _grid("outer_lr", (5.0, 20.0, 50.0), RATES, **INNER)
FINISHED_META += [{"lr": 0.02, "outer_lr": 150.0} | INNER, {"lr": 0.01, "outer_lr": 50.0} | INNER]
FINISHED_WITHOUT_INNER = [setting | NO_INNER for setting in FINISHED_META]
FINISHED_SETTINGS = {
    "bn": DECAYS,
    "in": DECAYS,
    "half": DECAYS,
    "bin": SCALES,
    "metabin": FINISHED_META,
    "ibn": DECAYS,
    "switchable": DECAYS,
    "dualnorm": DECAYS,
    "bin, the weights' step": LARGER,
    "bin_shared": DECAYS,
    "bn, colour jitter": _grid("colour_jitter", (0.2, 0.4, 0.6, 0.8), RATES),
    "bn, MixStyle": _grid("mixstyle", (0.25, 0.5, 0.75, 1.0), RATES),
    "metabin_source": FINISHED_META,
    "metabin, no inner step": FINISHED_WITHOUT_INNER,
    "metabin_source, no inner step": FINISHED_WITHOUT_INNER,
}
LIKE = {  # a method that was not tuned takes the settings of the one that is most like it
    "ibn": "half",
    "dualnorm": "half",
    "switchable": "half",
    "bin_shared": "bin",
    "bn_mldg": "bn",
    "bin_mldg": "bin",
    "bin_shared_mldg": "bin",
    "one_episode": "bin",
    "metabin_shared": "metabin",
    "random_rho": "metabin",
}


def unseen_streets(seed: int) -> Task:
    """Train on five streets, look for people on six others."""
    return Task(World(seed=seed))


def supervised(seed: int) -> Task:
    """Train and test on the same five streets, on other people (Table 5, "supervised")."""
    return Task(World(seed=seed), targets=(0, 1, 2, 3, 4))


def single_street(seed: int) -> Task:
    """Train on one street whose six cameras are the domains, test on six others (Table 2)."""
    return Task(World(seed=seed), sources=(0,), train_ids=200, cameras=6, by_camera=True)


def far_streets(seed: int) -> Task:
    """Train on five streets that differ little, look for people on six that differ much more."""
    return Task(World(seed=seed, style=0.6), target_style=1.6)


def development(seed: int) -> Task:
    """Leave one source street out: train on four, look for people on the fifth."""
    left_out = seed % 5
    sources = tuple(street for street in range(5) if street != left_out)
    return replace(unseen_streets(seed), sources=sources, targets=(left_out,))


# ---- finished trainings --------------------------------------------------------------

# What finished trainings start from, as the paper's start from ImageNet's weights: BN, trained on
# people in front of two neutral cameras, in a world where nothing else is trained or tested.
STUDIO = Task(World(seed=1900, style=0.0), sources=(0,), targets=(0,), train_ids=1500)
STUDIO_WEIGHTS = network_file("studio")
STUDIO_TRAINING = {
    "iterations": 2500,  # 17 passes over 12,000 pictures
    "ids_per_domain": 20,
    "lr": 0.1,
    "milestones": (0.7, 0.9),
    "weight_decay": 5e-3,
}
FINISHED = {  # chosen for BN on a development world
    "weights": str(STUDIO_WEIGHTS),
    "iterations": 300,  # 15 passes over the pictures: "schedules" shows that it is enough
    "lr": 0.05,
    "milestones": (0.7, 0.9),
}
PEOPLE = 40  # on each source street: 1,600 pictures, 20 iterations a pass
UNSEEN, FAR = 1.0, 1.6  # styles of unseen and of far streets; those trained on differ less
TESTS = {unseen_streets: "unseen", far_streets: "far", supervised: "home"}


def finished_streets(seed: int, **world) -> Task:
    """Five streets with few people, in the world that "worlds" chose or in one that is given."""
    world = world or read_results("worlds")["chosen"]
    return Task(World(seed=seed, **world), train_ids=PEOPLE, target_style=UNSEEN)


def far_away(task: Task) -> Task:
    """The same training, tested on unseen streets whose styles differ most."""
    return replace(task, target_style=FAR)


def at_home(task: Task) -> Task:
    """The same training, tested on other people of its own streets."""
    return replace(task, targets=task.sources, target_style=None)


def further_tests(task: Task) -> tuple[tuple[str, Task], ...]:
    """What a finished training is tested on beside unseen streets."""
    return ("far", far_away(task)), ("home", at_home(task))


def task_and_test(task: Callable[[int], Task], seed: int, profile: str) -> tuple[Task, str]:
    """The streets of a row, and the name of its test among those of a finished training."""
    if profile == "finished" and task in TESTS:
        return finished_streets(seed), TESTS[task]
    return task(seed), "unseen"


# ---- settings and trials -------------------------------------------------------------


def chosen(method: str, profile: str = "demo") -> dict:
    """The settings chosen on the development worlds for a method, or for the one most like it.

    Raises NotRun where neither was tuned.
    """
    tuned = read_results("tuning", profile)["chosen"]
    for name in (method, LIKE.get(method)):
        if name in tuned:
            return tuned[name]
    command = f"make tables EXPERIMENT=tuning PROFILE={profile}"
    raise NotRun(f"no settings of {method} in profile {profile}: run `{command}` first")


def trial(method: str, task: Task, seed: int, profile: str = "demo", **changes) -> Trial:
    """One of METHODS with changed settings, on streets of the configuration's size.

    A method's name ends at a comma: "metabin, no inner step" stands in TUNED alone.
    """
    name = method.partition(",")[0]
    finished = profile == "finished"
    size = PROFILES["demo"] | FINISHED if finished else PROFILES[profile]
    config = replace(Config(seed=seed), **size | METHODS[name] | changes)
    world = replace(task.world, height=config.size[0], width=config.size[1])
    task = replace(task, world=world)
    if finished:
        return Trial(method, config, task, also=further_tests(task))
    return Trial(method, config, task, oracle=name in ("bin", "metabin"))


def lesson_trial(method: str) -> Trial:
    """The finished training, in the first reported world, whose network the lessons read."""
    return trial(method, lesson_streets(), FIRST, "finished", **chosen(method, "finished"))


def lesson_streets() -> Task:
    """The streets that the lessons' networks were trained on, and six that they never saw."""
    return finished_streets(FIRST)
