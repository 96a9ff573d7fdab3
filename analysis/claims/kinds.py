"""The kinds of claims, and what the comparison of each can show at best."""

from __future__ import annotations

REPRODUCED = "reproduced"
CONSISTENT = "consistent"
HOLDS = "holds for"
"""Followed by where it holds."""
HOLDS_NOWHERE = "holds nowhere"
MEASURED = "measured, not comparable"
OUTSIDE = "outside the model"
NOT_REPRODUCED = "not reproduced"
NOT_RUN = "not run"

VERDICTS = (REPRODUCED, CONSISTENT, HOLDS, HOLDS_NOWHERE, MEASURED, OUTSIDE, NOT_REPRODUCED, NOT_RUN)
MISSED = (NOT_REPRODUCED, HOLDS_NOWHERE)
"""The verdicts that ``--strict`` minds."""

KINDS: dict[str, tuple[str, str]] = {
    "count": ("bytes, parameters, operations: counted on the model itself", REPRODUCED),
    "prediction": ("every input is independent of the claim", REPRODUCED),
    "conditional": ("needs inputs that the paper does not give, so a range of them is run", HOLDS),
    "identity": ("algebra of the protocol", CONSISTENT),
    "replay": ("the input is the measurement itself", CONSISTENT),
    "own-measurement": ("our code on our machine", MEASURED),
    "quality": ("accuracy and its like, which are data here", OUTSIDE),
}
"""Kind → (what it is, the best verdict it can earn)."""

COMPARISONS: dict[str, str] = {
    "eq": "equal to the digits given; a whole number exactly",
    "about": "inside the band",
    "le": "at most the upper end of the band",
    "ge": "at least the lower end of the band",
    "up-to": "the greatest value over the grid that the claim names lies inside the band",
    "ordering": "the ratio of the two sides is greater than the value",
}
"""Comparison → when a claim is met."""
