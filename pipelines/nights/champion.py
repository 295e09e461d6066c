"""A registered version's policy, fit to be used with tonight's catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrlm.messages.message import Message
from pipelines.failures.errors import DataError
from pipelines.nights.lake import read_catalog, shift

if TYPE_CHECKING:
    from mrlm.policies.contract import Policy
    from mrlm.promotion.serving.bundle import PolicyBundle
    from pipelines.contract.context import NightContext

# Name of the policy of champion and challenger together.
TRIAL = "trial"


def load_champion(context: NightContext, version: int) -> Policy:
    """The policy of a registered version, to be used with tonight's catalogue.

    Raises:
        DataError: tonight's embeddings are not those that the policy was trained on.
    """
    from mrlm.embeddings.stored_catalog import same_vectors
    from mrlm.promotion.registry.version_files import version_folder
    from mrlm.promotion.serving.bundle import load_bundle

    folder = version_folder(context.registry, version)
    bundle = load_bundle(folder / "artifacts" / "bundle")
    trained_on = bundle.catalog
    if trained_on.embedding is not None and not same_vectors(trained_on, read_catalog(context)):
        # Fed another model's vectors, it would look worse than the one that serves.
        raise DataError(
            Message(
                "champion version {version} was trained on the embeddings of another model than "
                "embedding.model names now; keep the model, or start a registry of its own for the "
                "new one (registry.model) with 'mrlm bootstrap'",
                version=version,
            )
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


def on_trial(context: NightContext) -> int | None:
    """Version of the challenger that serves its share beside the champion; None: none does."""
    from mrlm.promotion.record.candidate import version_on_trial

    if not context.settings.gate.trial_share:
        return None
    return version_on_trial(context.registry.ledger.entries(), looked_since(context))


def looked_since(context: NightContext) -> str:
    """The night before which the newest look at a trial must not lie.

    Without a look for as many nights as a test may last, nobody watches what it does: it is over.
    """
    return shift(context.night, -context.settings.gate.test_nights)


def with_trial(
    context: NightContext, served: PolicyBundle, version: int | None
) -> tuple[PolicyBundle, int | None]:
    """The champion with the version on trial beside it, which chooses ``gate.trial_share``.

    The probabilities are those of both together, so whoever reads the log needs not know of the
    trial.

    Args:
        context: of the night.
        served: the champion's bundle, over the items that are served.
        version: on trial; None: the champion serves alone, as where the version's vectors are of
            another encoder than the items'.

    Returns:
        What serves, and the version that is on trial in it; None: the champion serves alone.

    Raises:
        DamagedVersionError: the version's files are not those that were registered.
    """
    from mrlm.policies.mixture import Mixture
    from mrlm.promotion.registry.champion import champion_of_version

    if version is None:
        return served, None
    challenger = champion_of_version(context.registry, version).bundle
    share = context.settings.gate.trial_share
    try:
        policies = served.policy, challenger.with_catalog(served.catalog).policy
    except ValueError as error:
        context.log("publish").warning("version %d is not on trial: %s", version, error)
        return served, None
    return replace(served, policy=Mixture(policies, (1.0 - share, share), TRIAL)), version


def without_trial(served: PolicyBundle) -> PolicyBundle:
    """The champion alone, of what ``with_trial`` made."""
    from mrlm.policies.mixture import Mixture

    policy = served.policy
    if not (isinstance(policy, Mixture) and policy.name == TRIAL):
        return served
    return replace(served, policy=policy.policies[0])


def served_as(context: NightContext, champion: int, version: int | None) -> str:
    """The log's name of a champion that serves alone, or with a version on trial."""
    name = context.settings.registry.policy_id(champion)
    return name if version is None else f"{name}+{version}"
