"""Pages and memos made of hostile texts have the elements of those made of harmless ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markdown_it import MarkdownIt

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.report.facts import NightFacts
from mrlm.report.memo import decision_memo, first_champion_memo
from mrlm.report.review_page import render_review_page
from pipelines.cli import app
from tests.hostile import HOSTILE, LONG, Elements

WORDS = tuple(f"word{n}" for n in range(len(HOSTILE) + 1))
TEXTS = (*HOSTILE, "x<b>" * (LONG // 4))


def evidence(texts: tuple[str, ...]) -> Evidence:
    """Evidence and page parts that hold each text wherever a text may stand."""
    figures = {"p_value": 1.0, "quantiles": [1.0], "tail_index": None, "mean_weight": 1.0}
    figures |= {"effective_sample_size": 1.0, "largest_weight_share": 1.0, "unsupported_mass": 0.0}
    shares = {"target_share": 0.1, "weighted_share": 0.1, "p_value": 1.0, "gap": 0.0}
    support = {
        "loggers": dict.fromkeys(texts, 3),
        "groups": {"scene": [{"group": t, "rows": 1, "users": 1, **figures} for t in texts]},
        "items": [{"item_id": t, "offered": 1, "shown": 1, **shares} for t in texts],
    }
    return Evidence(
        run_key="2026-11-20-abc",
        night="2026-11-20",
        settings_fingerprint="s",
        code_version="c",
        champion_version=1,
        north_star="delight",
        gate_nights=("2026-11-18",),
        rows=10,
        users=5,
        data={t: t for t in texts},
        diagnostics={"challenger": {t: t for t in texts}},
        warnings=texts,
        support=support,
    )


def parts(texts: tuple[str, ...]) -> tuple[Evidence, Verdict, NightFacts]:
    checks = tuple(Check(t, False, t) for t in texts)
    facts = NightFacts(
        rows={t: {"raw": 1} for t in texts},
        validation=texts[0],
        failed_expectations=texts,
        reward_model={t: {"auc": 0.5} for t in texts},
        units=dict.fromkeys(("delight",), texts[-1]),
        links=dict.fromkeys(texts, "data_docs/index.html"),
    )
    return evidence(texts), Verdict(False, "; ".join(texts), checks), facts


def same(hostile: str, harmless: str) -> None:
    """Both have the same elements, and no character is hidden."""
    ours, theirs = Elements(hostile), Elements(harmless)
    assert ours.tags == theirs.tags
    assert ours.runs == theirs.runs
    for hidden in "\x1b\x07\u202e\u2066\u2028":
        assert hidden not in hostile


def test_review_pages_of_hostile_texts() -> None:
    page = render_review_page(*parts(TEXTS))
    same(page, render_review_page(*parts(WORDS)))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f"({LONG} characters)" in page
    assert len(page) < 300_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1]
    assert "script-src" not in policy[1]


def test_memos_of_hostile_texts() -> None:
    """Read by a parser that lets HTML through, as the registry's page might."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

    def html(texts: tuple[str, ...]) -> str:
        found, verdict, facts = parts(texts)
        memo = decision_memo(found, verdict, facts)
        return str(reader.render(memo + first_champion_memo("2026-11-20", *texts[:2])))

    same(html(TEXTS), html(WORDS))
    assert len(decision_memo(*parts(TEXTS))) < 50_000


def test_pages_of_ope_with_hostile_names(tmp_path: Path) -> None:
    def page(names: list[str]) -> str:
        rng = np.random.default_rng(0)
        columns = {"user_id": np.arange(200), "propensity": np.full(200, 0.5)}
        columns |= {f"target_probability_{n}": rng.uniform(0.2, 0.8, 200) for n in names}
        columns[f"reward_{names[0]}"] = rng.uniform(size=200)
        table, out = tmp_path / "table.parquet", tmp_path / "page.html"
        pq.write_table(pa.table(columns), table)
        app(["ope", "--json", "--html", str(out), "--", str(table)], standalone_mode=False)
        return out.read_text()

    names = [t for t in HOSTILE if t.startswith(("<script", "$", "[/]", "--"))]
    same(page(names), page([f"word{n}" for n in range(len(names))]))
