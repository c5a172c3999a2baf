"""E-mail through a mail server (RFC 6409): the standard library's client on a thread that can hold up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import threading
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final

from agent.clock import Clock
from agent.config.load import read_secret
from agent.config.settings import EmailSettings
from agent.errors import AgentError, NeedsHuman, Retry
from agent.notify import core, words
from agent.notify.notice import Event, Notice
from agent.notify.trust import trusting
from agent.say import say

STEP_TIMEOUT: Final = 10.0
"""Seconds for each answer of the server."""
TIMEOUT: Final = 30.0
"""Seconds for all of it; then the connection is cut."""
CREDENTIAL: Final = "notify-smtp-password"
_POLICY: Final = SMTP.clone(max_line_length=300)
"""Subjects stay on one line: a folded one begins with a blank for some readers (RFC 5322 allows 998)."""
ID_DOMAIN: Final = "dialstack-agent.invalid"
"""Right part of Message-IDs: unique with the notice's id on the left; says nothing about the network (RFC 2606)."""


class Mail:
    """A channel to a list of mailboxes."""

    def __init__(self, name: str, kind: core.Kind, to: tuple[str, ...], settings: EmailSettings, clock: Clock) -> None:
        self.name = name
        self.kind = kind
        self._to = to
        self._settings = settings
        self.made_of: object = (kind, to, settings)
        self._clock = clock

    async def deliver(self, notice: Notice, events: tuple[Event, ...]) -> str:
        """Hand the message to the server. Raises AgentError; on a cancellation the connection is cut."""
        message = compose(notice, events, self._to, self._settings, self._clock.wall())
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        attempt = _Attempt(self._settings, message)

        def run() -> None:
            result = attempt.run()
            with contextlib.suppress(RuntimeError):  # the loop may be over: nobody waits any more
                loop.call_soon_threadsafe(_settle, done, result)

        # a daemon thread, not the executor's: a hung server must not hold up the end of the process
        threading.Thread(target=run, name=f"notify {self.name}", daemon=True).start()
        try:
            async with asyncio.timeout(TIMEOUT):
                return await done
        except TimeoutError as error:
            raise Retry(
                say(
                    "The mail server {host} did not finish within {timeout:g} s.",
                    host=self._settings.host,
                    timeout=TIMEOUT,
                )
            ) from error
        finally:
            attempt.cut()


def _settle(done: asyncio.Future[str], result: str | AgentError) -> None:
    if done.done():
        return
    if isinstance(result, AgentError):
        done.set_exception(result)
    else:
        done.set_result(result)


def compose(
    notice: Notice, events: tuple[Event, ...], to: tuple[str, ...], settings: EmailSettings, at: float
) -> EmailMessage:
    """Return the message; what people named cannot add headers. All versions of a notice make one thread."""
    message = EmailMessage(policy=_POLICY)
    sender = settings.sender or (settings.username if "@" in settings.username else to[0])
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = words.subject(notice, words.lead(events))
    message["Date"] = formatdate(at, localtime=True)
    first = f"<{notice.uid}@{ID_DOMAIN}>"
    if notice.version > 1:
        message["Message-ID"] = f"<{notice.uid}.{notice.version}@{ID_DOMAIN}>"
        message["In-Reply-To"] = message["References"] = first
    else:
        message["Message-ID"] = first
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers
    if not notice.test:
        message["Importance"] = "high"
        message["X-Priority"] = "1"
    message.set_content("\n".join([words.NEWS[events[-1]], "", *words.lines(notice)]) + "\n")
    return message


class _Attempt:
    """One conversation with the server, on a thread; `cut()` ends it from outside."""

    def __init__(self, settings: EmailSettings, message: EmailMessage) -> None:
        self._settings = settings
        self._message = message
        self._client: smtplib.SMTP | None = None
        self._cut = threading.Event()

    def cut(self) -> None:
        """End the connection, whatever the server does."""
        self._cut.set()
        sock = getattr(self._client, "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> str | AgentError:
        """Send; return the server's word or what went wrong."""
        host = self._settings.host
        try:
            return self._send()
        except AgentError as error:
            return error
        except smtplib.SMTPAuthenticationError as error:
            return NeedsHuman(
                say(
                    "The mail server {host} refused the user name or password ({smtp_code}).",
                    host=host,
                    smtp_code=error.smtp_code,
                ),
                todo=say("Correct notify_email.username or the password file."),
            )
        except smtplib.SMTPRecipientsRefused as error:
            return Retry(
                say(
                    "The mail server {host} refused every recipient: {join}.",
                    host=host,
                    join=", ".join(error.recipients),
                )
            )
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else ""
            return Retry(
                say(
                    "The mail server {host} answered {smtp_code} {value}.",
                    host=host,
                    smtp_code=error.smtp_code,
                    value=words.one_line(text)[:200],
                )
            )
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Retry(
                say(
                    "The mail server {host} cannot be used: {value}.", host=host, value=words.one_line(str(error))[:200]
                )
            )

    def _send(self) -> str:
        settings = self._settings
        password = read_secret(settings.password_file, CREDENTIAL) if settings.username else ""
        if password and settings.security == "none":
            raise NeedsHuman(say("A password is never sent without TLS."), todo=say("Correct notify_email.security."))
        tls = trusting(settings.ca_file, "notify_email.ca_file") if settings.security != "none" else None
        if settings.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=STEP_TIMEOUT, context=tls)
        else:
            client = smtplib.SMTP(settings.host, settings.port, timeout=STEP_TIMEOUT)
        self._client = client
        with client:
            if self._cut.is_set():
                raise Retry(say("Cut."))
            if settings.security == "starttls":
                client.starttls(context=tls)
            if password:
                client.login(settings.username, password)
            refused = client.send_message(self._message)
        # those that took it are not written to again for the sake of those that did not
        if refused:
            return say("{host} took it, but not for {names}.", host=settings.host, names=", ".join(refused))
        return say("{host} took it.", host=settings.host)
