"""Settings that stored workspaces did not have.

At its default one changes nothing, and is left out of fingerprints: what was made before it is
still what these settings make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_ADDED_TO_SECTIONS = {
    "behaviour": (
        *("model", "history", "sequence", "language", "scene_heads"),
        *("uncertainty_nights", "selection_clip", "distil"),
        *("alternatives", "alternatives_a_night", "alternative_confidence"),
    ),
    "embedding": ("scene_descriptions",),
    "gate": ("anchored", "groups", "group_error", "test_nights", "trial_share", "watch"),
    "inputs": ("candidates", "feedback_names", "history"),
    "ingestion": (
        *("time_zone", "night_starts", "epochs", "screening", "unattributed"),
        *("scrub_contacts", "keep_user_ids"),
    ),
    "learning": (
        *("most_epochs", "variants"),
        "logarithmic_smoothing",
        "poem",
        "top_k_reinforce",
        *("double_q_learning", "implicit_q_learning", "batch_constrained_q_learning"),
        *("advantage_weighted_regression", "clipped_policy_optimisation"),
        *("vector_policy_iteration",),
    ),
    "publishing": ("user_ids", "capacity", "least_shown", "least_shown_providers"),
    "registry": ("least_users",),
    "split": ("night_decisions", "fit_decisions"),
    "tuning": (
        *("least_effective_rows", "least_effective_share", "kl_cap", "head_confidence"),
        *("strategy", "half_life", "change_confidence", "least_entropy"),
        *("kept_bound", "surrogate", "segments", "exposure_floors", "baselines"),
        "diversity_floors",
        *("hyperparameters", "hyperparameter_trials"),
        *("hyperparameter_confidence", "hyperparameter_record"),
    ),
    "validation": (
        *("shifted_share", "late_share", "future_share", "items_without_text_share"),
        *("unattributed_share", "doubtful_share", "loss_error", "least_events"),
        "unknown_history_items",
        *("shows_error", "shows_tolerance", "arm_shares", "arm_error", "owners"),
    ),
}
_ADDED_TO_TABLES = ("delimiter", "rows", "where", "events")


def leave_out_added(data: Mapping[str, Any], sections: BaseModel) -> None:
    """Drop from a dump of the settings each added one that has its default.

    Args:
        data: section to its dump; changed in place.
        sections: the settings, of which it is the dump.
    """
    for section, names in _ADDED_TO_SECTIONS.items():
        _leave_out(data[section], getattr(sections, section), names)
    for objective in data["objectives"]:
        if objective["discount"] == 0:
            objective.pop("discount")


def leave_out_added_to_table(data: dict[str, Any], table: BaseModel) -> None:
    """Drop from the dump of an input table each added setting that has its default."""
    _leave_out(data, table, _ADDED_TO_TABLES)


def _leave_out(data: dict[str, Any], section: BaseModel, names: tuple[str, ...]) -> None:
    """Drop from a section's ``data`` what has its default."""
    for name in names:
        field = type(section).model_fields[name]
        if getattr(section, name) == field.get_default(call_default_factory=True):
            data.pop(name)
