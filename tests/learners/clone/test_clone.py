"""The clone of the logger: what it learns from, what it can follow, what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.first_gate.worlds import WORLDS, Drawn
from mrlm.bandit_log import BanditLog, Catalog
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.ragged import segment_sum
from mrlm.learners.clone import FORMS, Clone, clone_logger
from mrlm.policies.contract import Policy
from mrlm.policies.mixture import Mixture
from mrlm.worlds.latent import latent_log


@pytest.fixture(scope="module")
def log() -> BanditLog:
    """A log of a softmax over popularity with a floor."""
    return latent_log(n_users=60, decisions_per_user=5, n_candidates=8, seed=3)[0]


@pytest.fixture(scope="module")
def contextual() -> Drawn:
    return WORLDS["contextual"](0).draw(150, 1)


@pytest.fixture(scope="module")
def small(contextual: Drawn) -> BanditLog:
    """The decisions of 40 users of it."""
    return contextual.log.where(contextual.log.decisions.user < "u00040")


def _without(log: BanditLog, *, shown: bool) -> BanditLog:
    """The log without the candidates' propensities, and without the shown items' too."""
    gone = replace(log, candidate_propensity=np.full_like(log.candidate_propensity, np.nan))
    return replace(gone, propensity=np.full_like(log.propensity, np.nan)) if shown else gone


def _gap(policy: Policy, log: BanditLog) -> np.ndarray:
    return np.abs(np.exp(policy.log_probabilities(log.decisions)) - log.candidate_propensity)


def _true_gap(clone: Clone, drawn: Drawn) -> float:
    """Relative gap of the clone's true value to the logger's on these states."""
    offsets = drawn.log.decisions.offsets
    own = np.exp(clone.policy.log_probabilities(drawn.log.decisions))
    value, logger = (segment_sum(p * drawn.reward, offsets).mean() for p in (own, drawn.logger))
    return float(value / logger - 1)


def test_the_simplest_form_recovers_a_logger_of_its_kind(log: BanditLog) -> None:
    clone = clone_logger(log, "like")
    assert clone.passed
    assert [a.form for a in clone.tried] == ["item attributes"]
    assert _gap(clone.policy, log).max() < 1e-3


def test_the_shown_items_propensity_alone_is_enough(log: BanditLog) -> None:
    clone = clone_logger(_without(log, shown=False), "like")
    assert clone.passed
    assert _gap(clone.policy, log).max() < 0.01


def test_without_any_propensity_it_comes_close_and_claims_nothing(log: BanditLog) -> None:
    clone = clone_logger(_without(log, shown=True), "like")
    assert not clone.passed
    assert "tells no probability" in clone.text
    assert len(clone.tried) == len(FORMS)
    assert _gap(clone.policy, log).mean() < 0.04


def test_rows_of_every_kind_are_learned_from_together(log: BanditLog) -> None:
    mixed = np.arange(len(log)) % 3
    candidate = log.candidate_propensity.copy()
    candidate[np.repeat(mixed > 0, np.diff(log.decisions.offsets))] = np.nan
    propensity = np.where(mixed == 2, np.nan, log.propensity)
    part = replace(log, candidate_propensity=candidate, propensity=propensity)
    assert _gap(clone_logger(part, "like").policy, log).max() < 0.1


def test_a_logger_that_follows_the_user_is_followed(contextual: Drawn) -> None:
    clone = clone_logger(contextual.log, "click")
    assert clone.taken.form != "item attributes"
    assert clone.reads_embedding
    first, taken = clone.tried[0].fidelity, clone.taken.fidelity
    assert taken.divergence < 0.1 * first.divergence
    assert abs(taken.top_clone - taken.top_logger) < 0.1 * abs(first.top_clone - first.top_logger)
    assert abs(_true_gap(clone, contextual)) < 0.02


def test_loggers_by_lot_become_a_mixture_and_retired_ones_are_left_out() -> None:
    drawn = WORLDS["changing"](0).draw(200, 1)
    clone = clone_logger(drawn.log, "click")
    assert clone.passed
    assert isinstance(clone.policy, Mixture)
    assert len(clone.policy.policies) == 2
    assert sum(clone.policy.shares) == pytest.approx(1.0)


def test_loggers_of_a_scene_each_are_no_mixture(small: BanditLog) -> None:
    search = small.decisions.scene == "search"
    ids = np.where(search, "one", "other").astype(object)
    clone = clone_logger(replace(small, policy_id=ids), "click")
    assert all(a.loggers == 1 for a in clone.tried)


def test_a_logger_that_saw_more_than_the_log_is_not_said_to_be_reproduced(log: BanditLog) -> None:
    rng = np.random.default_rng(0)
    offsets = log.decisions.offsets
    p = rng.exponential(size=len(log.candidate_propensity))
    p /= segment_sum(p, offsets)[log.decisions.candidates.row]
    clone = clone_logger(replace(log, candidate_propensity=p, propensity=p[log.shown]), "like")
    assert not clone.passed
    assert "No form reproduces the logger" in clone.text
    assert "nats a decision (at most" in clone.text


def test_items_that_the_log_never_held_get_a_probability(small: BanditLog) -> None:
    known = small.decisions
    table = known.catalog.to_table()
    row = {
        "item_id": "new",
        "text": "",
        "categories": ["unheard of"],
        "provider": "",
        "attributes": [],
    }
    more = pa.concat_tables([table, pa.Table.from_pylist([row], schema=ITEMS_SCHEMA)])
    catalog = Catalog.from_table(more)
    embedding = np.zeros((len(catalog), known.catalog.embedding.shape[1]), np.float32)
    embedding[catalog.codes(known.catalog.item_id)] = known.catalog.embedding
    code = catalog.codes(known.catalog.item_id)

    def moved(ragged):  # type: ignore[no-untyped-def]
        return replace(ragged, values=code[ragged.values])

    candidates = moved(known.candidates)
    candidates.values[known.offsets[:-1]] = catalog.codes(np.array(["new"], object))[0]
    decisions = replace(
        known,
        catalog=catalog.with_embedding(embedding),
        candidates=candidates,
        histories=replace(known.histories, item=code[known.histories.item]),
        above=moved(known.above),
    )
    for form in ("features of state and item", "small network"):
        p = np.exp(FORMS[form](small, 0).log_probabilities(decisions))
        assert segment_sum(p, decisions.offsets) == pytest.approx(np.ones(len(decisions)))
        assert (p > 0).all()


def test_a_catalogue_without_attributes_and_embedding_is_cloned(small: BanditLog) -> None:
    bare = replace(small.decisions.catalog, attributes={}, embedding=None)
    log = replace(small, decisions=replace(small.decisions, catalog=bare))
    clone = clone_logger(log, "click")
    assert not clone.reads_embedding
    assert np.isfinite(clone.policy.log_probabilities(log.decisions)).all()


def test_the_same_log_gives_the_same_clone(log: BanditLog) -> None:
    hidden = _without(log, shown=False)
    for fit in FORMS.values():
        one, two = (fit(hidden, 7).log_probabilities(log.decisions) for _ in range(2))
        assert (one == two).all()


def test_an_empty_log_and_a_log_of_one_user(log: BanditLog) -> None:
    with pytest.raises(ValueError, match="no decisions"):
        clone_logger(log.take(np.array([], np.int64)), "like")
    alone = log.where(log.decisions.user == log.decisions.user[0])
    assert clone_logger(alone, "like").tried
