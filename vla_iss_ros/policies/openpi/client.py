# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A connection to an openpi server that the user named; whatever goes wrong is one line, and it can be opened again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vla_iss_ros.policies.errors import PolicyError, PolicyGoneError
from vla_iss_ros.policies.openpi.wire import LARGEST_MESSAGE, MISSING, pack, unpack

LONGEST = 300
OPEN_SECONDS = 5.0
OPTIONS = ("preset", "layout", "norm_stats", "timeout")


def parse_address(path: str) -> tuple[str, dict[str, str]]:
    """Return ``HOST:PORT`` and the options of ``HOST:PORT?NAME=VALUE&...``; raises PolicyError for another form."""
    address, _, query = path.partition("?")
    try:
        parts = urlsplit(f"ws://{address}")
        sound = (
            bool(parts.hostname) and parts.port is not None and parts.netloc == address and "@" not in address
        )
    except ValueError:  # a port that is none
        sound = False
    if not sound:
        raise PolicyError(
            f"policy openpi needs openpi:HOST:PORT, such as openpi:127.0.0.1:8000, got '{address}'"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise PolicyError(f"option '{unknown[0]}' of policy openpi is unknown; have {', '.join(OPTIONS)}")
    return address, options


class Connection:
    """Requests and answers, one at a time; not thread safe. ``metadata``: what the server says of itself.

    Raises PolicyGoneError in one line when the server is not there or does not answer within ``timeout`` seconds,
    PolicyError when it answers with an error or something that is no answer. The next request connects anew.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._socket: Any = None
        self._opened = ExitStack()
        self.metadata = self._open()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one observation and return the answer; RuntimeError when the server ran out of memory."""
        if self._socket is None:
            self._open()
        answer = self._exchange(pack(request))
        if isinstance(answer, str):
            self._complain(answer)
        return self._mapping(answer)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._socket = None
        self._opened.close()

    def _open(self) -> dict[str, Any]:
        connect = _connect()
        try:
            # No proxy: what the user named is what is connected to. No pings: a stock server does not answer them
            # while it infers (https://github.com/Physical-Intelligence/openpi/issues/717).
            opening = connect(
                f"ws://{self._address}",
                compression=None,
                max_size=LARGEST_MESSAGE,
                open_timeout=min(OPEN_SECONDS, self._timeout),
                close_timeout=1,
                ping_interval=None,
                proxy=None,
            )
            self._socket = self._opened.enter_context(opening)
        except Exception as error:  # refused, unknown host, no websocket there: classes of three libraries
            raise PolicyGoneError(
                f"no openpi server at {self._address}: {_line(error)}; start it, or correct host and port"
            ) from error
        return self._mapping(self._exchange(None))

    def _exchange(self, content: bytes | None) -> Any:
        """Send, then receive; any failure closes the connection, as its answers are out of step then."""
        try:
            if content is not None:
                self._socket.send(content)
            return self._socket.recv(timeout=self._timeout)
        except TimeoutError as error:
            self.close()
            raise PolicyGoneError(
                f"openpi server at {self._address} did not answer within {self._timeout:g} s; look after it, or set "
                "timeout higher"
            ) from error
        except Exception as error:  # closed by the server, reset, a message too large
            self.close()
            raise PolicyGoneError(
                f"connection to the openpi server at {self._address} broke: {_line(error)}; start the server again"
            ) from error

    def _mapping(self, answer: Any) -> dict[str, Any]:
        try:
            values = unpack(answer) if isinstance(answer, bytes) else answer
        except ValueError as error:
            self.close()
            raise PolicyError(f"openpi server at {self._address} sent {_line(error)}") from error
        if not isinstance(values, dict):
            self.close()
            raise PolicyError(
                f"openpi server at {self._address} must answer with an object, got {type(values).__name__}"
            )
        return values

    def _complain(self, text: str) -> None:
        """A server sends an error as text: a traceback, whose last line says what happened."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = (lines[-1] if lines else "nothing")[:LONGEST]
        self.close()
        if "out of memory" in text.lower():
            raise RuntimeError(f"openpi server: out of memory: {said}")
        raise PolicyError(f"openpi server at {self._address} failed: {said}; see the server's own output")


def _connect() -> Any:
    try:
        from websockets.sync.client import connect
    except ImportError as error:
        raise PolicyError(MISSING) from error
    return connect


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
