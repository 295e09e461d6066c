"""The promotion rule: what the paired evidence must show before a challenger may be promoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.followed_promotions import Hindcast
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Joined, Message
from mrlm.ope.nights.spending import error_at
from mrlm.promotion.judgement.anchored import (
    anchored_checks,
    gained_guardrails,
    spent_on_trial,
    spent_shares,
)
from mrlm.promotion.judgement.condition import Check, bound_in_words, certified, lower_bound
from mrlm.promotion.judgement.going_on import goes_on, of_the_test
from mrlm.promotion.judgement.group_harm import group_checks
from mrlm.promotion.judgement.levels import last_level, look_level, rise
from mrlm.promotion.judgement.narrow_champion import lacks_overlap
from mrlm.promotion.judgement.needed import rows_of_a_test, what_would_change
from mrlm.promotion.record.anchor import anchor_version, spent_after, spent_margins
from mrlm.promotion.record.candidate import earlier_looks, nights_before, rejection
from mrlm.promotion.record.ledger import Entry, Ledger, judged_nights, judgement
from mrlm.promotion.record.shortfall import rollback_command
from mrlm.promotion.settings import GateSettings

Rival = Literal["champion", "logger"]
_RIVALS = {"champion": Message("champion"), "logger": Message("logger")}
_NARROW = Message(
    "where this happens after every promotion, the champion chooses too narrowly for its log to "
    "tell of others: gate.trial_share lets a challenger choose a share while it is tested"
)


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one evidence.

    Attributes:
        promote: whether every check passed.
        reason: in words; of a refusal, the checks that failed.
        checks: in the order in which they were made.
        look: which look of its test this is, from 1.
        level: one-sided level at which the north star was tested.
        anchored: ``within`` or ``below`` the anchored limits; "" where they were not asked.
        goes_on: refused for now: the next night looks at the same challenger again.
    """

    promote: bool
    reason: str
    checks: tuple[Check, ...] = ()
    look: int = 1
    level: float = 0.0
    anchored: str = ""
    goes_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what ``to_json`` wrote."""
        return cls(**{**data, "checks": tuple(Check(**c) for c in data.get("checks", ()))})


def judge(
    evidence: Evidence,
    settings: GateSettings,
    looks: tuple[int, ...] = (1,),
    used_nights: frozenset[str] = frozenset(),
    anchor: int | None = None,
    information: tuple[float, ...] = (),
    rejected: Entry | None = None,
    before: int = 1,
) -> Verdict:
    """Apply the rule; a pure function of its arguments.

    The north star's paired difference, on all nights of the test so far, must be above zero at the
    one-sided level of this look (``look_level``). Every guardrail must be shown not to fall by more
    than its margin, each at its own level: an intersection-union test (Berger, Technometrics 1982),
    which needs no correction.

    Where the evidence holds the difference to the logger, the same is asked against the logger, at
    the same levels: one more part of the intersection-union test, so no correction either.

    While the watch holds that the champion fell short of its own promise, nobody is promoted: to be
    better than a champion that should be rolled back proves little, and the comparison to make is
    with the champion after the rollback. A refusal more cannot make a wrong promotion likelier. A
    rollback ends it, and so does a person's approval, which stands above the rule.

    Estimated propensities are refused unless the settings accept them.

    No group of users or places may be shown to be worse off (``group_checks``).

    A challenger that is the champion itself is not tested: there is nothing to show.

    A challenger that passes all of this is held against the anchor (``anchored_checks``).

    Args:
        evidence: of all nights of the test so far.
        settings: the rule's.
        looks: gate nights that each look of the test rests on, rising, this one last.
        used_nights: gate nights that other judgements have used up.
        anchor: version of the anchor by the ledger; None: whatever the evidence names.
        information: see ``look_level``; (): not known.
        rejected: a person's rejection of this challenger at an earlier look; None: there is none.
        before: gate nights that the test before this one took.

    Raises:
        ValueError: looks do not rise from 1 or more.
    """
    if evidence.stays:
        return _untested(evidence, settings)
    nights, total = settings.test_nights, settings.false_promotions
    alpha = look_level(looks, nights, total, information, before)
    told = Message(
        "look {look}, {nights} of {most} nights",
        look=len(looks),
        nights=looks[-1],
        most=settings.test_nights,
    )
    star = evidence.difference(settings.estimator, evidence.north_star)
    checks = [_champion(evidence), _nights(evidence, used_nights)]
    if evidence.propensities == "estimated":
        checks.append(_propensities(settings))
    if evidence.hindcast is not None and settings.watch != "off":
        checks.append(_hindcast(evidence, evidence.hindcast))
    if rejected is not None:
        checks.append(_rejected(rejected))
    if checks[0].passed and evidence.gate_nights:
        own = evidence.estimate("challenger", settings.estimator, evidence.north_star)
        checks.append(certified(Message("challenger's {name}", name=evidence.north_star), own))
        checks.append(certified(_difference_in(evidence.north_star), star))
        if checks[-1].passed and star is not None:
            checks.append(_north_star(evidence, settings, star, alpha, before, told))
        for name, margin in sorted(evidence.guardrails.items()):
            guard = evidence.difference(settings.estimator, name)
            checks.append(_guardrail(evidence, settings, name, margin, guard))
        checks += _against_logger(evidence, settings, alpha, before, told)
        checks += group_checks(evidence, settings)
    anchored = []
    if all(c.passed or c.advice for c in checks):
        below = 1.0 - settings.guardrail_level
        error = look_level(looks, nights, below, information, before)
        anchored = anchored_checks(evidence, settings, error, anchor, before)
    checks += anchored
    promote = all(c.passed or c.advice for c in checks)
    telling = [c.text for c in checks if not c.passed or (promote and _is_outcome(c))]
    going = not promote and goes_on(evidence, settings, checks, looks[-1], information, before)
    if not promote:
        telling += evidence.warnings
        if lacks_overlap(evidence, settings) and not settings.trial_share:
            telling.append(_NARROW)
        if checks[0].passed and evidence.gate_nights and settings.test_nights > 1:
            telling.append(of_the_test(settings, looks[-1], going))
    kept = "" if not anchored else "within" if all(c.passed for c in anchored) else "below"
    reason = Joined("; ", telling)
    return Verdict(promote, reason, tuple(checks), len(looks), alpha, kept, going)


def judge_and_record(
    ledger: Ledger,
    evidence: Evidence,
    settings: GateSettings,
    *,
    version: int,
    actor: str,
    at: str,
) -> Verdict:
    """Judge a registered version once and write it into the ledger; hold the registry's lock.

    A run key that was judged before gets the verdict of that time: judged evidence is superseded
    by another night's, never judged anew.

    Raises:
        LedgerError: the ledger is not what commands wrote.
    """
    entries = ledger.confirmed()
    before = judgement(entries, evidence.run_key)
    if before is not None:
        return _as_recorded(before, entries, evidence, settings)
    verdict = verdict_after(entries, evidence, settings)
    ledger.append(
        Entry(
            kind="judged",
            run_key=evidence.run_key,
            version=version,
            actor=actor,
            at=at,
            reason=verdict.reason,
            verdict="promote" if verdict.promote else "refuse",
            evidence=evidence.fingerprint(),
            champion_version=evidence.champion_version,
            gate_nights=evidence.gate_nights,
            anchor=None if evidence.anchor is None else evidence.anchor.version,
            anchored=verdict.anchored,
            rows=evidence.rows,
            precision=_precision(evidence, settings),
            spent=_spent(entries, evidence, settings),
            trial=_on_trial(entries, evidence, settings),
            gained=_gained(evidence, settings),
            test=evidence.candidate,
            goes_on=verdict.goes_on,
            level=verdict.level,
        )
    )
    return verdict


def error_tested_at(entries: tuple[Entry, ...], run_key: str, settings: GateSettings) -> float:
    """One-sided error that the north star of a judged run key was tested at.

    Before tests went over several nights, every judgement spent a share of an endless sum.
    """
    judged = judgement(entries, run_key)
    if judged is not None and judged.level:
        return judged.level
    before = entries if judged is None else entries[: judged.sequence]
    looks = sum(e.kind == "judged" and e.run_key != run_key and bool(e.gate_nights) for e in before)
    return error_at(looks + 1, settings.false_promotions)


def verdict_after(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> Verdict:
    """The verdict on an evidence when the ledger's entries are these."""
    test = evidence.candidate or evidence.run_key
    earlier = earlier_looks(entries, test, evidence.run_key)
    counts = [len(e.gate_nights) for e in earlier]
    own = frozenset(night for e in earlier for night in e.gate_nights)
    now = max(len(evidence.gate_nights), (counts or [0])[-1] + 1)
    return judge(
        evidence,
        settings,
        (*counts, now),
        judged_nights(entries, evidence.run_key) - own,
        anchor_version(entries),
        _information(earlier, evidence, settings),
        rejection(entries, earlier),
        nights_before(entries, test),
    )


