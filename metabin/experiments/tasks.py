"""What the experiments train on and test on, and the settings that each method was given for it."""

from dataclasses import replace

from metabin.config import METHODS, PROFILES, Config
from metabin.experiments.results import read_results
from metabin.experiments.trials import Task, Trial
from metabin.streets import World

SPINE = ("bn", "in", "half", "bin", "metabin")
DEVELOPMENT = (1000, 1001)  # seeds of the worlds where settings are chosen
FIRST = (
    1  # reported worlds have seeds 1, 2, 3, …: the streets were designed while looking at world 0
)
SETTINGS = {  # what is tried for a method: six each, the same budget
    "bn": [dict(lr=lr, weight_decay=decay) for lr in (0.02, 0.05, 0.1) for decay in (5e-4, 5e-3)],
    "bin": [
        dict(lr=lr, joint_rho_scale=scale) for lr in (0.05, 0.1) for scale in (10.0, 100.0, 1000.0)
    ],
    "metabin": [
        dict(lr=lr, outer_lr=outer, inner_lr_high=1.0)
        for lr in (0.05, 0.1)
        for outer in (5.0, 20.0, 50.0)
    ],
}
NO_INNER = {"inner_lr_low": 0.0, "inner_lr_high": 0.0}
SETTINGS |= {"in": SETTINGS["bn"], "half": SETTINGS["bn"], "metabin_source": SETTINGS["metabin"]}
SETTINGS |= {
    f"{m}, no inner step": [s | NO_INNER for s in SETTINGS[m]]
    for m in ("metabin", "metabin_source")
}
LIKE = {  # a method that was not tuned by itself takes the settings of the one that is most like it
    "ibn": "half", "dualnorm": "half", "switchable": "half", "bin_shared": "bin", "bn_mldg": "bn",
    "bin_mldg": "bin", "bin_shared_mldg": "bin", "one_episode": "bin", "metabin_shared": "metabin",
    "random_rho": "metabin",
}  # fmt: skip


def unseen_streets(seed: int) -> Task:
    """Train on five streets, look for people on six others."""
    return Task(World(seed=seed))


def same_streets(seed: int) -> Task:
    """Train and test on five streets alike, other people who differ in colour alone. IN should lose here."""
    world = World(seed=seed, style=0.3, camera_style=0.1, shape_identity=0.0)
    return Task(world, targets=(0, 1, 2, 3, 4))


def supervised(seed: int) -> Task:
    """Train and test on the same five streets, on other people (Table 5, "supervised")."""
    return Task(World(seed=seed), targets=(0, 1, 2, 3, 4))


def single_street(seed: int) -> Task:
    """Train on one street whose six cameras are the domains, look for people on six others (Table 2)."""
    return Task(World(seed=seed), sources=(0,), train_ids=200, cameras=6, by_camera=True)


def far_streets(seed: int) -> Task:
    """Train on five streets that differ little, look for people on six that differ much more."""
    return Task(World(seed=seed, style=0.6), target_style=1.6)


def development(seed: int) -> Task:
    """Leave one source street out: train on four, look for people on the fifth."""
    left_out = seed % 5
    sources = tuple(d for d in range(5) if d != left_out)
    return replace(unseen_streets(seed), sources=sources, targets=(left_out,))


def chosen(method: str) -> dict:
    """The settings chosen for a method on the development worlds, or those of the method that is most like it."""
    found = read_results("tuning")["chosen"]
    return found[LIKE.get(method, method)]


def trial(method: str, task: Task, seed: int, profile: str = "demo", **changes) -> Trial:
    """One of METHODS with changed settings. On a GPU the streets have the configuration's full size."""
    plain = method.partition(",")[
        0
    ]  # "metabin, no inner step" is a method of the settings' table alone
    config = replace(Config(seed=seed), **PROFILES[profile] | METHODS[plain] | changes)
    world = replace(task.world, height=config.size[0], width=config.size[1])
    return Trial(method, config, replace(task, world=world), oracle=plain in ("bin", "metabin"))
