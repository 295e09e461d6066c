"""A registered version's policy, fit to be used with tonight's catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.failures.errors import DataError
from pipelines.nights.lake import read_catalog

if TYPE_CHECKING:
    from mrlm.policies.contract import Policy
    from mrlm.promotion.serving.bundle import PolicyBundle
    from pipelines.contract.context import NightContext


def load_champion(context: NightContext, version: int) -> Policy:
    """The policy of a registered version, to be used with tonight's catalogue.

    Raises:
        DataError: tonight's embeddings are not those that the policy was trained on.
    """
    from mrlm.embeddings.stored_catalog import same_vectors
    from mrlm.promotion.registry.versions import version_folder
    from mrlm.promotion.serving.bundle import load_bundle

    folder = version_folder(context.registry, version)
    bundle = load_bundle(folder / "artifacts" / "bundle")
    trained_on = bundle.catalog
    if trained_on.embedding is not None and not same_vectors(trained_on, read_catalog(context)):
        # Fed another model's vectors, it would look worse than the one that serves.
        raise DataError(
            f"champion version {version} was trained on the embeddings of another model than "
            "embedding.model names now; keep the model, or start a registry of its own for the "
            "new one (registry.model) with 'mrlm bootstrap'"
        )
    return bundle.policy


def over_items_of(context: NightContext, bundle: PolicyBundle, night: str | None) -> PolicyBundle:
    """A version over the items of a night; as it is where there is no night, or other vectors.

    Those who are served get their lists in any case, so another encoder is logged and no error.
    """
    if night is None:
        return bundle
    try:
        return bundle.with_catalog(read_catalog(context, night))
    except ValueError as error:
        context.log("publish").warning("lists are drawn over the version's own items: %s", error)
        return bundle
