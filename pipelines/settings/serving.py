"""The server of ``mrlm serve``: what it takes, whom it lets in, and where it writes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings.section import Section


class Serving(Section):
    """The server of ``mrlm serve``."""

    log_path: str | None = Field(
        None,
        description="Folder with {night} that what was served is written to, as JSON lines under "
        "the column names that inputs.impressions maps; unset: served/dt={night} of the workspace.",
    )
    flush: Literal["answer", "second", "never"] = Field(
        "second",
        description="When rows are forced to the disk: before each answer leaves, at most once a "
        "second, or when the system does. A killed process loses none in any case; a machine that "
        "loses power loses those since.",
    )
    key_variable: str = Field(
        "MRLM_SERVING_KEY",
        description="Environment variable with the key that callers send as a bearer token. Unset, "
        "only 127.0.0.1 is served.",
    )
    tls_certificate: str | None = Field(
        None, description="PEM file of the server's certificates; unset: nothing is encrypted."
    )
    tls_key: str | None = Field(
        None, description="PEM file of its key; unset: it is in the certificate's file."
    )
    tls_callers: str | None = Field(
        None,
        description="PEM file of authorities: only callers with a certificate of one are let in, "
        "from other machines too (mutual TLS).",
    )
    most_candidates: int = Field(10_000, ge=1, description="Longest candidate set of a request.")
    most_history: int = Field(1_000, ge=0, description="Longest history of a request.")
    most_slots: int = Field(100, ge=1, description="Longest list that a request may ask for.")
    most_bytes: int = Field(1 << 20, ge=1024, description="Largest request, in bytes.")
    state_nights: int = Field(
        7, ge=1, description="Newest nights whose users' last states are known to the server."
    )
    popular: int = Field(
        100,
        ge=0,
        description="Items that are offered where a request names none and nothing is known of the "
        "user: those with the most of the north star in these nights. 0: it is refused.",
    )
    retrieved: int = Field(
        0,
        ge=0,
        description="Items that are found by the user's history where a request names none. 0: "
        "those of the user's last decision are offered.",
    )
    fresh_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of what is found that is kept for items the version was not learned on.",
    )
    reload_seconds: float = Field(
        10.0, gt=0, description="How often is looked for another champion, catalogue or states."
    )

    @model_validator(mode="after")
    def _encrypted(self) -> Serving:
        if self.tls_certificate is None and (self.tls_key or self.tls_callers):
            raise ValueError("tls_key and tls_callers need tls_certificate: set that too")
        return self
