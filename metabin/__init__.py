"""MetaBIN: meta batch-instance normalization for person re-identification (CVPR 2021).

The paper is these files; read them in this order:

    norm        the layer, Eq. 1
    losses      Eq. 2-4 and 6-8, a function each
    samplers    batches, PK sampling, the split of domains
    meta        the base step, the inner step, the meta step: Eq. 5, 9, 10
    train       a run and the loop of Algorithm 1
    config      Section 4.1 as one dataclass, the methods, the profiles
    presets     what the paper leaves open, and what the released code does

Rooms behind it:

    kernels     fast twins of what stands readable above
    networks    normalizations, backbones, the Re-ID model
    data        person images in memory, augmentation, mini-batches
    datasets    readers of real data sets, the doctor, splits, protocols
    streets     people and cameras that we draw
    evaluate    retrieval, reports under a protocol, intervals
    runs        checkpoints, progress, several processes, commands
    analysis    numbers about networks and rho, by lesson
    experiments every table and figure as a declaration
    plotting    one draw_* function per figure
    course      lessons, pages, slides, the paper map

Commands: `python -m metabin`. What is used most can be imported from here. The functions `train`
and `evaluate` are named as their modules: `from metabin.train import Run, train`.
"""

from importlib import import_module

_EXPORTS = {
    "metabin.norm": ["BatchInstanceNorm2d", "balancing_parameters", "frozen_running_stats"],
    "metabin.losses": ["Criterion", "id_loss", "triplet_loss", "scatter_loss", "shuffle_loss"],
    "metabin.samplers": ["Batch", "PKSampler", "split_domains"],
    "metabin.meta": ["base_step", "inner_step", "meta_step", "cyclic_inner_lr"],
    "metabin.config": ["Config", "METHODS", "demo"],
    "metabin.presets": ["preset"],
    "metabin.train": ["Run"],
    "metabin.evaluate.retrieval": ["Retrieval", "retrieval"],
    "metabin.streets": ["World", "make_streets", "query_gallery"],
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Import a name's module when the name is first used: `import metabin` takes no time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metabin' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
