"""Fast twins of what stands readable elsewhere in the package, each tested equal to its twin."""
