"""What a language model says of the rows that a behaviour model is fitted on: none of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.language.checkpoints import Checkpoints
from mrlm.behaviour.language.fine_tuning import TextRows, fine_tune
from mrlm.behaviour.language.rendering import history_texts, item_texts, pair_texts
from mrlm.behaviour.language.texts import TextReader, text_reader
from mrlm.behaviour.language.tuned_model import LanguageModel, language_outputs, parts
from mrlm.behaviour.language_settings import LanguageSettings


@dataclass(frozen=True)
class LanguageRows:
    """n shown items of the fit nights, of which language models are tuned to some.

    Attributes:
        decisions: with the shown item as the only candidate.
        drawn: int64, the rows that may be tuned on, in the order in which they were drawn.
        place: int64, shape (n,), the row of ``rows`` of each that was drawn; -1 of the others.
        rows: the drawn rows as texts.
        reader: reads them.
        fold: int64, shape (n,), of each row's user.
        settings: sizes and rates.
    """

    decisions: Decisions
    drawn: NDArray[np.int64]
    place: NDArray[np.int64]
    rows: TextRows
    reader: TextReader
    fold: NDArray[np.int64]
    settings: LanguageSettings

    @classmethod
    def of(
        cls,
        shown: Decisions,
        targets: NDArray[np.float64],
        binary: NDArray[np.bool_],
        settings: LanguageSettings,
        seed: int,
    ) -> LanguageRows:
        """Draw rows, so many that as good as any part of the users has ``settings.rows``.

        Args:
            shown: decisions with the shown item as the only candidate.
            targets: float64, shape (n, outputs), standardised where not binary; NaN where unknown.
            binary: bool, shape (outputs,).
            settings: sizes and rates.
            seed: of the draw.
        """
        known = np.flatnonzero(np.isfinite(targets).any(axis=1))
        drawn = np.random.default_rng(seed).permutation(known)[: 2 * settings.rows]
        reader = text_reader(settings)
        texts, numbers = _texts(shown.take(drawn), settings)
        place = np.full(len(targets), -1)
        place[drawn] = np.arange(len(drawn))
        return cls(
            decisions=shown,
            drawn=drawn,
            place=place,
            rows=TextRows(reader.tokens(texts), numbers, targets[drawn], binary),
            reader=reader,
            fold=user_folds(shown.user, settings.folds, crc("language")),
            settings=settings,
        )

    def model(self, rows: NDArray[np.int64], seed: int) -> LanguageModel:
        """A model tuned to the drawn ones among these rows, at most ``settings.rows`` of them."""
        own = self.drawn[np.isin(self.drawn, rows)][: self.settings.rows]
        of, settings = self.rows.of(self.place[own]), self.settings
        kept = self._kept(of, seed)
        network, _ = fine_tune(self.reader, of, settings, seed, kept)
        written = self.decisions.histories.objectives
        return LanguageModel.of(network, self.reader, settings, written)

    def outputs(
        self, rows: NDArray[np.int64], model: LanguageModel, seed: int
    ) -> NDArray[np.float64]:
        """``language_outputs`` of all n rows, (n, outputs).

        Args:
            rows: what ``model`` was tuned to. Each of them is read by a model that was tuned
                without its user's share of the users; the others by ``model``.
            model: of these rows.
            seed: as given for the model.
        """
        out = np.zeros((len(self.fold), model.outputs))
        held = np.setdiff1d(np.arange(len(self.fold)), rows, assume_unique=True)
        out[held] = self._read(held, model)
        for k in range(self.settings.folds):
            own = rows[self.fold[rows] == k]
            out[own] = self._read(own, self.model(rows[self.fold[rows] != k], seed))
        return out

    def _read(self, rows: NDArray[np.int64], model: LanguageModel) -> NDArray[np.float64]:
        pairs = distinct_pairs(self.decisions.take(rows))
        found: NDArray[np.float64] = language_outputs(pairs.states, [model])[0][pairs.pair]
        return found

    def _kept(self, rows: TextRows, seed: int) -> Checkpoints | None:
        if self.settings.checkpoints is None:
            return None
        # Where they lie says nothing about what is trained.
        what = self.settings.model_dump_json(exclude={"checkpoints", "checkpoint_steps"})
        key = rows.key(what, self.reader.base.fingerprint, str(seed))
        return Checkpoints(Path(self.settings.checkpoints) / key[:16], key)


def _texts(shown: Decisions, settings: LanguageSettings) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct texts of n rows, and which a row has, int64, shape (n, parts)."""
    written = shown.histories.objectives
    histories = history_texts(shown, written, settings.entries, settings.entry_characters)
    if parts(settings) == 1:
        columns = [pair_texts(shown, histories, text_reader(settings).cut)]
    else:
        columns = [histories, item_texts(shown.catalog, shown.candidates.values)]
    # A history and an item may read alike: their numbers may be shared, for texts are texts.
    texts = sorted({t for column in columns for t in column})
    number = {t: i for i, t in enumerate(texts)}
    place = [[number[t] for t in column] for column in columns]
    return texts, np.array(place, np.int64).reshape(len(columns), len(shown)).T
