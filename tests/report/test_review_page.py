from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.followed_promotions import Hindcast, HindcastCalibration, PromotionHindcast
from mrlm.evidence.outlook import NextNight, Outlook, Power
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.settings import GateSettings
from mrlm.report.facts import NightFacts
from mrlm.report.memo import decision_memo, first_champion_memo
from mrlm.report.plots import all_plots
from mrlm.report.review_page import render_review_page, write_review
from mrlm.report.simple_baselines import baseline_line, best_baseline

BARE = Evidence(
    run_key="2026-11-12/abc",
    night="2026-11-12",
    settings_fingerprint="f" * 64,
    code_version="c" * 64,
    champion_version=None,
    north_star="delight",
)
NOT_CERTIFIED = PolicyEstimate(
    value=0.4, reasons=("effective sample size 12 of 900 rows (at least 200)",), rows_needed=15000
)


def _estimate(value: float) -> PolicyEstimate:
    return PolicyEstimate(value, 0.01, 200.0, value - 0.02, value + 0.02, certified=True)


FULL = replace(
    BARE,
    run_key="2026-11-20/abc",
    night="2026-11-20",
    champion_version=1,
    fit_nights=("2026-11-14", "2026-11-15", "2026-11-16"),
    tune_nights=("2026-11-17",),
    gate_nights=("2026-11-19",),
    rows=900,
    users=201,
    data={"bandit_log": "d" * 64},
    policies={
        "challenger": {
            "dr": {"delight": _estimate(0.4), "like": _estimate(0.5)},
            "ips": {"delight": NOT_CERTIFIED},
        },
        "champion": {"dr": {"delight": _estimate(0.3), "like": _estimate(0.5)}},
        "uniform": {"dr": {"delight": PolicyEstimate(None)}},
    },
    differences={"dr": {"delight": _estimate(0.1), "like": _estimate(-0.001)}},
    diagnostics={
        "challenger": {
            "effective_sample_size": 712.34,
            "weight_histogram": {"edges": [0, 1, 2, 4], "counts": [500, 300, 100]},
        },
        "champion": {"effective_sample_size": 900},
    },
    weights={"delight": 0.7, "like": 0.3},
    guardrails={"like": 0.02},
    warnings=("mean of 1/propensity is 7 % above the candidate count",),
)
ANCHORED = replace(
    FULL,
    champion_version=4,
    anchor=AnchorComparison(
        1, {"delight": _estimate(0.2), "like": _estimate(-0.015)}, (2, 4), ("like",)
    ),
)
FACTS = NightFacts(
    rows={"impressions": {"raw": 10, "clean": 8, "duplicate": 1, "late": 0, "bot": 1}},
    validation="passed",
    items={"encoded": 3, "reused": 40},
    reward_model={"delight": {"auc": 0.741, "log_loss": 0.5}},
    distillation=[
        {
            "measure": "log_loss",
            "teacher": 0.51,
            "student": 0.52,
            "pair": 0.53,
            "to_teacher": {"value": 0.01, "lower": 0.006, "upper": 0.014, "better": False},
            "to_pair": {"value": -0.01, "lower": None, "upper": None, "better": None},
        }
    ],
    calibration={"delight": [(0.1, 0.12), (0.5, 0.48)]},
    truth={"challenger": 0.391, "champion": 0.305},
    units={"delight": "share"},
    limited_by=["an effective sample size of 500 of 3560 decisions"],
    scenes=("home", "more"),
    floors={"effective providers": {"least": 12.0, "champion": 8.25, "chosen": 12.5}},
    strategies={"ips_grid": {"lift": 0.0312, "lower": -0.0177}},
    links={"data docs": "data_docs/index.html", "trap": "javascript:alert(1)"},
)
VERDICT = judge(FULL, GateSettings())


def test_the_page_shows_what_decides() -> None:
    page = render_review_page(FULL, VERDICT, FACTS)
    assert "the gate would promote it" in page
    for shown in (
        "+0.1 [+0.08, +0.12]",
        "effective providers 12.5 of 12 asked for, the champion 8.25",
        "0.391",
        "712.3",
        "15000 decisions needed",
        "effective sample size 12",
        "2026-11-14, 2026-11-15, 2026-11-16",
        "data_docs/index.html",
        "mean of 1/propensity",
        "0.741",
        "3 encoded, 40 reused",
        "The step was limited by an effective sample size of 500 of 3560 decisions.",
        "ips grid",
        "-0.0177",
    ):
        assert shown in page
    assert page.count("data:image/png;base64,") == 5
    assert "javascript:" not in page


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_review_page(FULL, VERDICT, FACTS)
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "<script" not in page
    assert "@import" not in page


