"""Whether propensities can be the probabilities of what was shown."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.log_mapping.column_facts import as_number
from mrlm.log_mapping.findings.candidate_lists import lists_of
from mrlm.log_mapping.findings.finding import ODD, LogFinding
from mrlm.log_mapping.proposal import TableMapping
from mrlm.log_mapping.role_names import name_score

# Farther from the number of candidates than this the mean of 1/propensity is no accident.
_IDENTITY = 0.25


def about_propensities(shown: TableMapping, items: TableMapping | None) -> Iterator[LogFinding]:
    """What is to be known of the impressions' propensities; ``items``: all that could be shown."""
    column = shown.column("propensity")
    if column is None:
        suspects = [
            c for s, c in shown.facts.items() if name_score("propensity", s) >= 3 and c.numbers
        ]
        for suspect in suspects:
            low, high = min(suspect.numbers), max(suspect.numbers)
            told = "percentages" if 1 < high <= 100 else "logarithms" if high <= 0 else "no chances"
            yield LogFinding(
                "wrong",
                "impressions",
                f"{suspect.source} is called like a propensity and lies between {low:g} and "
                f"{high:g}: these look like {told}. A propensity is above 0 and at most 1",
            )
        return
    numbers = [as_number(v) for v in column.values]
    known = [n for n in numbers if n is not None]
    outside = sum(not 0 < n <= 1 for n in known) + numbers.count(None)
    if outside:
        yield LogFinding(
            "wrong",
            "impressions",
            f"{outside} of {len(numbers)} sampled propensities are not above 0 and at most 1; "
            "these rows will be quarantined",
        )
    if known and all(n == 1 for n in known):
        yield LogFinding(
            "wrong",
            "impressions",
            "every propensity is 1: the log says that nothing was left to chance, so nothing can "
            "be said of any other policy. Either the logger did not explore, or it logs something "
            "else",
            stops=True,
        )
        return
    if column.share < 1 - ODD:
        yield LogFinding(
            "wrong",
            "impressions",
            f"{1 - column.share:.1%} of the sampled impressions have no propensity; they will be "
            "quarantined",
        )
    inverse = [1 / n for n in known if n > 0]
    sizes, whose = _candidate_numbers(shown, items)
    if inverse and sizes and len(inverse) >= 100:
        mean, expected = sum(inverse) / len(inverse), sum(sizes) / len(sizes)
        agrees = abs(mean / expected - 1) <= _IDENTITY
        yield LogFinding(
            "note" if agrees else "wrong",
            "impressions",
            f"the mean of 1/propensity is {mean:.1f} and {whose} {expected:.1f}; "
            + (
                "they agree, as they do where propensities and candidates are true"
                if agrees
                else "they should agree. Either the propensities are no probabilities of this "
                "choice, or the candidates are not all that could be shown"
            ),
        )


def _candidate_numbers(shown: TableMapping, items: TableMapping | None) -> tuple[list[int], str]:
    lists = lists_of(shown, "candidates")
    if lists:
        return [len(v) for v in lists.values()], "the mean number of candidates is"
    if shown.catalog_candidates and items is not None:
        number = len(set(items.texts("item_id").values()))
        return ([number] if number else []), "the number of items is"
    return [], ""
