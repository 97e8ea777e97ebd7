"""What others printed, in percent: Tables 1 and 2 of the paper and later work.

`published("original", "viper")` gives the rows of a protocol and target. A number that was not
printed is None.
"""

from collections.abc import Sequence
from typing import NamedTuple

from metabin.datasets.splits import DESIGNS


class PublishedRow(NamedTuple):
    """One method on one target, or on "average" over the protocol's targets; rates in percent."""

    method: str
    backbone: str  # "" where the table does not say
    protocol: str
    target: str
    rank1: float | None
    rank5: float | None
    rank10: float | None
    mAP: float | None
    source: str
    note: str = ""


PAPER = "Choi et al., CVPR 2021"
BACKBONES = {"MetaBIN": "MobileNetV2 x1.4"}
DDAN_NOTE = 'the table prints "DDAN w/ [17]" twice; the first row is most likely DDAN alone'

# Average Rank-1 and mAP, then Rank-1, -5, -10 and mAP on VIPeR, PRID, GRID and i-LIDS.
# + marks ResNet-50.
TABLE_1 = """
DIMN                | 47.5 57.9 | 51.2 70.2 76.0 60.1 | 39.2 67.0 76.7 52.0 | 29.3 53.3 65.8 41.1 | 70.2 89.7 94.5 78.4
AugMining           | 51.8 -    | 49.8 70.8 77.0 -    | 34.3 56.2 65.7 -    | 46.6 67.5 76.1 -    | 76.3 93.0 95.3 -
Switchable (BN+IN)  | 57.0 65.6 | 51.6 72.9 80.8 61.4 | 59.6 78.6 90.1 69.4 | 39.3 58.8 68.1 48.1 | 77.3 91.2 94.8 83.5
DualNorm            | 57.6 61.8 | 53.9 62.5 75.3 58.0 | 60.4 73.6 84.8 64.9 | 41.4 47.4 64.7 45.7 | 74.8 82.0 91.5 78.5
DDAN                | 59.0 63.1 | 52.3 60.6 71.8 56.4 | 54.5 62.7 74.9 58.9 | 50.6 62.1 73.8 55.7 | 78.5 85.3 92.5 81.5
DDAN with DualNorm  | 60.9 65.1 | 56.5 65.6 76.3 60.8 | 62.9 74.2 85.3 67.5 | 46.2 55.4 68.0 50.9 | 78.0 85.7 93.2 81.2
MetaBIN             | 64.7 72.3 | 56.9 76.7 82.0 66.0 | 72.5 88.2 91.3 79.8 | 49.7 67.5 76.8 58.1 | 79.7 93.3 97.3 85.5
SNR +               | 57.3 66.4 | 52.9 -    -    61.3 | 52.1 -    -    66.5 | 40.2 -    -    47.7 | 84.1 -    -    89.9
DualNorm +          | 62.7 -    | 59.4 -    -    -    | 69.6 -    -    -    | 43.7 -    -    -    | 78.2 -    -    -
MetaBIN +           | 66.0 73.6 | 59.9 78.4 82.8 68.6 | 74.2 89.7 92.2 81.0 | 48.4 70.3 77.2 57.9 | 81.3 95.0 97.0 87.0
"""
# Rank-1, -5, -10 and mAP from Market-1501 to DukeMTMC-reID, and back.
TABLE_2 = """
IBN-Net    | 43.7 59.1 65.2 24.3 | 50.7 69.1 76.3 23.5
OSNet      | 44.7 59.6 65.4 25.9 | 52.2 67.5 74.7 24.0
OSNet-JBN  | 47.9 62.7 68.2 27.6 | 57.8 74.0 79.5 27.4
CrossGrad  | 48.5 63.5 69.5 27.1 | 56.7 73.5 79.5 26.3
QAConv     | 48.8 -    -    28.7 | 58.6 -    -    27.2
L2A-OT     | 50.1 64.5 70.1 29.2 | 63.8 80.2 84.6 30.2
OSNet-AIN  | 52.4 66.1 71.2 30.5 | 61.0 77.0 82.5 30.6
SNR +      | 55.1 -    -    33.6 | 66.7 -    -    33.9
MetaBIN +  | 55.2 69.0 74.4 33.1 | 69.2 83.1 87.8 35.9
"""
LATER = tuple(  # averages over the four small sets under what later papers call Protocol-1
    PublishedRow(method, backbone, "no_duke", "average", rank1, None, None, mAP, source, note)
    for method, backbone, rank1, mAP, source, note in (
        ("MetaBIN", "", 60.5, 68.9, "as later papers report it", ""),
        ("META", "", 63.8, 70.9, "Xu et al., ECCV 2022", ""),
        ("ACL", "", 66.6, 75.2, "Zhang et al., ECCV 2022", ""),
        ("CILP-FGDI", "CLIP ViT-B", 75.5, 82.2, "Zhao, Qi and Geng, TIFS 2025", ""),
    )
)


def parse(number: int, protocol: str, targets: Sequence[str], table: str) -> list[PublishedRow]:
    """The rows of a table of the paper: a method, then a cell for each target."""
    rows = []
    for line in table.strip().splitlines():
        method, *cells = [cell.strip() for cell in line.split("|")]
        backbone = "ResNet-50" if method.endswith("+") else BACKBONES.get(method, "")
        note = DDAN_NOTE if method == "DDAN" else ""
        head = method.removesuffix("+").strip(), backbone, protocol
        for target, cell in zip(targets, cells, strict=True):
            rates = [None if word == "-" else float(word) for word in cell.split()]
            if len(rates) == 2:  # Rank-1 and mAP alone
                rates[1:1] = None, None
            rows.append(PublishedRow(*head, target, *rates, f"{PAPER}, Table {number}", note))
    return rows


PUBLISHED = (
    *parse(1, "original", ("average", *DESIGNS), TABLE_1),
    *parse(2, "market_duke", ("dukemtmc", "market1501"), TABLE_2),
    *LATER,
)


def published(protocol: str, target: str = "average") -> tuple[PublishedRow, ...]:
    """The printed rows of a protocol on one of its targets, in the order of the tables."""
    return tuple(row for row in PUBLISHED if row.protocol == protocol and row.target == target)
