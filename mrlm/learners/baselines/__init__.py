"""The simplest policies that a log allows: what a learned one has to beat."""

from mrlm.learners.baselines.registry import BASELINES, fit_baselines

__all__ = ["BASELINES", "fit_baselines"]
