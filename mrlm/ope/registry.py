"""The estimators by name."""

from __future__ import annotations

from mrlm.ope.contract import Estimator
from mrlm.ope.dm import DM
from mrlm.ope.dr import DR
from mrlm.ope.ips import IPS
from mrlm.ope.snips import SNIPS

ESTIMATORS: dict[str, Estimator] = {e.name: e for e in (IPS(), SNIPS(), DM(), DR())}
