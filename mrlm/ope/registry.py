"""The estimators by name."""

from __future__ import annotations

from mrlm.ope.contract import Estimator
from mrlm.ope.estimators.balanced_ipw import BalancedIPW
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.cressie_read import CressieRead
from mrlm.ope.estimators.dm import DM
from mrlm.ope.estimators.dr import DR
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.empirical_likelihood import EmpiricalLikelihood
from mrlm.ope.estimators.ips import IPS
from mrlm.ope.estimators.mrdr import MRDR
from mrlm.ope.estimators.replay import Replay
from mrlm.ope.estimators.sndr import SNDR
from mrlm.ope.estimators.snips import SNIPS
from mrlm.ope.estimators.sub_gaussian import SubGaussianDR, SubGaussianIPS
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.estimators.switch_dr import SwitchDR

# Every member of the family. Some need what a log may not have, or a fit to the whole log first.
FAMILY: dict[str, Estimator] = {
    e.name: e
    for e in (
        IPS(),
        SNIPS(),
        DM(),
        DR(),
        SNDR(),
        ClippedIPS(),
        SubGaussianIPS(),
        SubGaussianDR(),
        DROptimistic(),
        DRPessimistic(),
        Switch(),
        SwitchDR(),
        CressieRead(),
        EmpiricalLikelihood(),
        Replay(),
        MRDR(),
        BalancedIPW(),
    )
}

# What a night reports: no parameter to choose, no further pass, no more data than q.
ESTIMATORS: dict[str, Estimator] = {name: FAMILY[name] for name in ("ips", "snips", "dm", "dr")}
"""The estimators that a night reports, by name.

Example:
    >>> from mrlm import ESTIMATORS
    >>> list(ESTIMATORS)
    ['ips', 'snips', 'dm', 'dr']
    >>> ESTIMATORS["snips"].properties.unbiased
    False
"""
