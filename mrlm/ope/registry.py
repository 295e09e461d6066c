"""The estimators by name, each imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import cast

from mrlm.ope.contract import Estimator

# Every member of the family, with its default parameters, as module and class. Some need what a
# log may not have, or a fit to the whole log first.
_FAMILY = {
    "ips": ("ips", "IPS"),
    "snips": ("snips", "SNIPS"),
    "dm": ("dm", "DM"),
    "dr": ("dr", "DR"),
    "sndr": ("sndr", "SNDR"),
    "clipped_ips": ("clipped_ips", "ClippedIPS"),
    "sub_gaussian_ips": ("sub_gaussian", "SubGaussianIPS"),
    "sub_gaussian_dr": ("sub_gaussian", "SubGaussianDR"),
    "dr_os": ("dr_shrinkage", "DROptimistic"),
    "dr_ps": ("dr_shrinkage", "DRPessimistic"),
    "switch": ("switch", "Switch"),
    "switch_dr": ("switch_dr", "SwitchDR"),
    "cressie_read": ("cressie_read", "CressieRead"),
    "empirical_likelihood": ("empirical_likelihood", "EmpiricalLikelihood"),
    "replay": ("replay", "Replay"),
    "mrdr": ("mrdr", "MRDR"),
    "balanced_ipw": ("balanced_ipw", "BalancedIPW"),
}


class EstimatorsByName(Mapping[str, Estimator]):
    """Estimators of the family by name; looking one up imports its module, listing names does not.

    Raises:
        KeyError: of a look-up, there is no such name.
    """

    def __init__(self, *names: str) -> None:
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Estimator:
        if name not in self._names:
            raise KeyError(name)
        return _made(*_FAMILY[name])

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def _made(module: str, kind: str) -> Estimator:
    return cast("Estimator", getattr(import_module(f"mrlm.ope.estimators.{module}"), kind)())


FAMILY = EstimatorsByName(*_FAMILY)

# What a night reports: no parameter to choose, no further pass, no more data than q.
ESTIMATORS = EstimatorsByName("ips", "snips", "dm", "dr")
"""The estimators that a night reports, by name.

Examples:
    >>> from mrlm import ESTIMATORS
    >>> list(ESTIMATORS)
    ['ips', 'snips', 'dm', 'dr']
    >>> ESTIMATORS["snips"].properties.unbiased
    False
"""