@pytest.mark.parametrize("verdict", [None, judge(BARE, GateSettings()), VERDICT])
@pytest.mark.parametrize("evidence", [BARE, FULL, replace(FULL, gate_nights=(), differences={})])
@pytest.mark.parametrize("facts", [NightFacts(), FACTS])
def test_partial_nights_have_a_page_and_a_memo(
    evidence: Evidence, verdict: Verdict | None, facts: NightFacts
) -> None:
    page = render_review_page(evidence, verdict, facts)
    assert page.rstrip().endswith("</html>")
    assert evidence.night in page
    memo = decision_memo(evidence, verdict, facts)
    assert memo.startswith(f"## Night {evidence.night}")
    assert "None" not in page + memo
    assert "nan" not in memo


def test_a_night_without_champion_says_so() -> None:
    page = render_review_page(BARE, judge(BARE, GateSettings()))
    assert "there is no champion yet" in page
    assert "the gate refuses it" in page
    assert "install one" in page


def test_markup_in_the_data_stays_text() -> None:
    nasty = "<script>alert(1)</script>"
    found = replace(FULL, warnings=(nasty,), weights={nasty: 1.0}, data={nasty: nasty})
    page = render_review_page(found, None, NightFacts(validation=nasty, links={nasty: "x"}))
    assert nasty not in page
    assert "&lt;script&gt;" in page
    memo = decision_memo(replace(FULL, warnings=("a | b\nc", nasty)))
    assert "a \\| b c" in memo
    assert "<script>" not in memo


def test_the_memo_is_a_table_a_reviewer_can_read() -> None:
    memo = decision_memo(FULL, VERDICT, FACTS)
    rows = [line for line in memo.splitlines() if line.startswith("|")]
    assert len({r.replace("\\|", "").count("|") for r in rows}) == 1
    assert rows[2].startswith("| delight **north star** (share) | 0.4 [0.38, 0.42] |")
    assert "- ✅ delight: challenger - champion = +0.10000" in memo
    assert "champion version 1, on 900 decisions of 201 users" in memo
    assert "2026-11-14 to 2026-11-16 (3)" in memo
    assert "like 0.3. The step was limited by an effective sample size of 500" in memo
    own = "With weights of their own"
    assert f"{own}: home, more;" in memo
    assert own not in decision_memo(FULL, VERDICT, replace(FACTS, scenes=()))
    dust = replace(FULL, weights={"delight": 1.0, "like": 1.4e-17})
    assert "delight 1, like 0." in decision_memo(dust, VERDICT, FACTS)
    alone = decision_memo(FULL, VERDICT, replace(FACTS, limited_by=[]))
    assert "The evidence alone limited the step" in alone
    assert "limited" not in decision_memo(FULL, VERDICT, replace(FACTS, limited_by=None))
    assert "first champion" in first_champion_memo("2026-11-12", "logger", "clone of the logger")


def test_a_part_of_a_large_log_is_told() -> None:
    some = replace(FULL, logged=90_000)
    assert "on 900 decisions of 201 users, out of 90000 decisions." in decision_memo(some)
    assert "90000 decisions; those of some users are read" in render_review_page(some)
    assert "those of some users" not in render_review_page(FULL)


def test_the_review_is_written_whole(tmp_path: Path) -> None:
    memo = write_review(tmp_path / "pages", FULL, VERDICT, FACTS)
    names = {p.name for p in (tmp_path / "pages").iterdir()}
    plots = {"intervals", "differences", "weights", "importance_weights", "calibration"}
    assert names == {"index.html", "memo.md"} | {f"{p}.png" for p in plots}
    assert (tmp_path / "pages" / "memo.md").read_text(encoding="utf-8") == memo


def test_plots_are_the_same_for_the_same_evidence_and_absent_without_data() -> None:
    one = all_plots(FULL, FACTS.truth, FACTS.calibration, "dr")
    assert one == all_plots(FULL, FACTS.truth, FACTS.calibration, "dr")
    assert all(png.startswith(b"\x89PNG") for png in one.values())
    assert all_plots(BARE, {}, {}, "dr") == {}


