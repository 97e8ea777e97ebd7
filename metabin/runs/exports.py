"""How a room exports names without importing its files: `--help` must not wait for torch."""

from collections.abc import Callable, Mapping
from importlib import import_module


def exports(room: str, modules: Mapping[str, str]) -> tuple[Callable[[str], object], list[str]]:
    """`__getattr__` and `__all__` of a room: a module is imported when a name of it is first used.

    `modules`: module -> what the room exports of it, separated by spaces.
    """
    homes = {}
    for module, names in modules.items():
        homes |= dict.fromkeys(names.split(), module)

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, list(homes)
