"""The strategies by name: a new one is a file of its own and one entry here."""

from __future__ import annotations

from mrlm.meta.strategies.bound_grid import BoundGrid
from mrlm.meta.strategies.contract import Strategy
from mrlm.meta.strategies.fixed_weights import FixedWeights
from mrlm.meta.strategies.ips_grid import IpsGrid
from mrlm.meta.strategies.normal_bound import NormalBound
from mrlm.meta.strategies.pessimistic_bound import PessimisticBound
from mrlm.meta.strategies.regression_weights import RegressionWeights

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        PessimisticBound(),
        FixedWeights(),
        RegressionWeights(),
        IpsGrid(),
        BoundGrid(),
        NormalBound(),
    )
}
"""The strategies that ``tuning.strategy`` can name."""
