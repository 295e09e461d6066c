"""What networks over entries say of the rows that a model is fitted on: none of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.behaviour.features.space import FeatureSpace, item_table, item_vectors
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.sequence.event_lists import EventLists
from mrlm.behaviour.sequence.event_reader import MemberReader, buckets_of, entry_values
from mrlm.behaviour.sequence.event_rows import EntryRows
from mrlm.behaviour.sequence.event_training import Told, fit_events
from mrlm.behaviour.sequence.sequence_model import SequenceModel
from mrlm.metrics.curves import Curves


@dataclass(frozen=True)
class SequenceRows:
    """n shown items of the fit nights as networks over entries learn from them.

    Attributes:
        fit: the rows.
        space: fitted scales.
        events: the same with what was seen before; each model has statistics of its own.
    """

    fit: FitRows
    space: FeatureSpace
    events: EntryRows

    @classmethod
    def of(cls, fit: FitRows, space: FeatureSpace) -> SequenceRows:
        """Of all rows."""
        decisions, settings = fit.decisions, fit.settings.sequence
        pairs = distinct_pairs(decisions)
        lists = EventLists.of(pairs.states, settings.entries)
        histories, folds = decisions.histories, fit.settings.statistics_folds
        # Users who have seen nothing share a list, and not the statistics that it is read by.
        own = lists.of_state[pairs.state] * folds + fit.outcomes.statistics_fold
        read, of_row = np.unique(own, return_inverse=True)
        of_read, version = np.divmod(read, folds)
        places = lists.places.take(of_read)
        events = EntryRows(
            vectors=item_vectors(item_table(space, decisions.catalog)),
            statistics=np.zeros((0, len(decisions.catalog), 0), np.float32),
            bucket=buckets_of(decisions.catalog.item_id, settings.buckets),
            entries=Ragged(places.offsets, histories.item[places.values].astype(np.int64)),
            values=entry_values(histories, space, places.values),
            version=version,
            of_row=of_row,
            seen=lists.seen[pairs.state],
            candidate=decisions.candidates.values.astype(np.int64),
        )
        return cls(fit, space, events)

    def model(
        self, fold: int, seed: int, told: Told | None = None, sequence_fold: int | None = None
    ) -> SequenceModel:
        """A model fitted without these folds' users; ``told`` as in ``fit_events``."""
        fit, settings = self.fit, self.fit.settings.sequence
        rows = np.flatnonzero(fit.outcomes.outside(fold, sequence_fold))
        of_folds = fit.statistics_of_folds(fold, sequence_fold)
        every = np.arange(len(self.events.bucket))
        versions = [
            of_folds.without(np.full(len(every), version), every)
            for version in range(len(of_folds.total))
        ]
        events = replace(self.events, statistics=np.stack(versions))
        network = fit_events(
            events, rows, fit.outcomes.user, fit.targets, fit.binary, settings, seed, told
        )
        statistics = fit.statistics(fold, sequence_fold)
        return SequenceModel(network, settings, self.space, statistics)

    def outputs(self, fold: int, model: SequenceModel, seed: int) -> NDArray[np.float64]:
        """Outputs for all n rows, (n, outputs).

        Args:
            fold: whose users ``model`` was fitted without: their rows are read by it. Each other
                row is read by a model that was fitted without its user's share of the other users
                too.
            model: of that fold.
            seed: as given for the model.
        """
        out, users = np.zeros(self.fit.targets.shape), self.fit.outcomes
        held = np.flatnonzero(users.fold == fold)
        out[held] = self._read(held, model)
        for k in range(self.fit.settings.sequence.folds):
            own = np.flatnonzero((users.fold != fold) & (users.sequence_fold == k))
            out[own] = self._read(own, self.model(fold, seed, sequence_fold=k))
        return out

    def _read(self, rows: NDArray[np.int64], model: SequenceModel) -> NDArray[np.floating]:
        pairs = distinct_pairs(self.fit.decisions.take(rows))
        return np.asarray(MemberReader(model).outputs(pairs.states)[pairs.pair])


def pass_told(fold: int, curves: Curves | None) -> Told | None:
    """Takes ``loss`` and ``held_back_loss`` under ``sequence/<fold>`` by pass, from 1."""
    if curves is None:
        return None
    own = curves.under(f"sequence/{fold}")

    def told(done: int, loss: float, held_back: float) -> None:
        own.add("loss", done, loss)
        own.add("held_back_loss", done, held_back)

    return told
