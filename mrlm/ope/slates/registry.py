"""The slate estimators by name; those with fitted parts are made by their fits."""

from __future__ import annotations

from mrlm.ope.slates.cascade_dr import CascadeDR
from mrlm.ope.slates.contract import SlateEstimator
from mrlm.ope.slates.iips import IIPS
from mrlm.ope.slates.pbm import PBM
from mrlm.ope.slates.pi import PI
from mrlm.ope.slates.rips import RIPS
from mrlm.ope.slates.sips import SIPS
from mrlm.ope.slates.uniform_pi import UniformRankingPI

_ALL: tuple[SlateEstimator, ...] = (
    SIPS(),
    SIPS(self_normalised=True),
    IIPS(),
    IIPS(self_normalised=True),
    RIPS(),
    RIPS(self_normalised=True),
    CascadeDR(),
    PI(),
    PI(self_normalised=True),
    UniformRankingPI(),
    UniformRankingPI(self_normalised=True),
    PBM(),
    PBM(self_normalised=True),
)

SLATE_ESTIMATORS: dict[str, SlateEstimator] = {e.name: e for e in _ALL}
