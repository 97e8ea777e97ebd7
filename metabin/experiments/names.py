"""Names of the experiments and of their files of results; nothing that is slow to import."""

NAMES = (
    "worlds",
    "schedules",
    "tuning",
    "spine",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "figure2",
    "figure4",
    "figure6",
    "figure8",
    "figure9",
    "figure10",
    "question",
    "second_look",
    "history",
    "figure3",
    "figure5",
    "table6",
    "phase",
)


def results_name(experiment: str, profile: str) -> str:
    """The name of an experiment's file of results, without its ending."""
    return experiment if profile == "demo" else f"{experiment}-{profile}"
