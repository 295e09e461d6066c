"""The ingestion of one first night in DuckDB: the peer, frozen, with our categories and outputs.

It reads the same files, finds the same reasons in the same order, and writes clean and late tables,
the catalogue and the quarantine as Parquet. Two threads and 6 GB. JSON lines are parsed once, into
Parquet, since rows are then read several times. Rows of JSON are quarantined without their line.

Run ``python -m benchmarks.ingest.duck job.json``: the counts are printed as JSON.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.ingest._process import Job, finish

THREADS = 2
MEMORY = "6GB"

IMPRESSIONS = """
    nullif(trim(request_id), '') AS request_id,
    TRY_CAST(ts AS TIMESTAMPTZ) AS ts,
    nullif(trim(user_id), '') AS user_id,
    NULL::VARCHAR AS session_id,
    coalesce(nullif(trim(scene), ''), 'default') AS scene,
    TRY_CAST(position AS INTEGER) AS position,
    nullif(trim(item_id), '') AS item_id,
    TRY_CAST(propensity AS DOUBLE) AS propensity,
    candidates,
    candidate_propensities,
    coalesce(lower(nullif(trim(propensity_kind), '')), 'conditional') AS propensity_kind,
    coalesce(nullif(trim(policy_id), ''), '') AS policy_id,
    NULL::MAP(VARCHAR, VARCHAR) AS context,
    (ts IS NOT NULL AND TRY_CAST(ts AS TIMESTAMPTZ) IS NULL)
        OR (position IS NOT NULL AND TRY_CAST(position AS INTEGER) IS NULL)
        OR (propensity IS NOT NULL AND TRY_CAST(propensity AS DOUBLE) IS NULL) AS wrong
"""
FEEDBACK = """
    nullif(trim(event_id), '') AS event_id,
    nullif(trim(request_id), '') AS request_id,
    nullif(trim(item_id), '') AS item_id,
    TRY_CAST(ts AS TIMESTAMPTZ) AS ts,
    nullif(trim(event), '') AS event,
    TRY_CAST(value AS DOUBLE) AS value,
    (ts IS NOT NULL AND TRY_CAST(ts AS TIMESTAMPTZ) IS NULL)
        OR (value IS NOT NULL AND TRY_CAST(value AS DOUBLE) IS NULL)
        OR NOT isfinite(TRY_CAST(value AS DOUBLE)) AS wrong
"""
ITEMS = """
    nullif(trim(item_id), '') AS item_id,
    nullif(trim(text), '') AS text,
    coalesce(list_distinct(string_split(category, '|')), []) AS categories,
    NULL::VARCHAR AS provider,
    MAP {}::MAP(VARCHAR, DOUBLE) AS attributes,
    NULL::TIMESTAMPTZ AS updated_at,
    false AS wrong
"""
# Of JSON lines, every scalar as the text that stands there.
FORMS = {
    "impressions": """{"request_id": "VARCHAR", "ts": "VARCHAR", "user_id": "VARCHAR",
        "scene": "VARCHAR", "position": "VARCHAR", "item_id": "VARCHAR", "propensity": "VARCHAR",
        "candidates": ["VARCHAR"], "candidate_propensities": ["DOUBLE"],
        "propensity_kind": "VARCHAR", "policy_id": "VARCHAR"}""",
    "feedback": """{"event_id": "VARCHAR", "request_id": "VARCHAR", "item_id": "VARCHAR",
        "ts": "VARCHAR", "event": "VARCHAR", "value": "VARCHAR"}""",
    "items": '{"item_id": "VARCHAR", "text": "VARCHAR", "category": "VARCHAR"}',
}
TYPES = {"impressions": IMPRESSIONS, "feedback": FEEDBACK, "items": ITEMS}

IMPRESSION_REASON = """CASE
    WHEN unparsable THEN 'unparsable'
    WHEN wrong OR propensity_kind NOT IN ('conditional', 'marginal', 'slate') THEN 'wrong_type'
    WHEN len(list_distinct(candidates)) <> len(candidates) THEN 'wrong_type'
    WHEN list_count(candidate_propensities) <> len(candidate_propensities) THEN 'wrong_type'
    WHEN len(candidate_propensities) <> len(candidates) THEN 'wrong_type'
    WHEN request_id IS NULL OR ts IS NULL OR item_id IS NULL OR position IS NULL
        THEN 'missing_field'
    WHEN user_id IS NULL THEN 'null_user'
    WHEN propensity IS NULL THEN 'missing_propensity'
    WHEN propensity <= 0 OR propensity > 1 OR isnan(propensity) THEN 'propensity_out_of_range'
    WHEN candidates IS NULL OR len(candidates) = 0 THEN 'no_candidates'
    WHEN NOT list_contains(candidates, item_id) THEN 'shown_not_in_candidates'
    WHEN list_has_any(candidates, (SELECT coalesce(list(id), []) FROM unknown))
        THEN 'unknown_item'
    WHEN ts >= $end THEN 'future_ts'
    WHEN user_id IN (SELECT user_id FROM bots) THEN 'bot'
    END"""
FEEDBACK_REASON = """CASE
    WHEN unparsable THEN 'unparsable'
    WHEN wrong THEN 'wrong_type'
    WHEN event_id IS NULL OR request_id IS NULL OR item_id IS NULL OR ts IS NULL
        OR event IS NULL OR value IS NULL THEN 'missing_field'
    WHEN ts >= $end THEN 'future_ts'
    END"""
ITEM_REASON = """CASE
    WHEN unparsable THEN 'unparsable'
    WHEN wrong THEN 'wrong_type'
    WHEN item_id IS NULL THEN 'missing_field'
    WHEN text IS NULL THEN 'no_text'
    END"""


def ingest(db: duckdb.DuckDBPyConnection, job: Job) -> dict[str, Any]:
    """Write the night's outputs; returns counts by table, and ``catalog``."""
    Path(job.out).mkdir(parents=True)
    for table, folder in job.tables.items():
        _read(db, table, folder, job)
    counts = {"items": _items(db, job)}
    counts["impressions"] = _impressions(db, job)
    counts["feedback"] = _feedback(db, job)
    _quarantine(db, job)
    counts["catalog"] = db.execute("SELECT count(*) FROM catalog").fetchone()[0]  # type: ignore[index]
    return counts


