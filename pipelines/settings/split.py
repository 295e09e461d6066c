"""Which nights fit, tune and judge."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings.section import Section


class Split(Section):
    """How the nights with a final north star are divided; see mrlm/bandit_log and docs."""

    tune_nights: int = Field(2, ge=1, description="Nights on which weights are chosen.")
    gate_nights: int = Field(2, ge=1, description="At most this many fresh nights are judged.")
    min_fit_nights: int = Field(1, ge=1, description="Fewer nights to fit on judge nobody.")
    fit_nights: int = Field(60, ge=1, description="Older nights are not fitted on.")
