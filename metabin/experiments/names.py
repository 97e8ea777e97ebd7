"""Names of the experiments and of their files of results; nothing that is slow to import."""

NAMES = tuple(
    "worlds tuning schedules table1 table2 table3 table4 table5 figure2 figure6 figure8 figure10"
    " question second_look figure4 figure9 push history figure3 figure5 table6 phase".split()
)
# always of finished trainings
OF_NO_PROFILE = "worlds schedules figure4 figure9 push history figure3 figure5".split()


def results_name(experiment: str, profile: str) -> str:
    """The name of an experiment's file of results, without its ending."""
    if profile == "demo" or experiment in OF_NO_PROFILE:
        return experiment
    return f"{experiment}-{profile}"
