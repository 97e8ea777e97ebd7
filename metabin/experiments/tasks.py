"""What the experiments train on and test on, and the settings that each method was given for it."""

from dataclasses import replace

from metabin.config import METHODS, PROFILES, Config
from metabin.experiments.results import read_results
from metabin.experiments.trials import Task, Trial
from metabin.streets import World

SPINE = ("bn", "in", "half", "bin", "metabin")
DEVELOPMENT = (1000, 1001)  # seeds of the worlds where settings are chosen
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


def same_streets(seed: int) -> Task:
    """Train and test on five streets alike, other people who differ in colour alone.

    IN should lose here.
    """
    world = World(seed=seed, style=0.3, camera_style=0.1, shape_identity=0.0)
    return Task(world, targets=(0, 1, 2, 3, 4))


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


def chosen(method: str) -> dict:
    """The settings chosen on the development worlds for a method, or for the one most like it."""
    return read_results("tuning")["chosen"][LIKE.get(method, method)]


def trial(method: str, task: Task, seed: int, profile: str = "demo", **changes) -> Trial:
    """One of METHODS with changed settings, on streets of the configuration's size.

    A method's name ends at a comma: "metabin, no inner step" stands in TUNED alone.
    """
    name = method.partition(",")[0]
    config = replace(Config(seed=seed), **PROFILES[profile] | METHODS[name] | changes)
    world = replace(task.world, height=config.size[0], width=config.size[1])
    task = replace(task, world=world)
    return Trial(method, config, task, oracle=name in ("bin", "metabin"))
