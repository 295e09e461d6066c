from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.evidence.scored_log import scored_log
from tests.evidence.arrays import OBJECTIVES, Heads, Prefers, chances, make_log

NIGHTS = ("2026-11-01", "2026-11-02")


@dataclass(frozen=True)
class Listens:
    """A reward model and a policy that keep which decisions they were asked of."""

    asked: list[Decisions] = field(default_factory=list)
    columns: tuple[str, ...] = ("delight", "like")
    kind: str = "listens"
    name: str = "listens"
    floor: float = 0.0

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        self.asked.append(decisions)
        return Heads().score(decisions)

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        return self.log_probabilities(decisions)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        self.asked.append(decisions)
        return Prefers(0.4).log_probabilities(decisions)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_probabilities_and_predictions_are_those_of_policies_and_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, policy = make_log(n=60), Prefers(0.4)
    whole = scored_log(log, {"a": policy}, Heads())
    assert whole.probabilities["a"] == pytest.approx(chances(policy, log).ravel(), abs=1e-12)
    assert whole.q is not None
    code = log.decisions.candidates.values
    assert [o.name for o in OBJECTIVES] == ["delight", "like", "fresh"]
    assert whole.q[:, 0] == pytest.approx(code / 5 + 0.3)
    assert (whole.q[:, 1:] == [0.5, 1.0]).all()
    monkeypatch.setattr("mrlm.bandit_log.decisions.BLOCK", 20)
    parts = scored_log(log, {"a": policy}, Heads())
    assert parts.probabilities["a"] == pytest.approx(whole.probabilities["a"], abs=1e-15)
    assert np.array_equal(parts.q, whole.q)
    assert scored_log(log, {}, None).q is None
    with pytest.raises(KeyError, match="like"):
        scored_log(log, {}, Heads(("delight",)))


def test_everybody_is_asked_of_one_block_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the very same decisions, so that what is kept of them serves all."""
    monkeypatch.setattr("mrlm.bandit_log.decisions.BLOCK", 20)
    one = Listens()
    scored_log(make_log(n=60), {"a": one, "b": one}, one)
    assert len(one.asked) > 6
    assert all(d is one.asked[i - i % 3] for i, d in enumerate(one.asked))


def test_what_was_said_of_a_night_is_found_by_its_decisions() -> None:
    log = make_log(n=60, nights=NIGHTS)
    whole = scored_log(log, {"a": Prefers(0.4)}, Heads())
    alone = log.on_nights(NIGHTS[1:])
    propensity = np.full(len(alone), 0.25)
    found = whole.of(replace(alone, propensity=propensity))
    assert found is not None
    assert (found.log.propensity == 0.25).all()
    again = scored_log(alone, {"a": Prefers(0.4)}, Heads())
    assert np.array_equal(found.probabilities["a"], again.probabilities["a"])
    assert np.array_equal(found.q, again.q)


def other_night(log: BanditLog) -> BanditLog:
    return replace(log, night=log.night + np.timedelta64(9, "D"))


def test_of_other_decisions_nothing_was_said() -> None:
    log = make_log(n=60, nights=NIGHTS)
    whole = scored_log(log, {"a": Prefers(0.4)}, None)
    one = log.on_nights(NIGHTS[:1])
    assert whole.of(one.take(np.arange(len(one) - 1))) is None
    assert whole.of(one.take(np.arange(len(one))[::-1])) is None
    assert whole.of(other_night(one)) is None
