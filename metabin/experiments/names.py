"""Names of the experiments and of their files of results; nothing that is slow to import."""

NAMES = (
    "worlds",
    "tuning",
    "schedules",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "figure2",
    "figure6",
    "figure8",
    "figure10",
    "question",
    "second_look",
    "figure4",
    "figure9",
    "push",
    "history",
    "figure3",
    "figure5",
    "table6",
    "phase",
)

OF_NO_PROFILE = (  # always of finished trainings
    "worlds",
    "schedules",
    "figure4",
    "figure9",
    "push",
    "history",
    "figure3",
    "figure5",
)


def results_name(experiment: str, profile: str) -> str:
    """The name of an experiment's file of results, without its ending."""
    if profile == "demo" or experiment in OF_NO_PROFILE:
        return experiment
    return f"{experiment}-{profile}"
