"""The HTTP interface: recommend, health, metrics."""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mrlm.promotion.serving.live import (
    DEFAULT_SCENE,
    HistoryEntry,
    LiveAnswer,
    LiveRequest,
    LiveVersion,
    UnanswerableError,
)
from mrlm.report.visible import visible
from pipelines.contract.log import logger
from pipelines.serving.current import Answering, Current
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.model import Settings

_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.5)


def _text(value: str) -> str:
    """The text, if it can be written to a log.

    Raises:
        ValueError: it holds half of a surrogate pair, which JSON can name and no file can hold.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the text is no Unicode: it holds half of a surrogate pair") from None
    return value


Text = Annotated[str, AfterValidator(_text)]
# Kept by policies and in the log.
Name = Annotated[Text, Field(max_length=256)]
# What single precision holds.
Reward = Annotated[float, Field(ge=-1e30, le=1e30)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PastItem(_Body):
    """An item that the user was shown, oldest first."""

    item_id: Text = Field(description="The item.")
    rewards: dict[Text, Reward] = Field({}, description="Known rewards by objective.")


class Ask(_Body):
    """A request for one list."""

    user_id: Text = Field(min_length=1, description="The platform's id of the user.")
    request_id: Text | None = Field(
        None, min_length=1, description="Unique; made by the server where it is absent."
    )
    candidates: list[Text] | None = Field(
        None,
        description="Items that may be shown; absent: those of the user's last known decision, or "
        "the popular ones.",
    )
    history: list[PastItem] | None = Field(
        None, description="What the user was shown; absent: what the newest logs know."
    )
    scene: Name = Field(DEFAULT_SCENE, description="Where the list is shown.")
    k: int | None = Field(None, ge=1, description="Slots; absent: publishing.k of the settings.")


@dataclass(frozen=True)
class Service:
    """What the interface needs.

    Attributes:
        current: the version that answers.
        log: where served rows go.
        settings: limits, seed, list length.
        pseudonym: of a user id.
        key: that callers must send; empty where none is asked for.
    """

    current: Current
    log: ImpressionLog
    settings: Settings
    pseudonym: Callable[[str], str]
    key: str


class _Counts:
    """Prometheus' view of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mrlm_requests", "Requests, by outcome.", ["outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "mrlm_answer_seconds",
            "From the request read to the rows written.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.slots = Counter("mrlm_slots", "Slots served and logged.", registry=self.registry)
        self.dropped = Counter(
            "mrlm_dropped_candidates",
            "Candidates that the catalogue lacks.",
            registry=self.registry,
        )
        self.unknown = Counter(
            "mrlm_unknown_users", "Answers without any state.", registry=self.registry
        )
        self.version = Gauge("mrlm_champion_version", "That answers.", registry=self.registry)
        self.trial = Gauge(
            "mrlm_trial_version", "That chooses a share; 0: none.", registry=self.registry
        )
        self.trial_share = Gauge(
            "mrlm_trial_share", "Share of what is shown that it chooses.", registry=self.registry
        )
        self.reloads = Gauge("mrlm_reloads", "Versions that took over.", registry=self.registry)
        self.trouble = Gauge(
            "mrlm_newest_not_loaded",
            "1 while the newest version cannot be loaded.",
            registry=self.registry,
        )