def _promotion(version: int, realised: float, *, alarm: bool) -> PromotionHindcast:
    return PromotionHindcast(
        version=version,
        replaced=version - 1,
        run_key=f"2026-11-1{version}/abc",
        nights=("2026-11-17", "2026-11-18"),
        predicted=_estimate(0.1),
        promised=0.0785,
        realised=_estimate(realised),
        covered=not alarm,
        alarm=alarm,
        reason=f"version {version}: it falls short <roll back>" if alarm else "kept",
    )


SUPPORT = {
    "groups": {
        "all": [
            {
                "group": "all",
                "rows": 900,
                "users": 201,
                "effective_sample_size": 712.34,
                "largest_weight_share": 0.0123,
                "mean_weight": 1.01,
                "standard_error": 0.02,
                "p_value": 0.617,
                "quantiles": [0.8, 1.5, 3.25, 4.5],
                "tail_index": None,
                "unsupported_mass": 0.0,
            }
        ]
    },
    "items": [
        {
            "item": 3,
            "item_id": "film <3>",
            "offered": 40,
            "shown": 7,
            "target_share": 0.0321,
            "weighted_share": 0.0111,
            "standard_error": 0.01,
            "p_value": 0.0357,
            "gap": None,
        }
    ],
    "drift": [
        {
            "night": night,
            "rows": 450,
            "users": 99,
            "effective_share": share,
            "largest_weight_share": 0.02,
            "mean_weight": 0.99,
            "mean_weight_z": z,
            "unsupported_mass": None,
        }
        for night, share, z in (("2026-11-17", 0.789, None), ("2026-11-19", 0.654, -1.25))
    ],
    "propensity_calibration": [
        {
            "lower": 0.05,
            "upper": 0.5,
            "candidates": 900,
            "predicted": 0.1999,
            "observed": 0.2101,
            "z": 0.77,
        }
    ],
}
BEYOND = replace(
    FULL,
    support=SUPPORT,
    hindcast=Hindcast(
        (_promotion(1, -0.0321, alarm=True), _promotion(2, 0.1234, alarm=False)),
        HindcastCalibration(2, 0.5, 0.95, -0.0543, -0.2, 0.1),
        ("version 9 (x): its evidence is gone",),
    ),
    outlook=Outlook(
        0.0173,
        NextNight(0.1011, -0.0407, 0.2429, 0.95, 0.0501, 0.04, 5.0, 8),
        (Power(0.05, 0.015, 123456), Power(0.1, 0.03, None)),
    ),
)


def test_the_page_shows_hindcast_and_the_next_night() -> None:
    page = render_review_page(BEYOND, judge(BEYOND, GateSettings()), FACTS)
    for shown in (
        "Version 1 falls short",
        "mrlm rollback --from 1 --actor YOU",
        "&lt;roll back&gt;",
        "-0.0321 [-0.0521, -0.0121]",
        "+0.1234 [+0.1034, +0.1434]",
        "+0.0785",
        "50 % (expected 95 %)",
        "-0.0543 [-0.2, +0.1]",
        "its evidence is gone",
        "+0.1011 [-0.0407, +0.2429] at 95 %",
        "0.0173",
        "123456",
    ):
        assert shown in page, shown
    assert 'id="hindcast"' in page
    assert "the gate refuses it" in page
    assert all_plots(BEYOND, {}, {}, "dr")["hindcast"].startswith(b"\x89PNG")


def test_an_alarm_of_another_version_proposes_nothing() -> None:
    page = render_review_page(replace(BEYOND, champion_version=7))
    assert "Version 1 falls short" in page
    assert "mrlm rollback" not in page


def test_the_memo_tells_hindcast_and_the_next_night() -> None:
    memo = decision_memo(BEYOND)
    assert "- **ALARM** version 1: promised +0.0785 or more" in memo
    assert "mrlm rollback --from 1" in memo
    assert "- version 2: promised" in memo
    assert "50% of 2 certified promotions" in memo
    assert "next night: +0.1011 [-0.0407, +0.2429]" in memo
    assert "to see a gain of 5% of the champion's: 123456 decisions (here 900)" in memo
    assert "None" not in memo


def test_the_page_shows_what_supports_the_challenger() -> None:
    page = render_review_page(BEYOND)
    shown = ("0.617", "0.8, 1.5, 3.25, 4.5", "film &lt;3&gt;", "0.0321", "0.0111", "0.0357")
    for text in (*shown, "2026-11-19 (gate)", "0.654", "-1.25", "0.1999", "0.2101"):
        assert text in page, text
    assert "2026-11-17 (gate)" not in page
    assert {"drift", "propensities"} <= set(all_plots(BEYOND, {}, {}, "dr"))