def _read(db: duckdb.DuckDBPyConnection, table: str, folder: str, job: Job) -> None:
    """Views ``raw_<table>`` with raw columns, and ``typed_<table>``, both with file and row."""
    files = f"{folder}/*.parquet"
    if job.form == "json":
        staging = Path(job.out, "staging", table)
        staging.mkdir(parents=True)
        db.execute(
            f"""COPY (
                SELECT raw, NOT coalesce(json_valid(raw), false) AS unparsable,
                    unnest(json_transform(CASE WHEN json_valid(raw) THEN raw END,
                        '{FORMS[table]}'))
                FROM read_csv('{folder}/*.json.gz', columns = {{'raw': 'VARCHAR'}}, delim = '\x01',
                    quote = '', escape = '', header = false)
                WHERE trim(raw) <> ''
            ) TO '{staging}/part.parquet' (FORMAT parquet, COMPRESSION lz4)"""
        )
        files = f"{staging}/*.parquet"
    db.execute(
        f"""CREATE VIEW raw_{table} AS
        SELECT {"*" if job.form == "json" else "*, false AS unparsable"},
            filename AS file, file_row_number AS row
        FROM read_parquet('{files}', filename = true, file_row_number = true)"""
    )
    db.execute(
        f"""CREATE VIEW typed_{table} AS
        SELECT file, row, unparsable, {TYPES[table]} FROM raw_{table}"""
    )


def _items(db: duckdb.DuckDBPyConnection, job: Job) -> dict[str, Any]:
    db.execute(
        f"""CREATE TEMP TABLE judged_items AS
        SELECT file, row, item_id, {ITEM_REASON} AS reason, row_number() OVER (
            PARTITION BY item_id, {ITEM_REASON} IS NULL ORDER BY updated_at, hash(text, categories)
        ) AS number
        FROM typed_items"""
    )
    counts = _categorise(db, "items", "false")
    db.execute(
        """CREATE TEMP TABLE catalog AS
        SELECT * FROM typed_items ANTI JOIN left_items USING (file, row)"""
    )
    _copy(db, job, "SELECT * EXCLUDE (file, row, unparsable, wrong) FROM catalog", "items")
    columns = "item_id, text, categories, provider, attributes"
    _copy(db, job, f"SELECT {columns} FROM catalog ORDER BY item_id", "catalog")
    return counts


def _impressions(db: duckdb.DuckDBPyConnection, job: Job) -> dict[str, Any]:
    db.execute(
        """CREATE TEMP TABLE unknown AS SELECT id FROM (
            SELECT DISTINCT unnest(candidates) AS id FROM typed_impressions
        ) WHERE id IS NOT NULL AND id NOT IN (SELECT item_id FROM catalog)"""
    )
    db.execute(
        f"""CREATE TEMP TABLE bots AS SELECT user_id FROM typed_impressions
        WHERE user_id IS NOT NULL GROUP BY user_id
        HAVING count(DISTINCT request_id) > {job.bot_requests}"""
    )
    db.execute(
        f"""CREATE TEMP TABLE judged_impressions AS
        SELECT *, row_number() OVER (
            PARTITION BY request_id, position, reason IS NULL ORDER BY ts, content
        ) AS number
        FROM (
            SELECT file, row, request_id, position, ts,
                {IMPRESSION_REASON.replace("$end", _end(job))} AS reason,
                hash(user_id, scene, item_id, propensity, candidates, candidate_propensities,
                    propensity_kind, policy_id) AS content
            FROM typed_impressions
        )"""
    )
    late = f"date_diff('day', ts::DATE, DATE '{job.night}') > {job.late_nights}"
    counts = _categorise(db, "impressions", late)
    columns = f"""request_id, ts, ts::DATE AS night, DATE '{job.night}' AS arrival,
        {_pseudonym("user_id", job.key.encode())} AS user, session_id, scene, position, item_id,
        propensity, candidates, candidate_propensities, propensity_kind, policy_id, context"""
    _clean_and_late(db, job, "impressions", columns)
    return counts


