"""Tables 1 to 5: their rows, the printed numbers, and what those claim."""

from metabin.experiments.rows import Experiment, Row
from metabin.experiments.tasks import single_street, supervised

BN = Row("BN", "bn", paper=(50.9, 59.5))
IN = Row("IN", "in", paper=(54.9, 63.3))
HALF = Row("BN+IN half", "half", paper=(56.5, 65.3))
DUALNORM = Row("DualNorm [17]", "dualnorm", paper=(57.6, 61.8))
SHARED = Row("BIN [30]", "bin_shared", paper=(54.8, 63.1))
BIN = Row("BIN, two affine pairs", "bin")
METABIN = Row("MetaBIN", "metabin", paper=(64.7, 72.3))

IBN = Row("IBN-Net [31]", "ibn")
SWITCHABLE = Row("Switchable (BN+IN) [27]", "switchable", paper=(57.0, 65.6))
TABLE_1 = Experiment(
    "Table 1: unseen domains, five sources",
    (BN, IN, IBN, SWITCHABLE, DUALNORM, HALF, BIN, METABIN),
    claims=(
        ("MetaBIN", "DualNorm [17]"),
        ("MetaBIN", "Switchable (BN+IN) [27]"),
        ("MetaBIN", "IN"),
        ("MetaBIN", "BN"),
    ),
)

FURTHER = (  # of finished trainings: what a user would try first, and rho trained as in the paper
    Row("BN, colour jitter", "bn, colour jitter"),
    Row("BN, MixStyle", "bn, MixStyle"),
    Row("BIN, the weights' step size", "bin, the weights' step"),
    SHARED,
)
WITH_ID = {
    "meta_train": "id + scatter + shuffle + triplet",
    "meta_test": "id + triplet",
    "meta_train_share": 0.5,
}
TABLE_2 = Experiment(
    "Table 2: one source, its cameras as domains",
    (
        Row("BN", "bn", task=single_street),
        Row("IN", "in", task=single_street),
        Row("IBN-Net [31]", "ibn", task=single_street, paper=(43.7, 24.3)),
        Row("BIN, two affine pairs", "bin", task=single_street),
        Row("MetaBIN, one street", "metabin", WITH_ID, task=single_street, paper=(55.2, 33.1)),
    ),
    claims=(("MetaBIN, one street", "IBN-Net [31]"), ("MetaBIN, one street", "BN")),
    keeps_rho=True,
)


def _fixed(name: str, train: str, test: str, paper: tuple[float, float]) -> Row:
    """MetaBIN with a fixed inner step and these losses."""
    losses = {"meta_train": train, "meta_test": test}
    return Row(name, "metabin", losses, inner=1, paper=paper)


TRI = "triplet"
ALL_THREE = "tri + scat + shuf, fixed"
TABLE_3 = Experiment(
    "Table 3: losses of the meta-step, fixed and cyclic inner step",
    (
        BN,
        _fixed("CE, fixed", "id", "id", (60.6, 69.4)),
        _fixed("CE + tri, fixed", "id + triplet", "id + triplet", (62.0, 69.9)),
        _fixed("tri, fixed", TRI, TRI, (62.8, 70.8)),
        _fixed("tri + scat, fixed", "triplet + scatter", TRI, (63.0, 71.0)),
        _fixed("tri + shuf, fixed", "triplet + shuffle", TRI, (63.1, 71.0)),
        Row(ALL_THREE, "metabin", inner=1, paper=(63.5, 71.3)),
        METABIN,
        Row("fixed at half of the range", "metabin", inner=0.5),
        Row("no inner step", "metabin", inner=0),
        Row("rho at random", "random_rho"),
    ),
    claims=(
        ("MetaBIN", ALL_THREE),
        ("CE, fixed", "BN"),
        ("CE + tri, fixed", "CE, fixed"),
        ("tri, fixed", "CE + tri, fixed"),
        ("tri + scat, fixed", "tri, fixed"),
        ("tri + shuf, fixed", "tri, fixed"),
        (ALL_THREE, "tri, fixed"),
    ),
)

CE = {"base": "id"}
TABLE_4 = Experiment(
    "Table 4: MLDG, the shared affine pair, separate episodes",
    (
        Row("BN, CE", "bn", CE, paper=(50.2, 59.6)),
        Row("BN, CE, MLDG", "bn_mldg", CE, inner=1, paper=(50.5, 59.2)),
        Row("BN, CE, MLDG, cyclic", "bn_mldg", CE, paper=(52.3, 60.9)),
        BN,
        Row("BN, MLDG", "bn_mldg", inner=1, paper=(52.2, 61.2)),
        Row("BN, MLDG, cyclic", "bn_mldg", paper=(53.6, 61.8)),
        SHARED,
        Row("BIN [30], MLDG", "bin_shared_mldg", inner=1, paper=(57.9, 65.7)),
        Row("BIN [30], MLDG, cyclic", "bin_shared_mldg", paper=(58.4, 66.3)),
        Row("MetaBIN with BIN [30]", "metabin_shared", paper=(60.6, 68.8)),
        Row("MetaBIN in one episode", "one_episode", paper=(60.9, 69.1)),
        BIN,
        METABIN,
    ),
    claims=(
        ("MetaBIN", "MetaBIN in one episode"),
        ("MetaBIN", "MetaBIN with BIN [30]"),
        ("MetaBIN", "BIN [30], MLDG, cyclic"),
        ("BN, MLDG", "BN"),
        ("BN, MLDG, cyclic", "BN, MLDG"),
        ("BIN [30]", "BN"),
        ("BIN [30], MLDG", "BIN [30]"),
        ("BIN [30], MLDG, cyclic", "BIN [30], MLDG"),
    ),
)

SUPERVISED = (
    Row("BN, own streets", "bn", task=supervised, paper=(87.2, 67.9)),
    Row("IN, own streets", "in", task=supervised, paper=(71.9, 46.1)),
    Row("DualNorm [17], own streets", "dualnorm", task=supervised, paper=(82.6, 57.2)),
    Row("BN+IN half, own streets", "half", task=supervised, paper=(79.5, 53.9)),
    Row("BIN [30], own streets", "bin_shared", task=supervised, paper=(87.5, 67.8)),
    Row("MetaBIN, own streets", "metabin", task=supervised, paper=(87.9, 68.5)),
)
TABLE_5 = Experiment(
    "Table 5: normalizations on unseen domains and on the sources' own",
    (BN, IN, DUALNORM, HALF, SHARED, METABIN, *SUPERVISED),
    claims=(
        ("MetaBIN", "BN+IN half"),
        ("MetaBIN", "BIN [30]"),
        ("BN+IN half", "IN"),
        ("IN", "BN"),
        ("BN, own streets", "IN, own streets"),
        ("BN, own streets", "BN+IN half, own streets"),
        ("MetaBIN, own streets", "BN, own streets"),
    ),
)
