"""One member of an ensemble: what was learned without the users of one fold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.features.statistics import ItemStatistics
from mrlm.behaviour.language.tuned_model import LanguageModel, language_outputs
from mrlm.behaviour.networks.forward import PairForward
from mrlm.behaviour.networks.network import PairNetwork
from mrlm.behaviour.sequence.event_reader import MemberReader
from mrlm.behaviour.sequence.sequence_model import SequenceModel


@dataclass(frozen=True)
class FoldModel:
    """What was learned without the users of one fold.

    Attributes:
        network: of pair features with ``columns``.
        statistics: what happened with each item.
        factors: of each objective that the model reads the history by; none for pairs alone.
        language: reads the history's text; only for the model of that name.
        sequence: reads the history's entries; only for the model of that name.
    """

    network: PairNetwork
    statistics: ItemStatistics
    factors: tuple[ItemFactors, ...] = ()
    language: LanguageModel | None = None
    sequence: SequenceModel | None = None

    def columns(self, states: Decisions, taste: NDArray[np.floating]) -> NDArray[np.floating]:
        """What this fold knows of every candidate beside the pair features, (N, columns).

        Args:
            states: distinct ones, with N candidates in all.
            taste: ``taste_features`` of them by ``factors``.
        """
        statistics = self.statistics.table(states.catalog)[states.candidates.values]
        return np.concatenate([statistics, self.beside_statistics(states, taste)], axis=1)

    def beside_statistics(
        self, states: Decisions, taste: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """The same without what happened with each item."""
        more = [taste]
        if self.language is not None:
            more.append(language_outputs(states, [self.language])[0])
        if self._events is not None:
            more.append(self._events.outputs(states))
        return np.concatenate(more, axis=1) if len(more) > 1 else taste

    @cached_property
    def _events(self) -> MemberReader | None:
        return None if self.sequence is None else MemberReader(self.sequence)

    @cached_property
    def single(self) -> PairForward:
        """The network in float32, which is enough to learn from."""
        return PairForward.of([self.network], np.float32)
