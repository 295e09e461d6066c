"""The decision memo: what a reviewer reads first, on the version's page in the registry."""

from __future__ import annotations

from collections.abc import Sequence

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.report.against_anchor import anchor_lines
from mrlm.report.beyond import hindcast_lines, outlook_lines
from mrlm.report.facts import NightFacts
from mrlm.report.figures_as_text import (
    NONE,
    floors_as_text,
    interval,
    number,
    scenes_as_text,
    step_as_text,
    weights_as_text,
)
from mrlm.report.for_whom import who_is_worse_off
from mrlm.report.plain_numbers import change_in_numbers, what_returns_count
from mrlm.report.simple_baselines import as_words, baseline_line, baselines_by_value
from mrlm.report.visible import markdown

_NO_FACTS = NightFacts()
# The registry cuts a long memo: no text may push the others out of it.
_LONGEST = 1000


def decision_memo(
    evidence: Evidence,
    verdict: Verdict | None = None,
    facts: NightFacts = _NO_FACTS,
    estimator: str = "dr",
) -> str:
    """Markdown: verdict, challenger against its rivals, nights, warnings, what is beyond.

    Args:
        evidence: of the version.
        verdict: of the gate; None before it was asked.
        facts: whatever else is known of the night.
        estimator: whose numbers are shown.
    """
    parts = [
        f"## Night {evidence.night}: {headline(verdict, evidence)}",
        _text(
            change_in_numbers(
                evidence, estimator, facts.yes_or_no, facts.units.get(evidence.north_star, "")
            )
        ),
        _reason(verdict),
        _bullets("Of the gate", [*map(_text, facts.notes)]),
        _bullets("Shown to be worse off", [*map(_text, who_is_worse_off(evidence))]),
        _table(evidence, facts, estimator),
        _bullets("Of the objectives", [*map(_text, what_returns_count(facts.discounts))]),
        _bullets("Against the anchor", [*map(_text, anchor_lines(evidence))]),
        _baselines(evidence, facts, estimator),
        _nights(evidence),
        _weights(evidence, facts),
        _bullets("Warnings", [*_estimated(evidence), *map(_text, evidence.warnings)]),
        _bullets("Beyond these nights", outlook_lines(evidence)),
        _bullets("Earlier promotions", hindcast_lines(evidence)),
        f"Run key `{evidence.run_key}`, evidence `{evidence.fingerprint()[:12]}`, "
        f"code `{evidence.code_version[:12]}`. Artifacts: `report/index.html`.",
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def headline(verdict: Verdict | None, evidence: Evidence) -> str:
    """The verdict in a few words, and whether the challenger beats every simple baseline."""
    told = _answer(verdict, evidence)
    beaten = baseline_line(evidence)
    return Message("{answer}; {beaten}", answer=told, beaten=beaten) if beaten else told


def first_champion_memo(night: str, policy: str, reason: str, tried: Sequence[str] = ()) -> str:
    """Markdown for the version that becomes the first champion, without evidence.

    Args:
        night: ISO date.
        policy: what it is.
        reason: why it was taken.
        tried: each form that was fitted, with what it reached.
    """
    parts = [
        f"## Night {night}: first champion",
        f"{_text(policy)}. {_text(reason)}",
        "It replaces nobody, so there is no evidence: later versions are compared with it, and "
        "with the logger of their own nights.",
        _bullets("Tried, from simple to rich", [*map(_text, tried)]),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _answer(verdict: Verdict | None, evidence: Evidence) -> Message:
    if evidence.stays:
        return Message("nothing is tested: the challenger is the champion itself")
    if verdict is None:
        return Message("not judged yet")
    if verdict.promote:
        return Message("the gate would promote it")
    if verdict.goes_on and evidence.trial_begins:
        return Message("its trial begins, and no night is judged yet")
    if verdict.goes_on:
        return Message("the gate refuses it, and the test goes on")
    return Message("the gate refuses it")


def _reason(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if not verdict.checks:
        return _text(verdict.reason)
    lines = [f"- {'✅' if c.passed else '❌'} {_text(c.text)}" for c in verdict.checks]
    return "\n".join(lines)


def _table(evidence: Evidence, facts: NightFacts, estimator: str) -> str:
    names = sorted(
        {*evidence.policies.get("challenger", {}).get(estimator, {}), evidence.north_star},
        key=lambda n: (n != evidence.north_star, n not in evidence.guardrails, n),
    )
    head = (
        f"| objective ({estimator}) | challenger | champion | difference | logger "
        "| challenger - logger | accepted fall |"
    )
    rows = [head, "|---|---|---|---|---|---|---|"]
    for name in names:
        role = " **north star**" if name == evidence.north_star else ""
        unit = f" ({_text(facts.units[name])})" if facts.units.get(name) else ""
        cells = [
            f"{_text(name)}{role}{unit}",
            interval(evidence.estimate("challenger", estimator, name)),
            interval(evidence.estimate("champion", estimator, name)),
            interval(evidence.difference(estimator, name), signed=True),
            interval(evidence.estimate("logger", estimator, name)),
            interval(evidence.logger_difference(estimator, name), signed=True),
            number(evidence.guardrails.get(name)) if name in evidence.guardrails else NONE,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _baselines(evidence: Evidence, facts: NightFacts, estimator: str) -> str:
    names = baselines_by_value(evidence, estimator)
    if not names:
        return ""
    star, known = evidence.north_star, bool(facts.truth)
    head = [f"simple baseline ({estimator})", _text(star), "challenger - baseline"]
    table = [[*head, "truth"][: 3 + known], ["---"] * (3 + known)]
    for name in names:
        cells = [
            _text(as_words(name)),
            interval(evidence.estimate(name, estimator, star)),
            interval(evidence.baseline_difference(name), signed=True),
            number(facts.truth.get(name)),
        ]
        table.append(cells[: 3 + known])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _nights(evidence: Evidence) -> str:
    champion = evidence.champion_version
    lines = [
        "Compared with "
        + ("no champion" if champion is None else f"champion version {champion}")
        + f", on {evidence.rows} decisions of {evidence.users} users"
        + (f", out of {evidence.logged} decisions." if evidence.logged else "."),
        f"- gate nights: {', '.join(evidence.gate_nights) or 'none'}",
        *([f"- under test since run {_text(evidence.candidate)}"] if evidence.candidate else []),
        f"- tune nights: {', '.join(evidence.tune_nights) or 'none'}",
        f"- fit nights: {_span(evidence.fit_nights)}",
    ]
    return "\n".join(lines)


def _span(nights: tuple[str, ...]) -> str:
    if len(nights) < 3:
        return ", ".join(nights) or "none"
    return f"{min(nights)} to {max(nights)} ({len(nights)})"


def _weights(evidence: Evidence, facts: NightFacts) -> str:
    if not evidence.weights:
        return ""
    found = f"Objective weights: {_text(weights_as_text(evidence.weights))}."
    step, floors = step_as_text(facts.limited_by), floors_as_text(facts.floors)
    told = [step, floors, scenes_as_text(facts.scenes)]
    return " ".join([found, *(_text(x) for x in told if x)])


def _estimated(evidence: Evidence) -> list[str]:
    told = "the propensities of the gate nights are estimated, and so is every figure"
    return [told] if evidence.propensities == "estimated" else []


def _bullets(title: str, lines: list[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {x}" for x in lines) if lines else ""


def _text(text: str) -> str:
    return markdown(text, _LONGEST)
