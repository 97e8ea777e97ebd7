"""What a listing has against what a complete copy of its set has."""

from metabin.datasets.dataset import Counts, DataSet
from metabin.datasets.listing import Listing


def expected_of(dataset: DataSet, listing: Listing) -> Counts:
    """What a complete copy in the listing's form has: CUHK03 comes divided or not."""
    parts = {picture.part for picture in listing.pictures}
    return min((counts for counts in dataset.expected if parts <= set(counts)), key=len)


def miscounts(dataset: DataSet, listing: Listing) -> list[str]:
    """A line that says which counts are not those of a complete copy; none where all are."""
    wrong = []
    for part, (ids, pictures) in expected_of(dataset, listing).items():
        of_part = listing.part(part)
        if (len(of_part.ids), len(of_part)) != (ids, pictures):
            wrong.append(
                f"{part} has {len(of_part.ids):,} of {ids:,} persons in {len(of_part):,} of {pictures:,} pictures"
            )
    if dataset.cameras is not None and len(listing.cameras) != dataset.cameras:
        wrong.append(f"{len(listing.cameras)} of {dataset.cameras} cameras")
    return [f"not a complete copy: {'; '.join(wrong)}"] if wrong else []


def undivided(dataset: DataSet, listing: Listing) -> bool:
    """Whether the listing lacks the division into training and test that another copy of the set has."""
    return any("query" in counts for counts in dataset.expected) and not len(listing.part("query"))