class _SizeLimit:
    """Refuses a request whose body is larger than it may be, or says nothing of its size."""

    def __init__(self, app: ASGIApp, most: int, counts: _Counts) -> None:
        self._app, self._most, self._counts = app, most, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the application."""
        wrong = self._wrong(Headers(scope=scope)) if scope["type"] == "http" else None
        await (wrong or self._app)(scope, receive, send)

    def _wrong(self, headers: Headers) -> Response | None:
        size = headers.get("content-length", "0")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return JSONResponse({"detail": "send the request with its length"}, 411)
        if size.isdigit() and int(size) <= self._most:
            return None
        self._counts.requests.labels("refused").inc()
        told = f"a request may have {self._most} bytes (serving.most_bytes)"
        return JSONResponse({"detail": told}, 413)


def make_app(service: Service) -> FastAPI:
    """The application; it answers one request at a time: threads would wait for one another."""
    counts, serving = _Counts(), service.settings.serving
    app = FastAPI(title="MRLM", docs_url=None, redoc_url=None)

    async def allowed(authorization: Annotated[str, Header()] = "") -> None:
        sent = authorization.removeprefix("Bearer ")
        if service.key and not hmac.compare_digest(sent.encode(), service.key.encode()):
            counts.requests.labels("refused").inc()
            raise HTTPException(401, f"send the key of {serving.key_variable} as a bearer token")

    app.add_middleware(_SizeLimit, most=serving.most_bytes, counts=counts)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        """What is wrong and where, without what was sent."""
        counts.requests.labels("refused").inc()
        told = [
            {"field": visible(".".join(map(str, e["loc"][1:]))), "problem": e["msg"]}
            for e in error.errors()
        ]
        return JSONResponse({"detail": told}, 422)

    @app.post("/recommend", dependencies=[Depends(allowed)])
    async def recommend(ask: Ask) -> Response:
        """A list for one user, and all that tomorrow's log has to hold of it."""
        started = time.perf_counter()
        _within_limits(ask, service.settings, counts)
        try:
            # Taken once: whatever takes over meanwhile, what is answered and told is of one.
            answering = service.current.answering
            answer = _answered(ask, service, answering.live)
        except UnanswerableError as error:
            counts.requests.labels("unanswerable").inc()
            raise HTTPException(422, str(error)) from error
        try:
            service.log.append(answer.impressions(ask.user_id), answer.ts)
        except OSError as error:
            counts.requests.labels("not_logged").inc()
            logger.error("an answer could not be logged, and was not given: %s", error)
            raise HTTPException(503, "the answer could not be logged: try again") from error
        counts.requests.labels("answered").inc()
        counts.slots.inc(len(answer.slots))
        counts.dropped.inc(len(answer.dropped))
        counts.unknown.inc(not answer.known_user)
        counts.seconds.observe(time.perf_counter() - started)
        # As it is: to look for types in an answer takes longer than to make it.
        return JSONResponse(_told(answer) | {"fallback": answering.fallback})

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Which version answers, who is on trial, over which items, and what is wrong."""
        answering = service.current.answering
        return {
            "status": "degraded" if answering.trouble else "ok",
            "policy_id": answering.live.policy_id,
            "since": answering.since.isoformat(),
            "trial": _trial(answering, service.settings),
            "catalog_night": answering.found.catalog_night,
            "items": len(answering.live.bundle.catalog),
            "users": len(answering.live.states),
            "trouble": answering.trouble,
        }

    @app.get("/metrics", dependencies=[Depends(allowed)])
    async def metrics() -> Response:
        """Counters and latencies in Prometheus' text format."""
        answering = service.current.answering
        counts.version.set(answering.found.version)
        counts.trial.set(answering.found.trial or 0)
        counts.trial_share.set(service.settings.gate.trial_share if answering.found.trial else 0)
        counts.reloads.set(service.current.reloads)
        counts.trouble.set(bool(answering.trouble))
        return Response(generate_latest(counts.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _trial(answering: Answering, settings: Settings) -> dict[str, Any] | None:
    version = answering.found.trial
    return None if version is None else {"version": version, "share": settings.gate.trial_share}


def _within_limits(ask: Ask, settings: Settings, counts: _Counts) -> None:
    serving = settings.serving
    for what, sent, most, name in (
        ("candidates", ask.candidates, serving.most_candidates, "most_candidates"),
        ("history entries", ask.history, serving.most_history, "most_history"),
    ):
        if sent is not None and len(sent) > most:
            counts.requests.labels("refused").inc()
            raise HTTPException(413, f"{len(sent)} {what}: at most {most} (serving.{name})")
    if ask.k is not None and ask.k > serving.most_slots:
        counts.requests.labels("refused").inc()
        raise HTTPException(422, f"k is at most {serving.most_slots} (serving.most_slots)")


def _answered(ask: Ask, service: Service, live: LiveVersion) -> LiveAnswer:
    history = ask.history
    request = LiveRequest(
        request_id=ask.request_id or uuid.uuid4().hex,
        user=service.pseudonym(ask.user_id),
        candidates=ask.candidates,
        history=None if history is None else [HistoryEntry(e.item_id, e.rewards) for e in history],
        scene=ask.scene,
        k=ask.k or service.settings.publishing.k,
    )
    return live.answer(request, datetime.now(UTC), service.settings.seed)


def _told(answer: LiveAnswer) -> dict[str, Any]:
    return {
        "request_id": answer.request_id,
        "ts": answer.ts.isoformat(),
        "scene": answer.scene,
        "policy_id": answer.policy_id,
        "known_user": answer.known_user,
        "candidates_from": answer.candidates_from,
        "items": [
            {
                "position": s.position,
                "item_id": s.item_id,
                "propensity": s.propensity,
                "candidates": s.candidates,
                "candidate_propensities": s.candidate_propensities,
            }
            for s in answer.slots
        ],
        "dropped": [
            {"item_id": item, "reason": "it is not in the catalogue"} for item in answer.dropped
        ],
    }