ESTIMATED = {
    "estimated": True,
    "estimated_share": 0.4321,
    "log_loss": 1.0123,
    "uniform_log_loss": 1.7918,
    "calibration": SUPPORT["propensity_calibration"],
    "overlap": {"mean_weight": 1.0456, "p_value": 0.2789},
    "no_hidden_confounding": False,
    "bounds": [
        {
            "policy": "challenger",
            "objective": "delight",
            "gamma": 1.5,
            "value_lower": 0.3111,
            "value_upper": 0.4444,
            "lower": 0.2999,
            "upper": None,
            "level": 0.95,
        }
    ],
}


def test_the_page_says_that_propensities_are_estimated_and_how_far_they_may_be_off() -> None:
    found = replace(FULL, propensities="estimated", support={"estimated_propensities": ESTIMATED})
    page = render_review_page(found)
    for shown in ("Propensities are estimated", "43.2 %", "1.012", "1.046", "0.3111 to 0.4444"):
        assert shown in page, shown
    assert "[0.2999, –]" in page
    assert "the propensities of the gate nights are estimated" in decision_memo(found)
    assert "Propensities are estimated" not in render_review_page(FULL)


def test_the_page_names_several_loggers() -> None:
    apart = {**FULL.differences, "dr (stratified)": {"delight": _estimate(0.0987)}}
    found = replace(FULL, support={"loggers": {"a": 600, "b": 300}}, differences=apart)
    page = render_review_page(found)
    assert "a (600), b (300)" in page
    assert "+0.0987 [+0.0787, +0.1187] (dr (stratified))" in page


def test_page_and_memo_show_the_challenger_against_the_logger() -> None:
    policies = {**FULL.policies, "logger": {"dr": {"delight": _estimate(0.345)}}}
    against = {"dr": {"delight": _estimate(0.0551)}}
    found = replace(FULL, policies=policies, logger_differences=against)
    memo = decision_memo(found, judge(found, GateSettings()))
    page = render_review_page(found, judge(found, GateSettings()))
    for text in (memo, page):
        assert "0.345 [0.325, 0.365]" in text
        assert "+0.0551 [+0.0351, +0.0751]" in text
        assert "challenger - logger = +0.05510" in text


def test_the_first_champions_memo_shows_what_was_tried() -> None:
    memo = first_champion_memo("2026-11-12", "clone", "closest", ["plain: far", "rich: near"])
    assert memo.index("- plain: far") < memo.index("- rich: near")


def _against(**differences: PolicyEstimate) -> Evidence:
    """FULL with simple baselines, each with a value of its own and the challenger's difference."""
    values = {n: {"dr": {"delight": _estimate(0.21 + 0.01 * i)}} for i, n in enumerate(differences)}
    return replace(
        FULL,
        policies=FULL.policies | values,
        baseline_differences={n: {"delight": e} for n, e in differences.items()},
    )


BEATEN = _against(item_mean=_estimate(0.05), popularity=_estimate(0.0301))
NOT_BEATEN = _against(
    item_mean=_estimate(0.015), popularity=_estimate(0.05), nearest_neighbours=_estimate(-0.0042)
)
UNSURE = _against(item_mean=_estimate(0.05), recent_popularity=NOT_CERTIFIED)
BOTH = _against(recent_popularity=NOT_CERTIFIED, item_mean=_estimate(0.015))


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (BEATEN, "it beats every simple baseline"),
        (
            NOT_BEATEN,
            "not shown to beat nearest neighbours: difference -0.0042 [-0.0242, +0.0158]",
        ),
        (
            UNSURE,
            "not shown to beat recent popularity: difference +0.4 (no interval: not certified)",
        ),
        (BOTH, "not shown to beat item mean: difference +0.015 [-0.005, +0.035]"),
        (
            _against(item_mean=_estimate(0.02)),
            "not shown to beat item mean: difference +0.02 [+0, +0.04]",
        ),
        (FULL, ""),
    ],
)
def test_the_first_line_says_whether_every_simple_baseline_is_beaten(
    found: Evidence, line: str
) -> None:
    assert baseline_line(found) == line
    verdict = judge(found, GateSettings())
    expected = "the gate would promote it" + (f"; {line}" if line else "")
    memo = decision_memo(found, verdict)
    assert memo.splitlines()[0] == f"## Night 2026-11-20: {expected}"
    page = render_review_page(found, verdict)
    assert f"<strong>{expected}</strong>" in page
    # They never change the verdict.
    assert verdict == VERDICT


