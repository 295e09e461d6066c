"""A promotion that is followed: the policies, the promise and the reward model of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrlm.messages.message import Message
from pipelines.contract.context import NightContext
from pipelines.contract.outputs import StageFolder
from pipelines.failures.errors import DataError
from pipelines.nights.champion import load_champion

if TYPE_CHECKING:
    from mrlm.evidence.promise import Promise
    from mrlm.policies.contract import Policy, Scorer
    from mrlm.promotion.record.ledger import Entry


@dataclass(frozen=True)
class Followed:
    """A promotion that can be followed.

    Attributes:
        promise: what it is judged by.
        policy: that was promoted.
        replaced: the champion before it.
        reward_model: of the run that made it, which has seen no night since; None where that run
            is gone.
    """

    promise: Promise
    policy: Policy
    replaced: Policy
    reward_model: Scorer | None


def load_followed(context: NightContext, entry: Entry, entries: tuple[Entry, ...]) -> Followed:
    """The promotion with its evidence and policies.

    Raises:
        DataError: it has none, or not those that it was promoted on.
    """
    from mrlm.evidence.measures import one_measure
    from mrlm.evidence.promise import Promise, predicted_with_nights
    from mrlm.promotion.judgement.recording import error_tested_at
    from mrlm.promotion.registry.version_files import version_evidence, version_folder
    from mrlm.promotion.registry.versions import has_version

    if entry.version is None or entry.champion_version is None:
        raise DataError(Message("the ledger names no version or no champion that it replaced"))
    place = context.registry
    gone = [v for v in (entry.version, entry.champion_version) if not has_version(place, v)]
    if gone:
        raise DataError(Message("version {version} is no longer in the registry", version=gone[0]))
    folder = version_folder(place, entry.version)
    evidence = version_evidence(folder)
    if evidence is None or evidence.fingerprint() != entry.evidence:
        raise DataError(Message("its evidence is not the one that it was promoted on"))
    star, estimator = context.north_star.name, context.settings.gate.estimator
    if not one_measure(evidence.measures, context.north_star):
        raise DataError(
            Message(
                "it was judged when the settings measured {objective} in another way",
                objective=star,
            )
        )
    predicted = evidence.difference(estimator, star)
    if predicted is None or predicted.value is None or predicted.standard_error is None:
        raise DataError(
            Message(
                "its evidence has no {estimator} difference in {objective}",
                estimator=estimator,
                objective=star,
            )
        )
    return Followed(
        promise=Promise(
            version=entry.version,
            replaced=entry.champion_version,
            run_key=entry.run_key,
            test_nights=max(len(evidence.gate_nights), 1),
            level=1 - error_tested_at(entries, entry.run_key, context.settings.gate),
            predicted=predicted,
            with_nights=predicted_with_nights(predicted, evidence.outlook),
            served_as=context.settings.registry.policy_id(entry.version),
        ),
        policy=load_champion(context, entry.version),
        replaced=load_champion(context, entry.champion_version),
        reward_model=_reward_model(
            context.run("learn_behaviour", evidence.candidate or entry.run_key)
        ),
    )


def _reward_model(behaviour: StageFolder) -> Scorer | None:
    from mrlm.behaviour.ensemble.storage import load_reward_model

    if behaviour.manifest() is None:
        return None
    return load_reward_model(behaviour.path("reward_model"))
