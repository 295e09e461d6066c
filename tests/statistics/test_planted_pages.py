"""The planted versions are what the key says, and readers decided on each of them."""

from __future__ import annotations

import json

import pytest

from benchmarks.pages import ANSWERS
from benchmarks.pages.planted import PLANTED, verdict_of

# Of each kind one: promoted rightly, refused by the gate, and promoted though a reader must not.
PROMOTED = {"D": True, "E": False, "I": True}


@pytest.mark.statistics
@pytest.mark.parametrize("name", PROMOTED)
def test_the_gate_says_what_the_first_sentence_tells(name: str) -> None:
    """Fixed seeds; the planted effects are 4 standard errors and more from every limit."""
    assert verdict_of(name).promote is PROMOTED[name]


def test_readers_answered_on_every_page_with_a_reason() -> None:
    answers = json.loads(ANSWERS.read_text())
    assert len(answers) >= 2
    for given in answers.values():
        assert given.keys() == PLANTED.keys()
        assert all(a["answer"] in ("approve", "reject") for a in given.values())
        assert all(len(a["reason"]) > 10 for a in given.values())
