"""Logs whose missing propensities are estimated before anything is learned or evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrlm.bandit_log import BanditLog, Catalog
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.lake import read_logs

if TYPE_CHECKING:
    from mrlm.ope.propensity import EstimatedPropensities


def read_completed(
    context: NightContext,
    nights: list[str],
    catalog: Catalog | None = None,
    together: int | None = None,
) -> tuple[BanditLog, EstimatedPropensities | None]:
    """The bandit log of these nights with a propensity in every row.

    Args:
        context: of tonight.
        nights: ISO dates.
        catalog: tonight's items, where the caller has them.
        together: as for ``read_logs``.

    Returns:
        The log; and what is known of the estimates, None where every propensity was logged.

    Raises:
        DataError: propensities are missing and cannot be estimated.
    """
    from mrlm.evidence.propensities import completed

    read = read_logs(context, nights, catalog, together)
    try:
        log, found = completed(read)
    except ValueError as error:
        raise DataError(
            f"{error}. Have the logger write them, or set "
            'ingestion.propensity = "logged", which leaves such rows out'
        ) from error
    if found is not None:
        context.log("propensities").warning(
            "%s: %.1f %% of the propensities are estimated (log loss %.3f, uniform %.3f)",
            ", ".join(nights),
            100 * float(found.estimated.mean()),
            found.log_loss,
            found.uniform_log_loss,
        )
    return log, found
