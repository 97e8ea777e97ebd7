"""Imports: arrows run one way between rooms, heavy packages stay where they belong."""

import subprocess
import sys

import house

from metabin.__main__ import COMMANDS

# What a room may use. A room that stands here is built of those above it.
MAY_USE = {
    "kernels": set(),
    "samplers": set(),
    "norm": {"kernels"},
    "losses": {"kernels"},
    "networks": {"kernels", "norm", "losses"},
    "config": {"kernels", "norm", "losses", "networks"},
    "data": {"kernels", "samplers", "config"},
    "datasets": {"data"},
    "streets": {"data"},
    "evaluate": {"data", "datasets"},
    "meta": {"kernels", "samplers", "norm", "losses", "networks", "config"},
}
# Above them, a room may use every room that is named before it.
TOWER = ["train", "presets", "runs", "analysis", "experiments", "plotting", "course", "__main__"]
for room in TOWER:
    MAY_USE[room] = set(MAY_USE)

COURSE, PLOTTING = "metabin.course", "metabin.plotting"
ONLY_IN = {  # third-party package: rooms that may import it
    "IPython": (COURSE,),
    "ipywidgets": (COURSE,),
    "matplotlib_inline": (COURSE,),
    "matplotlib": (COURSE, PLOTTING),
    "seaborn": (COURSE, PLOTTING),
    "papermill": (COURSE,),
    "nbformat": (COURSE,),
    "nbconvert": (COURSE,),
}
SOURCES = house.read_package()
USES = house.module_uses(SOURCES)


def test_a_room_uses_only_the_rooms_below_it():
    forbidden = []
    for module, others in USES.items():
        room = house.room_of(module)
        for other in others - {"metabin"}:
            if room and house.room_of(other) not in MAY_USE[room] | {room}:
                forbidden.append(f"{module} imports {other}")
    assert not forbidden, "\n".join(forbidden)


def test_neither_files_nor_rooms_use_each_other_in_a_circle():
    assert not house.in_circles(USES)
    assert not house.in_circles(house.room_uses(USES))


def test_packages_for_drawing_and_for_notebooks_stay_where_they_belong():
    strangers = []
    for module, source in SOURCES.items():
        for name in house.imported_names(source):
            package = name.partition(".")[0]
            if not module.startswith(ONLY_IN.get(package, "")):
                strangers.append(f"{module} imports {package}")
    assert not strangers, "\n".join(strangers)


def test_at_most_nine_files_and_eleven_folders_stand_at_the_top():
    files, folders = house.top_of_package()
    assert len(files) <= 9, files
    assert len(folders) <= 11, folders


def test_the_only_command_of_the_package_is_its_door():
    commands = [module for module, source in SOURCES.items() if "if __name__ ==" in source]
    assert commands == ["metabin.__main__"]


def test_no_torch_is_loaded_before_a_command_needs_it():
    modules = [module for module, _ in COMMANDS.values()]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_an_import_and_a_circle_are_seen_wherever_they_stand():
    sources = {
        "metabin.a": "def f():\n    from metabin.b import g",
        "metabin.b": "if __name__ == '__main__':\n    import metabin.c.d",
        "metabin.c.d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import metabin.a",
        "metabin.e": "import os\nfrom metabin import a",
    }
    uses = house.module_uses(sources)
    assert uses["metabin.a"] == {"metabin.b"} and uses["metabin.e"] == {"metabin.a"}
    assert house.in_circles(uses) == {"metabin.a", "metabin.b", "metabin.c.d"}
    assert house.in_circles(house.room_uses(uses)) == {"a", "b", "c"}