def _feedback(db: duckdb.DuckDBPyConnection, job: Job) -> dict[str, Any]:
    db.execute(
        """CREATE TEMP TABLE shown AS SELECT request_id, item_id, min(ts::DATE) AS impression_night
        FROM typed_impressions ANTI JOIN left_impressions USING (file, row)
        GROUP BY request_id, item_id"""
    )
    db.execute(
        f"""CREATE TEMP TABLE judged_feedback AS
        SELECT * EXCLUDE (content), row_number() OVER (
            PARTITION BY event_id, reason IS NULL ORDER BY ts, content
        ) AS number
        FROM (
            SELECT file, row, event_id, event, ts, impression_night,
                {FEEDBACK_REASON.replace("$end", _end(job))} AS reason,
                hash(request_id, item_id, event, value) AS content
            FROM typed_feedback LEFT JOIN shown USING (request_id, item_id)
        )"""
    )
    window = " ".join(f"WHEN '{event}' THEN {n}" for event, n in job.windows.items())
    late = f"date_diff('day', impression_night, DATE '{job.night}') > CASE event {window} END"
    counts = _categorise(db, "feedback", f"coalesce({late}, false)")
    columns = f"""event_id, request_id, item_id, ts, DATE '{job.night}' AS arrival, event, value,
        impression_night"""
    joined = "LEFT JOIN shown USING (request_id, item_id)"
    _clean_and_late(db, job, "feedback", columns, joined)
    return counts


def _categorise(db: duckdb.DuckDBPyConnection, table: str, late: str) -> dict[str, Any]:
    """Table ``left_<table>``: file, row, category and reason of all that is not clean."""
    db.execute(
        f"""CREATE TEMP TABLE left_{table} AS SELECT file, row, category, reason FROM (
            SELECT file, row, reason, CASE
                WHEN reason IS NOT NULL THEN 'quarantined'
                WHEN number > 1 THEN 'duplicate'
                WHEN {late} THEN 'late'
                END AS category
            FROM judged_{table}
        ) WHERE category IS NOT NULL"""
    )
    raw = db.execute(f"SELECT count(*) FROM judged_{table}").fetchone()[0]  # type: ignore[index]
    found = db.execute(
        f"SELECT category, reason, count(*) FROM left_{table} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    plain = {c: n for c, _, n in found if c != "quarantined"}
    return {
        "raw": raw,
        "clean": raw - sum(n for *_, n in found),
        "duplicate": plain.get("duplicate", 0),
        "late": plain.get("late", 0),
        "quarantined": {r: n for c, r, n in found if c == "quarantined"},
    }


def _clean_and_late(
    db: duckdb.DuckDBPyConnection, job: Job, table: str, columns: str, joined: str = ""
) -> None:
    rows = f"SELECT {columns} FROM typed_{table} {joined}"
    _copy(db, job, f"{rows} ANTI JOIN left_{table} USING (file, row)", table)
    late = f"(SELECT file, row FROM left_{table} WHERE category = 'late')"
    _copy(db, job, f"{rows} SEMI JOIN {late} USING (file, row)", f"late/{table}")


def _quarantine(db: duckdb.DuckDBPyConnection, job: Job) -> None:
    text = "raw" if job.form == "json" else "to_json(r)"
    parts = [
        f"""SELECT DATE '{job.night}' AS night, '{table}' AS "table", l.reason, r.file, r.row + 1
            AS line, {text}::VARCHAR AS raw
        FROM raw_{table} r JOIN left_{table} l ON r.file = l.file AND r.row = l.row
        WHERE l.category = 'quarantined'"""
        for table in job.tables
    ]
    _copy(db, job, " UNION ALL ".join(parts), "quarantine")


def _copy(db: duckdb.DuckDBPyConnection, job: Job, rows: str, name: str) -> None:
    folder = Path(job.out, name)
    folder.mkdir(parents=True, exist_ok=True)
    db.execute(f"COPY ({rows}) TO '{folder}/part.parquet' (FORMAT parquet, COMPRESSION snappy)")


def _end(job: Job) -> str:
    return f"(TIMESTAMPTZ '{job.night} 00:00:00+00' + INTERVAL 1 DAY)"


def _pseudonym(column: str, key: bytes) -> str:
    """The first 32 hexadecimal characters of HMAC-SHA256, RFC 2104."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner, outer = (f"unhex('{bytes(b ^ c for b in block).hex()}')" for c in (0x36, 0x5C))
    return f"substr(sha256({outer} || unhex(sha256({inner} || encode({column})))), 1, 32)"


def main() -> None:
    """Run the job in the JSON file that the first argument names."""
    job = Job.read(Path(sys.argv[1]))
    scratch = Path(job.out).with_name("duck-scratch")
    db = duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY})
    db.execute(f"SET temp_directory = '{scratch}'")
    db.execute("SET preserve_insertion_order = false")
    db.execute("SET TimeZone = 'UTC'")
    finish(lambda: ingest(db, job))
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
