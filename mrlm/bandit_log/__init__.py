"""The one columnar form of logged decisions, and what a policy may see of them."""

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.objectives import Objective
from mrlm.bandit_log.ragged import Ragged

__all__ = ["BanditLog", "Catalog", "Decisions", "Histories", "Objective", "Ragged"]
