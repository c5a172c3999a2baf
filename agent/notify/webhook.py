"""A signed POST: the receiver can check who sent it, when, and that nothing was changed (agent/page/API.md)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from agent.clock import Clock
from agent.config.load import read_secret
from agent.config.settings import WebhookSettings
from agent.errors import Backoff, Retry
from agent.notify import core, words
from agent.notify.notice import Event, Notice
from agent.notify.trust import trusting
from agent.say import say
from agent.system_words import os_words

TIMEOUT: Final = 10.0
"""Seconds for one POST, all told: a receiver that takes longer is tried again."""
SIGNATURE: Final = "X-DialStack-Agent-Signature"
CREDENTIAL: Final = "notify-webhook-secret"
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def sign(secret: bytes, at: int, body: bytes) -> str:
    """Return the header's value: `t=<unix>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, as the platform signs its own."""
    digest = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhook:
    """A channel to one URL; a new connection each time, so that nothing old can poison it. The URL may be a secret."""

    def __init__(self, name: str, kind: core.Kind, url: str, settings: WebhookSettings, clock: Clock) -> None:
        self.name = name
        self.kind = kind
        self._url = url
        self._host = urlsplit(url).hostname or ""
        self._settings = settings
        self.made_of: object = (kind, url, settings)
        self._clock = clock
        self._tls: ssl.SSLContext | None = None

    async def deliver(self, notice: Notice, events: tuple[Event, ...]) -> str:
        """POST the notice; anything but 2xx is a failure, redirects too. Raises AgentError."""
        secret = read_secret(self._settings.secret_file, CREDENTIAL).encode()
        body = msgspec.json.encode(words.payload(notice, events))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "dialstack-agent",
            "Idempotency-Key": f"{notice.uid}-{notice.version}",
            SIGNATURE: sign(secret, int(self._clock.wall()), body),
        }
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                aiohttp.ClientSession(connector=self._connector()) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return self._judge(answer)
        except TimeoutError as error:
            raise Retry(say("{host} did not answer within {timeout:g} s.", host=self._host, timeout=TIMEOUT)) from error
        except aiohttp.ClientError as error:
            raise Retry(say("{host} cannot be reached: {why}.", host=self._host, why=_why(error))) from error

    def _connector(self) -> aiohttp.TCPConnector:
        if self._url.startswith("https:") and self._tls is None:
            self._tls = trusting(self._settings.ca_file, "notify_webhook.ca_file")
        return aiohttp.TCPConnector(ssl=self._tls) if self._tls is not None else aiohttp.TCPConnector()

    def _judge(self, answer: aiohttp.ClientResponse) -> str:
        said = f"{answer.status} {words.one_line(answer.reason or '')}".strip()
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return said
        happened = say("{host} answered {answer}.", host=self._host, answer=said)
        wait = answer.headers.get("Retry-After", "")
        if answer.status in _BUSY and wait.isascii() and wait.isdigit():
            raise Backoff(happened, retry_after=float(wait[:6]))
        raise Retry(happened)


def _why(error: aiohttp.ClientError) -> str:
    """Return the reason without the URL, which may hold a secret (S10)."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    return os_words(cause) if cause is not None else type(error).__name__
