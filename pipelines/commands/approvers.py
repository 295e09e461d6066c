"""Who may say yes or no to a version."""

from __future__ import annotations

from pipelines.failures.errors import DataError
from pipelines.settings.model import Settings


def require_approver(settings: Settings, actor: str) -> None:
    """Refuse a person whom ``registry.approvers`` does not name.

    Raises:
        DataError: naming those who may.
    """
    named = settings.registry.approvers
    if named and actor not in named:
        raise DataError(
            f"{actor} may not decide about versions: registry.approvers names {', '.join(named)}"
        )
