"""Alternating least squares of ``implicit``: a user is what the history says at the decision.

Item factors are fitted to the likes of the fit nights, one row a user. At a decision the user's
factors are solved from the history that is logged with it, as the package does for new
interactions (``recalculate_user``), so nothing is known of the user that our models do not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.learners._peers.contract import Floats, Score
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.users import group
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.embeddings.user_state import Entries


@dataclass(frozen=True)
class Als:
    """Matrix factorisation of implicit feedback: Hu, Koren and Volinsky (2008).

    Attributes:
        factors: width.
        regularisation: of factors.
        confidence: of a like.
        dislike: confidence of an item that was shown and not liked; 0: it counts as unseen.
    """

    factors: int
    regularisation: float
    confidence: float
    dislike: float

    @property
    def name(self) -> str:
        """Its settings."""
        return (
            f"{self.factors} factors, regularisation {self.regularisation:g}, confidence "
            f"{self.confidence:g} and {self.dislike:g}"
        )

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """See ``Peer``."""
        from implicit.cpu.als import AlternatingLeastSquares

        users, user = group(log.decisions.user)
        items = len(log.decisions.catalog)
        like = log.rewards[:, log.column("like")]
        model = AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularisation,
            alpha=1.0,
            iterations=15,
            num_threads=1,
            random_state=0,
        )
        model.fit(self._matrix(like, user, shown.item, (len(users), items)), show_progress=False)

        def score(decisions: Decisions, features: PairFeatures) -> Floats:
            entries = Entries.of(decisions)
            history, like = entries.items, entries.values[:, 0]
            state = self._matrix(like, history.row, history.values, (len(decisions), items))
            own = model.recalculate_user(np.arange(len(decisions)), state)
            return np.einsum(
                "nf,nf->n", own[features.row], model.item_factors[features.item]
            ).astype(np.float64)

        return score

    def _matrix(
        self, like: np.ndarray, row: np.ndarray, item: np.ndarray, shape: tuple[int, int]
    ) -> csr_matrix:
        # The package takes a negative number as the confidence that there is no preference.
        entry = np.where(like > 0.5, self.confidence, -self.dislike)
        kept = np.isfinite(like) & (entry != 0.0)
        return csr_matrix((entry[kept], (row[kept], item[kept])), shape, dtype=np.float32)


SETTINGS = (
    Als(16, 1.0, 4.0, 0.0),
    Als(16, 10.0, 4.0, 2.0),
    Als(32, 10.0, 10.0, 4.0),
)