def _information(
    earlier: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> tuple[float, ...]:
    """What each look of the test rests on; see ``look_level``."""
    precise = (*(e.precision for e in earlier), _precision(evidence, settings))
    return precise if rise(precise) else (*(e.rows for e in earlier), evidence.rows)


def _precision(evidence: Evidence, settings: GateSettings) -> float:
    """One over the variance of the north star's difference; 0 where there can be no trial."""
    star = evidence.difference(settings.estimator, evidence.north_star)
    if not settings.trial_share or star is None or not star.standard_error:
        return 0.0
    return star.standard_error**-2


def _on_trial(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> dict[str, float]:
    """What the trial of this test has used up of every anchored margin; nothing at a first look."""
    earlier = earlier_looks(entries, evidence.candidate or evidence.run_key, evidence.run_key)
    if settings.anchored == "off" or not earlier:
        return {}
    nights = len(evidence.gate_nights) - len(earlier[0].gate_nights)
    return spent_on_trial(evidence, settings, nights)


def _spent(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> dict[str, float]:
    """What promoting this challenger would leave spent of every anchored margin."""
    if settings.anchored == "off" or evidence.anchor is None:
        return {}
    gained = gained_guardrails(evidence, settings)
    return spent_after(spent_margins(entries), spent_shares(evidence), gained)


def _gained(evidence: Evidence, settings: GateSettings) -> tuple[str, ...]:
    if settings.anchored == "off":
        return ()
    return tuple(sorted(gained_guardrails(evidence, settings)))


def _as_recorded(
    entry: Entry, entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> Verdict:
    again = verdict_after(entries[: entry.sequence], evidence, settings)
    if entry.evidence == evidence.fingerprint() and again.reason == entry.reason:
        return again
    return Verdict(
        promote=entry.verdict == "promote",
        reason=Message(
            "{reason} (judged {at} on evidence {evidence}; the evidence or the rule has changed "
            "since, and a run key is judged once)",
            reason=entry.reason,
            at=entry.at,
            evidence=entry.evidence[:12],
        ),
        look=again.look,
        level=again.level,
    )


def _untested(evidence: Evidence, settings: GateSettings) -> Verdict:
    """Nothing is tested; that the champion falls short of its promise is told all the same."""
    same = Message(
        "nothing was tested, for tonight's challenger is the champion itself ({why}); its nights "
        "stay fresh for the next one",
        why=evidence.stays,
    )
    checks = [Check("challenger", False, same)]
    if evidence.hindcast is not None and settings.watch != "off":
        checks.append(_hindcast(evidence, evidence.hindcast))
    telling = [c.text for c in checks if not c.passed]
    return Verdict(False, Joined("; ", [*telling, *evidence.warnings]), tuple(checks))


def _is_outcome(check: Check) -> bool:
    return check.name.startswith(("north star", "guardrail ", "anchor"))


def _champion(evidence: Evidence) -> Check:
    # Without gate nights nothing is known of any policy, and that is said by its own check.
    known = "champion" in evidence.policies or not evidence.gate_nights
    there = evidence.champion_version is not None and known
    text = (
        Message("compared with champion version {version}", version=evidence.champion_version)
        if there
        else Message(
            "there is no champion to compare with: install one (the clone of the logger) first"
        )
    )
    return Check("champion", there, text)


def _rejected(word: Entry) -> Check:
    return Check(
        "person",
        False,
        Message(
            "{actor} rejected this challenger at an earlier look ({reason}): its test is over",
            actor=word.actor,
            reason=word.reason,
        ),
    )


def _propensities(settings: GateSettings) -> Check:
    allowed = settings.allow_estimated_propensities
    text = (
        Message(
            "the propensities of the gate nights are estimated, which "
            "gate.allow_estimated_propensities accepts"
        )
        if allowed
        else Message(
            "the propensities of the gate nights are estimated: what the logger saw and the log "
            "does not hold may have made the difference. Log propensities, or set "
            "gate.allow_estimated_propensities if nothing else was seen"
        )
    )
    return Check("propensities", allowed, text)


def _hindcast(evidence: Evidence, found: Hindcast) -> Check:
    alarm = found.to_leave(evidence.champion_version)
    if alarm is None:
        told = Message("the champion has not fallen short of its promise")
        if found.alarm_of(evidence.champion_version) is not None:
            told = Message(
                "the champion fell short of its promise, and is better than what it replaced"
            )
        return Check("hindcast", True, told)
    return Check(
        "hindcast",
        False,
        Message(
            "the champion falls short: {alarm}. '{command}' goes back to the one before it, and "
            "the next night compares with that one",
            alarm=alarm.reason,
            command=rollback_command(alarm.version),
        ),
    )


def _nights(evidence: Evidence, used: frozenset[str]) -> Check:
    nights = evidence.gate_nights
    if not nights:
        return Check(
            "gate nights",
            False,
            Message(
                "no fresh gate night: every night whose north star is final was fitted on, tuned "
                "on or judged before; the next night brings one"
            ),
        )
    again = sorted(set(nights) & used)
    if again:
        return Check(
            "gate nights",
            False,
            Message(
                "{nights} already judged under another run key: a night is judged once",
                nights=Joined(", ", again),
            ),
        )
    text = Message(
        "judged on {nights}, {rows} decisions", nights=Joined(", ", nights), rows=evidence.rows
    )
    return Check("gate nights", True, text)


def _against_logger(
    evidence: Evidence, settings: GateSettings, alpha: float, before: int, told: Message
) -> list[Check]:
    """What the challenger must show against whoever made the gate nights.

    A champion may be worse than the policy that serves: a clone that misses its logger, or a
    version that never was put to work. To be better than it would then be no gain.
    """
    found = evidence.logger_differences.get(settings.estimator)
    if not found:
        return []
    star = found.get(evidence.north_star)
    what = Message("difference to the logger in {objective}", objective=evidence.north_star)
    checks = [certified(what, star)]
    if checks[0].passed and star is not None:
        checks.append(_north_star(evidence, settings, star, alpha, before, told, "logger"))
    for name, margin in sorted(evidence.guardrails.items()):
        checks.append(_guardrail(evidence, settings, name, margin, found.get(name), "logger"))
    return checks


def _north_star(
    evidence: Evidence,
    settings: GateSettings,
    star: PolicyEstimate,
    alpha: float,
    before: int,
    told: Message,
    rival: Rival = "champion",
) -> Check:
    passed = lower_bound(star, alpha) > 0.0
    value, error = star.value or 0.0, star.standard_error or 0.0
    numbers = Message(
        "{objective}: challenger - {rival} = {value:+.5f} with {bound} at one-sided level "
        "{level:.3g} ({look})",
        objective=evidence.north_star,
        rival=_RIVALS[rival],
        value=value,
        bound=bound_in_words(star, alpha),
        level=alpha,
        look=told,
    )
    if passed:
        text = Message("{numbers}, above 0", numbers=numbers)
    else:
        text = Message("{numbers}, not above 0", numbers=numbers)
        distance = value + star.unknown_low
        last = last_level(settings.test_nights, settings.false_promotions, before)
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        text = what_would_change(text, evidence.rows, distance, error, last, most)
    return Check(_against("north star", rival), passed, text)


def _guardrail(
    evidence: Evidence,
    settings: GateSettings,
    name: str,
    margin: float,
    estimate: PolicyEstimate | None,
    rival: Rival = "champion",
) -> Check:
    own = _against(f"guardrail {name}", rival)
    sure = certified(_difference_in(name), estimate)
    if estimate is None or not sure.passed:
        return Check(own, False, _uncertified(name, rival, sure.text))
    level = settings.guardrail_level
    passed = lower_bound(estimate, 1.0 - level) >= -margin
    numbers = Message(
        "guardrail {objective}: challenger - {rival} = {value:+.5f} with {bound} at {level:.0%}",
        objective=name,
        rival=_RIVALS[rival],
        value=estimate.value,
        bound=bound_in_words(estimate, 1.0 - level),
        level=level,
    )
    if passed:
        text = Message(
            "{numbers}, not below the accepted {margin:+.5f}", numbers=numbers, margin=-margin
        )
    else:
        text = Message(
            "{numbers}, below the accepted {margin:+.5f}", numbers=numbers, margin=-margin
        )
    if not passed:
        distance = (estimate.value or 0.0) + estimate.unknown_low + margin
        error = estimate.standard_error or 0.0
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        text = what_would_change(text, evidence.rows, distance, error, 1.0 - level, most)
    return Check(own, passed, text)


def _difference_in(objective: str) -> Message:
    return Message("difference in {objective}", objective=objective)


def _uncertified(objective: str, rival: Rival, why: str) -> Message:
    if rival == "champion":
        return Message("guardrail {objective}: {why}", objective=objective, why=why)
    return Message("guardrail {objective} against the logger: {why}", objective=objective, why=why)


def _against(check: str, rival: Rival) -> str:
    return check if rival == "champion" else f"{check} against the {rival}"
