"""The step sizes of a whole run."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from metabin.config import Config
from metabin.meta import cyclic_inner_lr
from metabin.plotting.style import INK
from metabin.train import learning_rate


def draw_schedule(config: Config, points: int = 1000) -> Figure:
    """figures/schedule.svg: the weights' step size and the inner step's, over a whole run."""
    done = [i / points for i in range(points)]
    swing = config.inner_lr_low, config.inner_lr_high, config.inner_cycle
    panels = {
        "α: how far the weights step": [learning_rate(config, t) for t in done],
        "β: how far ρ is pushed, virtually": [cyclic_inner_lr(t, *swing) for t in done],
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        axis.plot([100 * t for t in done], values, color=INK)
        axis.set(title=title, xlabel="% of the iterations", ylim=(0, None))
    axes[0].set_ylabel("step size")
    return figure
