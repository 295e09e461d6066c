"""The gate in front of a page that is served on 127.0.0.1.

Every page that a browser of this machine has open can send requests to 127.0.0.1, and so can every
user of the machine: that an address is not reachable from elsewhere protects neither from the one
nor from the other.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from pipelines.local.page_login import PageLogin

_NAMES = frozenset({"127.0.0.1", "localhost"})

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class LoopbackGate:
    """An ASGI application that passes on what this machine's own pages and programs send.

    A request must be addressed to this machine by name: the script of a foreign page that made its
    own name resolve to 127.0.0.1 (DNS rebinding) still sends that name. Where it says which page
    it comes from (Origin), that must be the page that it is addressed to.

    Args:
        app: what is behind the gate.
        login: who may pass, by HTTP Basic; None: the application asks for a login itself.
    """

    def __init__(self, app: Application, login: PageLogin | None = None) -> None:
        self._app = app
        self._credentials = None if login is None else _basic(login)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403 or 401."""
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(refusal, send)

    def _refusal(self, scope: Message) -> HTTPStatus | None:
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or hosts[0].split(":")[0] not in _NAMES:
            return HTTPStatus.FORBIDDEN
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return HTTPStatus.FORBIDDEN
        if self._credentials is not None:
            given = [v for n, v in scope["headers"] if n == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0], self._credentials):
                return HTTPStatus.UNAUTHORIZED
        return None


def _values(scope: Message, name: bytes) -> list[str]:
    # Names of hosts and schemes do not depend on case.
    return [v.decode("latin-1").lower() for n, v in scope["headers"] if n == name]


def _basic(login: PageLogin) -> bytes:
    return b"Basic " + b64encode(f"{login.user}:{login.password}".encode())


async def _answer(status: HTTPStatus, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Basic realm="MRLM", charset="UTF-8"'))
        text = "log in with the user and the password that 'make ui' names"
    else:
        text = "this page answers requests of its own address on 127.0.0.1 or localhost alone"
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
