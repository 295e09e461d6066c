"""What columns and events are called in logs."""

from __future__ import annotations

import re

_ROLES: dict[str, str] = {
    "request_id": "request req impression imp decision pageview slate query trace rank event "
    "recommendation serve display exposure list ranking requestid reqid impid",
    "ts": "ts time timestamp date datetime created at when t logged served clock stamp utc day dt "
    "tm ms epoch unix",
    "user_id": "user uid customer person visitor member client account cookie subscriber consumer "
    "buyer student reader player viewer listener guest shopper learner patient profile userid "
    "anonymous device usr cust vis mbr who",
    "session_id": "session sid visit sess sessionid",
    "scene": "scene page surface placement screen widget channel area module location campaign",
    "position": "position pos rank slot place index order row posn",
    "item_id": "item product sku article content movie film song track video ad creative doc "
    "document news offer arm action asin listing course book game post recipe banner job story "
    "title show podcast app restaurant hotel property goods material merchandise itemid iid pid "
    "choice chosen prod prd itm art vid mov",
    "propensity": "propensity pscore prob probability chance likelihood p pi proba pr prop",
    "candidates": "candidates candidate pool actions options choices available eligible arms "
    "offered items slate considered alternatives set",
    "candidate_propensities": "probabilities probs propensities distribution pmf chances p pi "
    "proba weights",
    "policy_id": "policy model algorithm algo variant logger strategy experiment arm version "
    "bucket treatment engine",
    "context": "context ctx features attributes env",
    "event_id": "event id uuid guid uid eventid key",
    "event": "event type kind action interaction behavior behaviour verb name signal activity",
    "value": "value rating amount reward dwell duration score price revenue stars strength seconds "
    "quantity watch ms",
    "text": "title name text description headline summary body label subject abstract",
    "category": "category genre genres categories tag tags topic topics class kind type department "
    "section",
    "provider": "provider brand publisher author seller studio artist vendor source maker owner",
    "updated_at": "updated modified changed update",
}
_WORDS = {role: frozenset(words.split()) for role, words in _ROLES.items()}
_ID_WORDS = frozenset(
    (
        *("id", "key", "uuid", "guid", "uid", "no", "num", "nr", "hash", "code", "ref", "pk"),
        *("urn", "uri", "url", "slug", "number", "idx"),
    )
)
_IDS = ("request_id", "user_id", "session_id", "item_id", "policy_id")

# Events of a log, by what they tell of the user.
FAMILIES: dict[str, str] = {
    "browse": "view pv browse impression open visit pageview page detail see display expose scroll "
    "read",
    "click": "click clicked tap clk press select ctr",
    "dwell": "dwell watch listen play stay duration stream finish complete watched playtime",
    "cart": "cart basket addtocart",
    "purchase": "purchase buy order bought transaction pay payment checkout conversion convert "
    "booking book subscribe install sale converted install",
    "rating": "rating rate rated star stars like liked dislike vote thumb thumbs score upvote "
    "downvote favorite favourite reward review",
    "share": "share shared repost forward retweet send",
    "complaint": "complaint complain report hide block flag refund return unsubscribe skip "
    "dissatisfied reject",
    "save": "bookmark save saved wishlist collect pin fav",
    "follow": "follow followed unfollow",
    "comment": "comment commented reply created",
}
_FAMILIES = {family: frozenset(words.split()) for family, words in FAMILIES.items()}
_FEEDBACK_MORE = frozenset(("reward", "cost", "label", "revenue", "gmv", "amount", "outcome"))


def tokens(name: str) -> list[str]:
    """The words of a name, lower case: ``personId`` and ``person_id`` are ``person, id``."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", spaced)
    return [t.lower() for t in re.split(r"[^a-zA-Z]+", spaced) if t]


def name_score(role: str, source: str) -> float:
    """How well a column's name fits a role: 0 not at all, 4 exactly.

    Args:
        role: a column of the contract.
        source: of the column; the last names of a path count.
    """
    # Some files write the type of a column behind its name.
    path = [p for p in re.split(r"[.\[\]`*#0-9]+", source.partition(":")[0]) if p]
    if not path:
        return 0.0
    leaf, known = tokens(path[-1]), _WORDS[role]
    if "".join(leaf) == role.replace("_", "") or path[-1].lower() == role:
        return 4.0
    if len(path) > 1 and set(leaf) <= _ID_WORDS:
        leaf = [*tokens(path[-2]), *leaf]
    glued = leaf[-1] if leaf else ""
    if role in _IDS and len(leaf) == 1 and glued.endswith("id") and glued[:-2] in known:
        return 3.5
    stem = [t for t in leaf if t not in _ID_WORDS] if role in _IDS else leaf
    has_id = len(stem) < len(leaf)
    if not stem:
        return 0.0
    if all(_known(t, known) for t in stem):
        return 3.0 + 0.5 * (role in _IDS and has_id)
    hits = sum(_known(t, known) for t in stem)
    # The last word of a name says what it is: an item_feature is no item.
    if not hits or (role in _IDS and not has_id and not _known(stem[-1], known)):
        return 0.0
    return 1.0 + 0.5 * _known(stem[-1], known) + 0.5 * (role in _IDS and has_id)


def _known(token: str, words: frozenset[str]) -> bool:
    return token in words or (token.endswith("s") and token[:-1] in words)


def event_family(kind: str) -> str:
    """The family of an event's kind; ``other`` where its name tells none."""
    words = tokens(kind)
    joined = "".join(words)
    for family in ("cart", *_FAMILIES):
        known = _FAMILIES[family]
        if joined in known or any(_known(w, known) for w in words):
            return family
    return "other"


def feedback_name(source: str) -> str:
    """The event that a column of impressions tells of, by its name; empty where it tells none."""
    path = [p for p in re.split(r"[.\[\]`*#]+", source.partition(":")[0]) if p]
    words = [
        w for w in tokens(path[-1]) if w not in ("is", "has", "was", "label", "n", "num", "did")
    ]
    whole = tokens(path[-1]) if path else []
    if len(words) > 3 or set(whole) & {"feature", "affinity", "policy", "propensity", "model"}:
        return ""
    if words and (event_family(" ".join(words)) != "other" or set(words) & _FEEDBACK_MORE):
        return "_".join(words)
    return "reward" if set(whole) & _FEEDBACK_MORE else ""
