"""Figures 3 and 5, from the lessons' networks: features in the plane, and the directions of the inner gradients."""

from metabin.analysis import embedding_study, gradient_study
from metabin.experiments.checkpoints import MOMENTS, load_network
from metabin.experiments.tasks import FIRST, unseen_streets


def figure3(seeds: int, jobs: int) -> dict:
    """What t-SNE shows of four networks on unseen streets, from `seeds` starts, and the numbers that it stands for."""
    networks = {
        m: {at: load_network(m, at) for at in (*MOMENTS, 100)}
        for m in ("bn", "in", "bin", "metabin")
    }
    report = embedding_study.study(
        networks, unseen_streets(FIRST).target_set(), starts=seeds, jobs=jobs
    )
    closer = {
        pair: rows["ratio"]
        for pair, rows in report["paired"].items()
        if pair.endswith(" - metabin")
    }
    shown = sum(low > 0 for _, low, _ in closer.values())
    state = "yes" if shown == len(closer) else "partly" if shown else "no"
    told = f"{state}: own pictures nearer than others' in MetaBIN than in {shown} of {len(closer)} networks (one training)"
    return {"verdict": told} | report


def figure5(seeds: int, jobs: int) -> dict:
    """Which way each meta-train loss pushes rho in every layer, at four moments, against the signs that the paper names."""
    report = gradient_study.figure5(seeds, jobs)
    right = {
        loss: [
            gradient_study.signs(moment["layers"][loss]).count(sign)
            for moment in report["moments"].values()
        ]
        for loss, sign in gradient_study.CLAIMS.items()
    }
    layers = len(next(iter(report["moments"].values()))["layers"]["triplet"])
    told = ", ".join(f"{loss} {sum(counts)}" for loss, counts in right.items())
    asked = layers * len(report["moments"])
    state = (
        "yes"
        if min(map(sum, right.values())) == asked
        else "partly"
        if any(map(sum, right.values()))
        else "no"
    )
    return {
        "verdict": f"{state}: the paper's sign, of {asked} layers at four moments: {told}"
    } | report
