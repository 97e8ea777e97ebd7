"""The figures that come from trainings of their own: curves, and rho in every layer."""

from metabin.experiments.rows import Experiment, Row
from metabin.experiments.tables import BIN, METABIN, SHARED, TABLE_2

SPLIT, IMAGES = "domains in meta-train, of 5", "images of a domain in the meta-step"
FIGURE_2 = Experiment(
    "Fig. 2: how the meta-step samples domains and images",
    (
        Row("1 + 4 domains", "metabin", {"meta_train_share": 0.2}, series=SPLIT, at=1),
        Row("2 + 3 domains", "metabin", {"meta_train_share": 0.4}, series=SPLIT, at=2),
        Row("3 + 2 domains", "metabin", series=SPLIT, at=3),
        Row("4 + 1 domains", "metabin", {"meta_train_share": 0.8}, series=SPLIT, at=4),
        Row("8 images", "metabin", {"meta_ids_per_domain": 2}, series=IMAGES, at=8),
        Row("16 images", "metabin", series=IMAGES, at=16),
        Row("32 images", "metabin", {"meta_ids_per_domain": 8}, series=IMAGES, at=32),
    ),
    claims=tuple(("3 + 2 domains", f"{n} + {5 - n} domains") for n in (1, 2, 4))
    + (("16 images", "8 images"),),
    seeds=3,
)


def _weighted(loss: str, weight: float) -> Row:
    formula = " + ".join(
        f"{weight if part == loss else 1:g} {part}" for part in ("scatter", "shuffle", "triplet")
    )
    return Row(
        f"{weight:g} {loss}",
        "metabin",
        {} if weight == 1 else {"meta_train": formula},
        series=loss,
        at=weight,
    )


FIGURE_6 = Experiment(
    "Fig. 6: weights of the meta-train losses",
    tuple(
        _weighted(loss, weight)
        for loss in ("scatter", "shuffle", "triplet")
        for weight in (0, 0.5, 1, 2)
    ),
    claims=tuple(
        (f"1 {loss}", f"{w:g} {loss}")
        for loss in ("scatter", "shuffle", "triplet")
        for w in (0, 0.5, 2)
    ),
    seeds=3,
    axis="weight of the loss",
)

FIGURE_8 = Experiment(
    "Fig. 8: period of the inner step",
    tuple(
        Row(
            f"period {p:g}",
            "metabin",
            {} if p == 0.05 else {"inner_cycle": p},
            at=p,
            series="MetaBIN",
        )
        for p in (0.02, 0.05, 0.1, 0.25, 1.0)
    ),
    claims=tuple(("period 0.05", f"period {p:g}") for p in (0.02, 0.1, 0.25, 1.0)),
    seeds=3,
    axis="period, as a share of the schedule",
)

FIGURE_9 = Experiment(
    "Fig. 9: outer step size and rho",
    tuple(
        Row(f"outer step x {s:g}", "metabin", outer=s, at=s, series="MetaBIN")
        for s in (0.04, 0.2, 1, 5)
    ),
    claims=(),
    seeds=3,
    axis="outer step size, as a multiple of the chosen",
    keeps_rho=True,
)

FIGURE_10 = Experiment(
    "Fig. 10: rho in other networks and from other training sets",
    (
        METABIN,
        Row("MobileNetV2 x1.0", "metabin", {"backbone": "mobilenetv2_x1_0"}),
        Row("ResNet-18", "metabin", {"backbone": "resnet18"}),
        TABLE_2.rows[-1],
    ),
    claims=(),
    seeds=2,
    keeps_rho=True,
)
FIGURE_4 = Experiment(
    "Fig. 4: rho in every layer", (SHARED, BIN, METABIN), claims=(), keeps_rho=True
)
