"""A challenger against the anchor, the fixed version that no chain of promotions may fall below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.intervals import ends


@dataclass(frozen=True)
class AnchorComparison:
    """What is known of challenger - anchor, under the deciding estimator.

    Attributes:
        version: registry version of the anchor.
        differences: objective to challenger - anchor: paired on the same rows, or a sum of links.
        links: versions that were promoted from the anchor to the champion, in order.
        summed: objectives whose difference is the sum of the links and of challenger - champion.
        unmeasured: why the same rows tell nothing of the anchor; "": they do.
    """

    version: int
    differences: dict[str, PolicyEstimate]
    links: tuple[int, ...] = ()
    summed: tuple[str, ...] = ()
    unmeasured: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnchorComparison:
        """Read what ``to_json`` wrote."""
        return cls(
            **{
                **data,
                "differences": {
                    name: PolicyEstimate.from_json(e) for name, e in data["differences"].items()
                },
                "links": tuple(data.get("links", ())),
                "summed": tuple(data.get("summed", ())),
            }
        )


@dataclass(frozen=True)
class Link:
    """A promotion on the way from the anchor to the champion.

    Attributes:
        version: that was promoted.
        differences: objective to its difference to the champion that it replaced, as judged.
    """

    version: int
    differences: Mapping[str, PolicyEstimate]


def compare_with_anchor(
    version: int,
    direct: Mapping[str, PolicyEstimate] | None,
    tonight: Mapping[str, PolicyEstimate],
    links: Sequence[Link] | None,
    unmeasured: str = "",
) -> AnchorComparison:
    """The direct difference where it is certified, else the sum of the accepted links.

    Args:
        version: of the anchor.
        direct: objective to challenger - anchor on the same rows; None: the anchor has no
            probabilities there.
        tonight: objective to challenger - champion.
        links: promotions from the anchor to the champion, none where the champion is the anchor;
            None: none lead from one to the other.
        unmeasured: why there is no direct difference.
    """
    if links is not None and not links:
        return AnchorComparison(version, dict(tonight))
    found, summed = dict(direct or {}), []
    for name, last in tonight.items():
        own = found.get(name)
        if links is None or (own is not None and own.certified):
            continue
        total = sum_of_links([*(link.differences.get(name) for link in links), last])
        if total is not None and (own is None or total.certified):
            found[name] = total
            summed.append(name)
    versions = tuple(link.version for link in links or ())
    return AnchorComparison(version, found, versions, tuple(summed), unmeasured)


def sum_of_links(parts: Sequence[PolicyEstimate | None]) -> PolicyEstimate | None:
    """The sum of independent differences, with summed variances; None where a part has no numbers.

    Degrees of freedom are Satterthwaite's, third cumulants add up. Links were accepted for what
    they showed, so their sum leans upwards: the direct difference is taken wherever it is
    certified.
    """
    value = variance = third = spread = low = high = 0.0
    certified, level, reasons = True, 0.95, []
    for part in parts:
        if part is None or part.value is None or part.standard_error is None:
            return None
        square = part.standard_error**2
        value, variance = value + part.value, variance + square
        third += part.skewness * part.standard_error**3
        freedom = part.degrees_of_freedom or 0.0
        spread += square**2 / freedom if freedom > 0 else math.inf
        low, high = low + part.unknown_low, high + part.unknown_high
        certified, level = certified and part.certified, part.level
        reasons += [r for r in part.reasons if r not in reasons]
    error = math.sqrt(variance)
    freedom = variance**2 / spread if 0 < spread < math.inf else 0.0
    skewness = third / error**3 if error > 0 else 0.0
    lower, upper = ends(value, error, freedom, skewness, (1 + level) / 2)
    known = freedom > 0
    return PolicyEstimate(
        value=value,
        standard_error=error,
        degrees_of_freedom=freedom,
        lower=lower + low if known else None,
        upper=upper + high if known else None,
        level=level,
        certified=certified and known,
        reasons=tuple(reasons),
        skewness=skewness,
        unknown_low=low,
        unknown_high=high,
    )
