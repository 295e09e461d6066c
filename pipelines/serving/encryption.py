"""How the server is reached: in clear, encrypted, or by callers with a certificate alone."""

from __future__ import annotations

import ssl
from typing import Any

from pipelines.failures.errors import DataError
from pipelines.settings.serving import Serving


def encryption(serving: Serving) -> dict[str, Any]:
    """Uvicorn's options; none where no certificate is set.

    Raises:
        DataError: a file that is named is missing, or they do not fit together.
    """
    if serving.tls_certificate is None:
        return {}
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving.tls_certificate, serving.tls_key)
        if serving.tls_callers is not None:
            context.load_verify_locations(serving.tls_callers)
    except OSError as error:
        raise DataError(
            "the server cannot be encrypted with serving.tls_certificate, tls_key and tls_callers "
            f"({serving.tls_certificate}, {serving.tls_key}, {serving.tls_callers}): {error}"
        ) from error
    options: dict[str, Any] = {
        "ssl_certfile": serving.tls_certificate,
        "ssl_keyfile": serving.tls_key,
    }
    if serving.tls_callers is not None:
        options |= {"ssl_ca_certs": serving.tls_callers, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options
