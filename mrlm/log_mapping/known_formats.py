"""Logs whose format is known as a whole: VW dsjson, Personalizer's export, gittins.

Sources: VowpalWabbit wiki, "DSJSON"; gittins 2, spec/ope.md.
"""

from __future__ import annotations

from mrlm.log_mapping.column_facts import ColumnFacts, as_text, columns_of, listed_columns
from mrlm.log_mapping.proposal import TableMapping
from mrlm.log_mapping.sampled_files import Row, SampledTable

_LOOKED_AT = 200
# Where an action of dsjson has its id, the surest first.
_ACTION_IDS = ("_tag", "i.id", "id", "Id")


def known_mappings(sampled: SampledTable) -> list[TableMapping]:
    """The mappings of a log in a known format; none where it is in no such."""
    rows = sampled.rows[:_LOOKED_AT]
    if sampled.first.format != "json":
        return []
    decided = [r for r in rows if "_label_cost" in r and isinstance(r.get("a"), list)]
    if decided and all(isinstance(r.get("p"), list) for r in decided):
        return _dsjson(sampled, decided)
    if any("_outcomes" in r and "c" in r for r in rows):
        return _slots(sampled, [r for r in rows if "_outcomes" in r])
    if any(r.get("event") == "decision" and isinstance(r.get("record"), dict) for r in rows):
        return _gittins(sampled)
    return []


def _dsjson(sampled: SampledTable, rows: list[Row]) -> list[TableMapping]:
    name = "VW dsjson"
    if any("o" in r or "VWState" in r for r in rows):
        name = "Personalizer export (VW dsjson)"
    id_ = _action_id(rows)
    where = {"_label_cost": ["*"], "_skipLearn": ["", "false"]}
    item = f"c._multi[a[0]-1].{id_}" if id_ else "a[0]"
    candidates = f"c._multi[a[*]-1].{id_}" if id_ else "a"
    shown = {"request_id": "EventId", "user_id": "EventId", "ts": "Timestamp", "position": "=1"}
    shown |= {"item_id": item, "candidates": candidates, "candidate_propensities": "p"}
    shown |= {"propensity": "_label_probability"}
    made = {
        "user_id": "dsjson names no users: each decision counts as a user of its own. Where the "
        "context holds an id, name it here",
        "position": "one slot a decision",
    }
    if any(isinstance(r.get("VWState"), dict) and "m" in r["VWState"] for r in rows):
        shown["policy_id"] = "VWState.m"
    facts = _taken(sampled, where)
    fed = {"request_id": "EventId", "item_id": item, "ts": "Timestamp"}
    listed = "c._multi" if id_ else "a"
    items = {"item_id": f"c._multi[].{id_}" if id_ else "a[]", "text": f"{listed}[]"}
    found = [
        TableMapping("impressions", sampled, {**shown}, where=where, made=made, facts=facts),
        TableMapping(
            "feedback",
            sampled,
            {**fed},
            where=where,
            events={"reward": "-_label_cost"},
            facts=facts,
        ),
        _listed_items(sampled, items, listed, where),
    ]
    return [_named(m, name) for m in found]


def _slots(sampled: SampledTable, rows: list[Row]) -> list[TableMapping]:
    id_ = _action_id(rows) or "_tag"
    where = {"_outcomes": ["*"], "_skipLearn": ["", "false"]}
    item, among = (f"c._multi[_outcomes[]._a[{i}]].{id_}" for i in ("0", "*"))
    shown = {"request_id": "EventId", "user_id": "EventId", "ts": "Timestamp"}
    shown |= {"position": "_outcomes[#]", "item_id": item, "candidates": among}
    shown |= {"propensity": "_outcomes[]._p[0]", "candidate_propensities": "_outcomes[]._p"}
    fed = {"request_id": "EventId", "item_id": item, "ts": "Timestamp"}
    facts = _taken(sampled, where)
    made = {"user_id": "dsjson names no users: each decision counts as a user of its own"}
    events = {"reward": "-_outcomes[]._label_cost"}
    found = [
        TableMapping("impressions", sampled, {**shown}, "_outcomes", where, made=made, facts=facts),
        TableMapping("feedback", sampled, {**fed}, "_outcomes", where, events, facts=facts),
        _listed_items(
            sampled, {"item_id": f"c._multi[].{id_}", "text": "c._multi[]"}, "c._multi", where
        ),
    ]
    return [_named(m, "VW dsjson with slots") for m in found]


def _gittins(sampled: SampledTable) -> list[TableMapping]:
    where = {"event": ["decision"]}
    shown = {
        "request_id": "record.decision_id",
        "user_id": "record.decision_id",
        "ts": "record.t",
        "position": "=1",
        "item_id": "candidates[record.chosen][0]",
        "candidates": "candidates[*][0]",
        "propensity": "record.propensity",
        "context": "context",
    }
    made = {
        "user_id": "the experience log names no users: each decision counts as a user of its own",
        "position": "one slot a decision",
    }
    facts = _taken(sampled, where)
    fed = {"request_id": "decision_id"}
    fed_where = {"event": ["resolution"], "kind": ["rewarded"]}
    items = {"item_id": "candidates[][0]", "text": "candidates[][1]"}
    found = [
        TableMapping("impressions", sampled, {**shown}, where=where, made=made, facts=facts),
        TableMapping(
            "feedback",
            sampled,
            {**fed},
            where=fed_where,
            events={"reward": "reward"},
            facts=_taken(sampled, fed_where),
        ),
        _listed_items(sampled, items, "candidates", where),
    ]
    return [_named(m, "gittins experience log") for m in found]


def _listed_items(
    sampled: SampledTable, columns: dict[str, str], rows: str, where: dict[str, list[str]]
) -> TableMapping:
    return TableMapping("items", sampled, {**columns}, rows=rows, where=where, text_fields=["text"])


def _action_id(rows: list[Row]) -> str:
    facts = columns_of(rows)
    actions = facts.get("c._multi")
    listed = listed_columns(actions) if actions is not None else {}
    for name in _ACTION_IDS:
        column = listed.get(f"c._multi[*].{name}")
        if column is not None and column.share > 0.95:
            return name
    return ""


def _taken(sampled: SampledTable, where: dict[str, list[str]]) -> dict[str, ColumnFacts]:
    """Columns of the rows that a table takes."""
    return columns_of(r for r in sampled.rows if all(_holds(r, *w) for w in where.items()))


def _holds(row: Row, name: str, texts: list[str]) -> bool:
    value = row.get(name)
    if value is None:
        return "" in texts
    return "*" in texts or as_text(value) in texts


def _named(mapping: TableMapping, name: str) -> TableMapping:
    mapping.format_name = name
    return mapping
