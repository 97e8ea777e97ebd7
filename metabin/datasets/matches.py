"""Which queries have a match in the gallery, and what the camera rule leaves of them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from metabin.datasets.listing import UNKNOWN_CAMERA, Listing, Picture

WITHOUT_RULE = "--no-camera-rule"


class Matches(NamedTuple):
    """Queries with a match from another camera, with one from their own camera alone, with none."""

    matched: list[Picture]
    same_camera: list[Picture]
    alone: list[Picture]


def match_queries(listing: Listing) -> Matches:
    """Sort the listing's queries by what the gallery has of their person."""
    cameras = defaultdict(set)
    for picture in listing.part("gallery").pictures:
        cameras[picture.pid].add(picture.camid)
    matches = Matches([], [], [])
    for query in listing.part("query").pictures:
        if cameras[query.pid] - {query.camid}:
            matches.matched.append(query)
        elif cameras[query.pid]:
            matches.same_camera.append(query)
        else:
            matches.alone.append(query)
    return matches


def obstacle(listing: Listing, camera_rule: bool) -> str:
    """Why no query of the listing can be searched for, and what helps; "" where one can be."""
    matches = match_queries(listing)
    if matches.matched or (matches.same_camera and not camera_rule):
        return ""
    if not matches.same_camera:
        return (
            "query and gallery have no person in common. Do both use the same names or numbers for "
            "people?"
        )
    cameras = "no person was seen by two cameras"
    if len(listing.cameras) == 1:
        cameras = "all pictures are from one camera"
    if listing.cameras == {UNKNOWN_CAMERA}:
        cameras = "no picture tells its camera, so all count as one"
    return (
        f"{cameras}. The camera rule leaves out pictures of a query's person by the query's own "
        "camera, which are often from the next moment, and here it leaves none. Tell cameras apart "
        "(column camid, or _c2 in a name as in 0002_c2_1.jpg), or test without the rule: "
        f"{WITHOUT_RULE}"
    )


def unmatched_remarks(listing: Listing, camera_rule: bool) -> list[str]:
    """How many people of the query, with how many pictures, have no match and don't count."""
    matches = match_queries(listing)
    total = len(listing.part("query").ids)
    remarks = count_people(matches.alone, total, "have no picture in the gallery")
    if camera_rule:
        what = "have a match from their own camera alone, which the camera rule leaves out"
        remarks += count_people(matches.same_camera, total, what)
    return remarks


def count_people(queries: Sequence[Picture], total: int, what: str) -> list[str]:
    people = len({query.pid for query in queries})
    if not people:
        return []
    return [f"{people:,} of {total:,} people of the query {what}: {len(queries):,} queries less"]
