"""The peers by name, the settings that each is tried with, and how these are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks._demonstration import FIT_NIGHTS, demonstration, nights_of, seeds, settings
from benchmarks.learners._peers import als, ipw_learner, trees
from benchmarks.learners._peers.baselines import SimpleBaseline
from benchmarks.learners._peers.contract import HeldBack, Peer, Score
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.learners.baselines import BASELINES
from mrlm.learners.choice import choose
from mrlm.learners.inputs import LearningSample, learning_sample

ITEM_MEAN, TREES = "item mean", "boosted trees"


@dataclass(frozen=True)
class Entry:
    """A peer.

    Attributes:
        tried: its settings.
        every_log: whether they are tried on each log anew; else on the first one, for all.
        package: that it needs, where not every installation has it.
    """

    tried: Sequence[Peer]
    every_log: bool
    package: str = "numpy"


_FIELD: Mapping[str, Entry] = {
    **{n.replace("_", " "): Entry((SimpleBaseline(n),), every_log=True) for n in BASELINES},
    TREES: Entry(trees.SETTINGS, every_log=False),
    "ALS (implicit)": Entry(als.SETTINGS, every_log=True, package="implicit"),
    "IPWLearner (obp 0.4.1)": Entry(ipw_learner.SETTINGS, every_log=False, package="obp"),
}


def field() -> dict[str, Entry]:
    """The peers whose package is installed."""
    return {name: e for name, e in _FIELD.items() if find_spec(e.package) is not None}


def sample_of(log: BanditLog) -> LearningSample:
    """What a night learns from on these fit nights, at the weights of the north star alone."""
    of, star = settings(), north_star(log.objectives).name
    model = fit_reward_model(log, of.behaviour, of.seed)
    return learning_sample(log, model, {star: 1.0}, of.learning, of.seed)


def tuned_peers(users: int | None, names: Sequence[str] | None = None) -> dict[str, str]:
    """The settings of each peer that the demonstration's own log chooses, by their name.

    Args:
        users: the first so many of them; None takes all.
        names: of the peers; None takes all that are installed.
    """
    world = demonstration(seeds(1)[0], users)
    sample = sample_of(world.on_nights(nights_of(world)[:FIT_NIGHTS]).log)
    return {
        name: _chosen(entry.tried, sample).name
        for name, entry in field().items()
        if names is None or name in names
    }


def fitted_peer(
    name: str, log: BanditLog, sample: LearningSample, settings_of: Mapping[str, str]
) -> Score:
    """A peer on every decision of the fit nights.

    Args:
        name: of the peer.
        log: of the fit nights.
        sample: of that log.
        settings_of: by peer, the settings that the first log chose.
    """
    entry = field()[name]
    if entry.every_log:
        peer = _chosen(entry.tried, sample)
    else:
        (peer,) = (p for p in entry.tried if p.name == settings_of[name])
    # Statistics of a row's own item come from members that never saw the row's user.
    shown, _ = sample.reward_model.encode_cross_fitted(shown_only(log))
    return peer.fit(log, shown)


def _chosen(among: Sequence[Peer], sample: LearningSample) -> Peer:
    if len(among) == 1:
        return among[0]
    found = choose(sample, [HeldBack(p) for p in among], settings().learning.floor)
    return next(p for p in among if p.name == found.best)
