"""What networks over entries say of the rows that a model is fitted on: none of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.bandit_log.users import group
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
        user: int64 codes, shape (n,).
        fold: int64, shape (n,), of each row's user.
    """

    fit: FitRows
    space: FeatureSpace
    events: EntryRows
    user: NDArray[np.int64]
    fold: NDArray[np.int64]

    @classmethod
    def of(cls, fit: FitRows, space: FeatureSpace) -> SequenceRows:
        """Of all rows."""
        decisions, settings = fit.decisions, fit.settings.sequence
        pairs = distinct_pairs(decisions)
        lists = EventLists.of(pairs.states, settings.entries)
        places, histories = lists.places, decisions.histories
        of_row = lists.of_state[pairs.state]
        version = np.zeros(len(places), np.int64)
        version[of_row] = fit.inner
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
        fold = user_folds(decisions.user, settings.folds, crc("sequence"))
        return cls(fit, space, events, group(decisions.user)[1], fold)

    def model(self, rows: NDArray[np.int64], seed: int, told: Told | None = None) -> SequenceModel:
        """A model fitted to these rows; ``told`` as in ``fit_events``."""
        fit, settings = self.fit, self.fit.settings.sequence
        of_folds, every = fit.statistics_of_folds(rows), np.arange(len(self.events.bucket))
        versions = [
            of_folds.without(np.full(len(every), version), every)
            for version in range(len(of_folds.total))
        ]
        events = replace(self.events, statistics=np.stack(versions))
        network = fit_events(events, rows, self.user, fit.targets, fit.binary, settings, seed, told)
        return SequenceModel(network, settings, self.space, fit.statistics(rows))

    def outputs(
        self, rows: NDArray[np.int64], model: SequenceModel, seed: int
    ) -> NDArray[np.float64]:
        """Outputs for all n rows, (n, outputs).

        Args:
            rows: what ``model`` was fitted to. Each of them is read by a model that was fitted
                without its user's share of the users; the others by ``model``.
            model: of these rows.
            seed: as given for the model.
        """
        out = np.zeros(self.fit.targets.shape)
        held = np.setdiff1d(np.arange(len(out)), rows, assume_unique=True)
        out[held] = self._read(held, model)
        for k in range(self.fit.settings.sequence.folds):
            own = rows[self.fold[rows] == k]
            out[own] = self._read(own, self.model(rows[self.fold[rows] != k], seed))
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
