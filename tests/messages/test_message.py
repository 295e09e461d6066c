"""Messages are texts that remember what they were made of."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from mrlm.messages.message import Joined, Message, Name, recorded, restored
from mrlm.messages.translation import translated

WHY = Joined("; ", [Message("position {group}", group=3), "typed by hand"])
TOLD = Message("the {what} is not certified: {why}", what=Name("popularity"), why=WHY)
MADE = [TOLD, WHY, Name("item mean"), Message("its promise")]


def test_a_message_is_its_english_text() -> None:
    assert TOLD == "the popularity is not certified: position 3; typed by hand"
    assert json.loads(json.dumps([TOLD])) == [str(TOLD)]
    assert translated(TOLD, "en") == TOLD


def test_a_message_is_told_in_another_language_with_all_that_it_holds() -> None:
    assert translated(TOLD, "zh") == "流行度不可信：位置 3；typed by hand"


def test_what_is_no_message_is_shown_as_it_is() -> None:
    assert translated("champion", "zh") == "champion"
    assert translated(Message("never said"), "zh") == "never said"
    assert translated(Name("x"), "zh") == "x"


@pytest.mark.parametrize("made", MADE)
def test_copies_keep_the_parts(made: Message) -> None:
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (type(again), again, again.template) == (type(made), made, made.template)
        assert translated(again, "zh") == translated(made, "zh")


@pytest.mark.parametrize("made", MADE)
def test_the_record_of_messages_gives_them_back(made: Message) -> None:
    data = {"a": [made], "b": "plain", "c": 1}
    stored = json.loads(json.dumps([data, recorded(data)], allow_nan=False))
    found = restored(*stored)
    assert found == data
    assert translated(found["a"][0], "zh") == translated(made, "zh")
    assert type(found["b"]) is str


def test_a_record_holds_numbers_that_json_does_not() -> None:
    made = Message("{lower} to {upper}", lower=float("nan"), upper=float("inf"))
    record = json.loads(json.dumps(recorded(made), allow_nan=False))
    assert translated(restored(str(made), record), "zh") == "nan 至 inf"


def test_a_record_cannot_change_a_text() -> None:
    record = recorded(Message("its promise"))
    forged = {"another text": next(iter(record.values()))}
    assert type(restored("another text", forged)) is str
