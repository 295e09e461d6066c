"""What a decision is told apart by: its scene, or how much its user had done before."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.decisions import Decisions
from mrlm.messages.message import Message

SegmentKind = Literal["scene", "history"]
# By the items of the user's history: new, known, well known.
HISTORY_BANDS = (Message("0 items"), Message("1 to 9 items"), Message("10 items or more"))
_EDGES = (1, 10)
_IN_WORDS = {str(band): Message("users with {group} before", group=band) for band in HISTORY_BANDS}


def segment_labels(decisions: Decisions, kind: SegmentKind) -> NDArray[Any]:
    """The segment of each decision, text, shape (n,): what is known of it when it is asked for."""
    return decisions.scene if kind == "scene" else history_bands(decisions)


def segment_in_words(label: str) -> str:
    """A segment as people name it: a scene by its name, a band by the users in it."""
    return _IN_WORDS.get(label, label)


def history_bands(decisions: Decisions) -> NDArray[np.object_]:
    """The band of ``HISTORY_BANDS`` of each decision's user, shape (n,)."""
    label = np.array([str(band) for band in HISTORY_BANDS], dtype=object)
    return label[np.digitize(decisions.looked_back_on().lengths, _EDGES)]