def test_page_and_memo_have_a_table_of_the_simple_baselines() -> None:
    facts = replace(FACTS, truth={**FACTS.truth, "nearest_neighbours": 0.2277})
    page, memo = (
        render_review_page(NOT_BEATEN, VERDICT, facts),
        decision_memo(NOT_BEATEN, None, facts),
    )
    row = "| nearest neighbours | 0.23 [0.21, 0.25] | -0.0042 [-0.0242, +0.0158] | 0.2277 |"
    assert row in memo
    assert row.removesuffix(" 0.2277 |") in decision_memo(NOT_BEATEN).splitlines()
    # The best one first.
    names = ("nearest neighbours", "popularity", "item mean")
    places = [memo.index(f"| {name} |") for name in names]
    assert places == sorted(places)
    table = page.split("Challenger against simple baselines")[1].split("</table>")[0]
    places = [table.index(f"<td>{name}</td>") for name in names]
    assert places == sorted(places)
    for shown in ("0.23 [0.21, 0.25]", "-0.0042 [-0.0242, +0.0158]", "0.2277"):
        assert shown in table
    assert "effective sample size 12" in render_review_page(UNSURE).split("against simple")[1]
    assert "simple baseline" not in render_review_page(FULL) + decision_memo(FULL)


def test_the_best_baseline_is_that_of_the_truth_where_it_is_known() -> None:
    truth = {"challenger": 0.9, "item_mean": 0.25, "popularity": 0.3, "nearest_neighbours": 0.2}
    assert best_baseline(NOT_BEATEN, truth, "dr") == "popularity"
    assert best_baseline(NOT_BEATEN, {"challenger": 0.9}, "dr") == "nearest_neighbours"
    assert best_baseline(FULL, truth, "dr") is None


def test_the_anchor_is_told_with_how_it_was_measured() -> None:
    memo = decision_memo(ANCHORED, judge(ANCHORED, GateSettings()))
    assert "The anchor is version 1" in memo
    assert "like: challenger - anchor -0.015 [-0.035, +0.005], accepted fall 0.02" in memo
    page = render_review_page(ANCHORED)
    assert "Challenger against the anchor" in page
    assert "<td>the same rows</td>" in page
    assert "<td>sum of the promotions since</td>" in page
    assert "under test since run 2026-11-19/abc" in decision_memo(
        replace(ANCHORED, candidate="2026-11-19/abc")
    )
    own = replace(ANCHORED, champion_version=1)
    assert "It is the champion" in render_review_page(own)
    assert "Challenger against the anchor" not in render_review_page(FULL)


def test_a_return_is_told_as_what_it_counts() -> None:
    facts = NightFacts(discounts={"delight": 0.9})
    told = "delight counts what follows in the session too"
    assert told in render_review_page(FULL, facts=facts)
    assert told in decision_memo(FULL, facts=facts)
    assert told not in render_review_page(FULL)
    assert "delight 还计入本次会话中后续的奖励" in render_review_page(
        FULL, facts=facts, language="zh"
    )


def test_every_table_scrolls_in_a_box_of_its_own() -> None:
    """A hash or a long interval then makes no page wider than a telephone."""
    page = render_review_page(FULL, VERDICT, FACTS)
    tables = page.count("<table>")
    assert tables > 5
    assert page.count('<div class="scroll" tabindex="0"><table>') == tables


def test_a_chinese_page_names_every_policy_in_chinese_and_no_figure_twice() -> None:
    policies = {
        name: {"dr": {"delight": _estimate(0.3)}}
        for name in ("challenger", "champion", "anchor", "item_mean", "nearest_neighbours")
    }
    figures = {"policy": "challenger", "objective": "delight", "effective_sample_size": 712.34}
    evidence = replace(FULL, policies=policies, diagnostics={"challenger": figures})
    page = render_review_page(evidence, VERDICT, FACTS, language="zh")
    cells = set(re.findall(r"<td[^>]*>([^<]*)</td>", page))
    assert {"锚", "物品均值", "最近邻", "712.3"} <= cells
    assert not {"anchor", "item_mean", "nearest_neighbours", "challenger"} & cells
