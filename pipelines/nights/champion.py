"""A registered version's policy, fit to be used with tonight's catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.failures.errors import DataError
from pipelines.nights.lake import read_catalog

if TYPE_CHECKING:
    from mrlm.bandit_log import Catalog
    from mrlm.policies.contract import Policy
    from pipelines.contract.context import NightContext

# Batches of other sizes round differently; another model differs by far more.
_SAME_VECTOR = 0.05


def load_champion(context: NightContext, version: int) -> Policy:
    """The policy of a registered version, to be used with tonight's catalogue.

    Raises:
        DataError: tonight's embeddings are not those that the policy was trained on.
    """
    from mrlm.promotion.registry.versions import version_folder
    from mrlm.promotion.serving.bundle import load_bundle

    folder = version_folder(context.registry, version)
    bundle = load_bundle(folder / "artifacts" / "bundle")
    if bundle.catalog.embedding is not None:
        _check_same_encoder(bundle.catalog, read_catalog(context), version)
    return bundle.policy


def _check_same_encoder(before: Catalog, tonight: Catalog, version: int) -> None:
    """A champion that is fed another model's vectors would look worse than the one that serves."""
    code = tonight.codes(before.item_id)
    both = np.flatnonzero(code >= 0)
    both = both[before.text[both] == tonight.text[code[both]]]
    old, new = before.embedding, tonight.embedding
    if old is None or new is None or len(both) == 0:
        return
    if old.shape[1] != new.shape[1] or np.abs(old[both] - new[code[both]]).max() > _SAME_VECTOR:
        raise DataError(
            f"champion version {version} was trained on the embeddings of another model than "
            "embedding.model names now; keep the model, or start a registry of its own for the "
            "new one (registry.model) with 'mrlm bootstrap'"
        )
