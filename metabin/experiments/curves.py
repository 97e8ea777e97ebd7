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
    claims=(
        ("3 + 2 domains", "1 + 4 domains"),
        ("3 + 2 domains", "2 + 3 domains"),
        ("3 + 2 domains", "4 + 1 domains"),
        ("16 images", "8 images"),
    ),
    seeds=3,
)


def _weighted(loss: str, weight: float) -> Row:
    """MetaBIN with another weight of one meta-train loss; weight 1 is MetaBIN itself."""
    weights = {"scatter": 1, "shuffle": 1, "triplet": 1, loss: weight}
    formula = " + ".join(f"{value:g} {name}" for name, value in weights.items())
    changes = {} if weight == 1 else {"meta_train": formula}
    return Row(f"{weight:g} {loss}", "metabin", changes, series=loss, at=weight)


def _figure_6() -> Experiment:
    rows, claims = [], []
    for loss in ("scatter", "shuffle", "triplet"):
        for weight in (0, 0.5, 1, 2):
            rows.append(_weighted(loss, weight))
            if weight != 1:
                claims.append((f"1 {loss}", f"{weight:g} {loss}"))
    title, axis = "Fig. 6: weights of the meta-train losses", "weight of the loss"
    return Experiment(title, tuple(rows), tuple(claims), seeds=3, axis=axis)


def _period(share: float) -> Row:
    changes = {} if share == 0.05 else {"inner_cycle": share}
    return Row(f"period {share:g}", "metabin", changes, at=share, series="MetaBIN")


FIGURE_6 = _figure_6()
OTHER_PERIODS = (0.02, 0.1, 0.25, 1.0)
FIGURE_8 = Experiment(
    "Fig. 8: period of the inner step",
    tuple(map(_period, sorted((0.05, *OTHER_PERIODS)))),
    claims=tuple(("period 0.05", f"period {share:g}") for share in OTHER_PERIODS),
    seeds=3,
    axis="period, as a share of the schedule",
)


def _outer(step: float) -> Row:
    return Row(f"outer step x {step:g}", "metabin", outer=step, at=step, series="MetaBIN")


FIGURE_9 = Experiment(
    "Fig. 9: outer step size and rho",
    tuple(map(_outer, (0.04, 0.2, 1, 5))),
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
    "Fig. 4: rho in every layer", (SHARED, BIN, METABIN), claims=(), seeds=10, keeps_rho=True
)


def _push(top: float) -> Row:
    changes = {} if top == 1 else {"inner_lr_high": top}
    return Row(f"push up to {top:g}", "metabin", changes)


PUSHED = (Row("no push", "metabin", inner=0), *map(_push, (1.0, 10.0, 100.0)))
PUSH = Experiment(
    "How far the inner step may push rho",
    (BIN, *PUSHED),
    claims=tuple((row.name, BIN.name) for row in PUSHED),
    seeds=10,
)
