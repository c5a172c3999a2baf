"""Channels against real servers and programs: what arrives, what is signed, and what a hostile name cannot do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.config.settings import CommandSettings, EmailSettings, Settings, WebhookSettings
from agent.errors import AgentError, Backoff, NeedsHuman, Retry
from agent.notify import command, mail, webhook
from agent.notify.channels import Channel, build
from agent.notify.command import Command
from agent.notify.core import Kind, with_event
from agent.notify.mail import Mail, compose
from agent.notify.notice import Event, Notice
from agent.notify.webhook import SIGNATURE, Webhook, sign

from .conftest import Authority
from .samples import NOON, notice
from .sinks import HttpSink, SmtpSink, silent_port

SECRET = "whsec-5f1d2c3b4a"
PASSWORD = "smtp-password-77"
DIALED = (Event.DIALED,)
NASTY = "Lobby\r\nBcc: everybody@example.net\r\n\r\nkiosk"
CLOCK = SystemClock()


def deliver(channel: Channel, given: Notice | None = None, events: tuple[Event, ...] = DIALED) -> str:
    return asyncio.run(channel.deliver(given or notice(), events))


def fails(channel: Channel, kind: type[AgentError] = Retry) -> AgentError:
    with pytest.raises(kind) as caught:
        deliver(channel)
    return caught.value


def secret_in(folder: Path, text: str) -> Path:
    (folder / "secret").write_text(f"{text}\n")
    return folder / "secret"


# ------------------------------------------------------------------ webhook


def hook(url: str, folder: Path, ca: Path | None = None) -> Webhook:
    settings = WebhookSettings(url=url, secret_file=secret_in(folder, SECRET), ca_file=ca)
    return Webhook("webhook", Kind(), url, settings, CLOCK)


def test_a_webhook_is_signed_over_time_and_body(http_sink: HttpSink, tmp_path: Path) -> None:
    assert deliver(hook(http_sink.url, tmp_path)) == "204 No Content"
    got = http_sink.inbox.wait("the notice")
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", got.headers[SIGNATURE])
    assert found is not None
    at, digest = found.groups()
    expected = hmac.new(SECRET.encode(), f"{at}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, digest)
    assert abs(int(at) - CLOCK.wall()) < 300, "the receiver's tolerance"
    assert digest not in sign(SECRET.encode(), int(at), got.body.replace(b"911", b"912"))
    assert digest not in sign(SECRET.encode(), int(at) + 1, got.body)
    assert digest not in sign(b"another", int(at), got.body)


def test_a_webhook_has_what_a_program_needs(http_sink: HttpSink, tmp_path: Path) -> None:
    answered = with_event(notice(answered_at=NOON + 2), Event.ANSWERED)
    deliver(hook(http_sink.url, tmp_path), answered, (Event.DIALED, Event.ANSWERED))
    got = http_sink.inbox.wait("the notice")
    assert (got.headers["Content-Type"], got.headers["Idempotency-Key"]) == ("application/json", "n1-2")
    body = got.json
    assert {key: body[key] for key in ("type", "format", "id", "revision", "event", "events", "test", "number")} == {
        "type": "emergency_call.notice", "format": 1, "id": "n1", "revision": 2, "event": "dialed",
        "events": ["dialed", "answered"], "test": False, "number": "911",
    }  # fmt: skip
    assert body["location"]["status"] == "proven"
    assert body["location"]["address"]["unit"] == "Suite 400"
    assert body["phone"] == {**body["location"], "status": "confirmed"}
    assert (body["dialed_at"], body["answered_at"], body["callback_number"]) == (NOON, NOON + 2, "+14155550100")


def test_only_2xx_is_a_delivery_and_redirects_are_not_followed(http_sink: HttpSink, tmp_path: Path) -> None:
    channel = hook(http_sink.url, tmp_path)
    for status in (301, 307, 400, 404, 500):
        http_sink.status, http_sink.headers = status, {"Location": http_sink.url}
        before = len(http_sink.inbox.items)
        assert fails(channel).happened.startswith(f"127.0.0.1 answered {status}")
        assert len(http_sink.inbox.items) == before + 1
    http_sink.status, http_sink.headers = 503, {"Retry-After": "17"}
    error = fails(channel, Backoff)
    assert isinstance(error, Backoff)
    assert error.retry_after == 17.0


def test_a_webhook_that_says_nothing_is_given_up_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.2)
    with silent_port() as port:
        error = fails(hook(f"http://127.0.0.1:{port}/{SECRET}", tmp_path))
    assert error.happened == "127.0.0.1 did not answer within 0.2 s."


def test_a_certificate_is_verified(authority: Authority, tmp_path: Path) -> None:
    with HttpSink(tls=authority.server) as sink:
        fails(hook(sink.url, tmp_path))
        assert sink.inbox.items == []
        deliver(hook(sink.url, tmp_path, authority.file))
        sink.inbox.wait("the notice")
    (tmp_path / "no.pem").write_text("no certificate")
    assert "notify_webhook.ca_file" in str(fails(hook(sink.url, tmp_path, tmp_path / "no.pem"), NeedsHuman))


def test_s10_neither_secret_nor_url_is_told_when_it_fails(
    http_sink: HttpSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{http_sink.url}/{SECRET}-in-the-path"
    http_sink.status = 500
    said = [str(fails(hook(url, tmp_path)))]
    said.append(str(fails(hook(f"http://127.0.0.1:1/{SECRET}", tmp_path))))
    said.append(str(fails(hook(f"https://127.0.0.1:{http_sink.port}/{SECRET}", tmp_path))))
    assert SECRET not in "".join(said) + caplog.text
    assert SECRET not in str(http_sink.inbox.items[0].headers) + http_sink.inbox.items[0].body.decode()


def test_a_webhook_without_its_secret_is_not_sent_unsigned(http_sink: HttpSink, tmp_path: Path) -> None:
    settings = WebhookSettings(url=http_sink.url, secret_file=tmp_path / "nothing")
    error = fails(Webhook("webhook", Kind(), http_sink.url, settings, CLOCK), NeedsHuman)
    assert "notify-webhook-secret" in error.happened
    assert http_sink.inbox.items == []


# ------------------------------------------------------------------ e-mail

TO = ("desk@example.net", "guard@example.net")


def letters(port: int, **changes: object) -> Mail:
    settings = EmailSettings(host="127.0.0.1", port=port, security="none", sender="kiosk@example.net", to=TO)
    for name, value in changes.items():
        object.__setattr__(settings, name, value)
    return Mail("email", Kind(), TO, settings, CLOCK)


def test_a_letter_says_the_facts(smtp_sink: SmtpSink) -> None:
    assert deliver(letters(smtp_sink.port)) == "127.0.0.1 took it."
    got = smtp_sink.inbox.wait("the letter")
    assert (got.sender, got.recipients) == ("kiosk@example.net", TO)
    message = got.message
    assert message["Subject"] == "EMERGENCY CALL: 911 was dialed from Lobby kiosk"
    assert (message["Auto-Submitted"], message["Importance"]) == ("auto-generated", "high")
    body = message.get_content()
    for text in ("911 was dialed from Lobby kiosk.", "123 Main St, Suite 400", "Callback number: +14155550100."):
        assert text in body


def test_a_test_letter_is_marked_and_not_urgent(smtp_sink: SmtpSink) -> None:
    deliver(letters(smtp_sink.port), notice(test=True, number="933"))
    message = smtp_sink.inbox.wait("the letter").message
    assert message["Subject"] == "[TEST] 933 test call from Lobby kiosk"
    assert message["Importance"] is None
    assert "This is not an emergency." in message.get_content()


def test_all_letters_of_one_call_are_one_thread() -> None:
    first = compose(notice(), DIALED, TO, EmailSettings(username="kiosk@example.net"), NOON)
    second = compose(with_event(notice(), Event.ENDED), (Event.ENDED,), TO, EmailSettings(), NOON)
    assert second["In-Reply-To"] == first["Message-ID"] != second["Message-ID"]
    assert (first["From"], second["From"]) == ("kiosk@example.net", TO[0])


def test_a_device_name_cannot_add_headers_or_recipients(smtp_sink: SmtpSink) -> None:
    deliver(letters(smtp_sink.port), notice(device=NASTY, callback_number=NASTY))
    got = smtp_sink.inbox.wait("the letter")
    assert got.recipients == TO
    assert got.message["Bcc"] is None
    assert got.message["Subject"] == "EMERGENCY CALL: 911 was dialed from Lobby Bcc: everybody@example.net kiosk"
    assert not [line for line in got.message.get_content().splitlines() if line.startswith("Bcc")]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_password_travels_inside_tls_only(authority: Authority, tmp_path: Path, security: str) -> None:
    password = secret_in(tmp_path, PASSWORD)
    with SmtpSink(tls=authority.server, implicit=security == "tls") as sink:
        signed = {"username": "kiosk", "password_file": password, "security": security}
        fails(letters(sink.port, **signed))
        assert sink.signed_in == [], "the certificate is not known"
        deliver(letters(sink.port, ca_file=authority.file, **signed))
        assert (sink.signed_in, sink.secured) == ([f"\0kiosk\0{PASSWORD}"], 1)
        sink.accepts_password = False
        error = fails(letters(sink.port, ca_file=authority.file, **signed), NeedsHuman)
        assert error.happened == "The mail server 127.0.0.1 refused the user name or password (535)."
    with SmtpSink() as plain:
        fails(letters(plain.port, **signed))
        assert "never sent without TLS" in str(fails(letters(plain.port, **signed | {"security": "none"}), NeedsHuman))
        assert plain.signed_in == []


def test_recipients_that_are_refused_are_named_and_the_others_told_once(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse = frozenset(TO[:1])
    assert deliver(letters(smtp_sink.port)) == f"127.0.0.1 took it, but not for {TO[0]}."
    assert smtp_sink.inbox.wait("the letter").recipients == TO[1:]
    smtp_sink.refuse = frozenset(TO)
    assert "refused every recipient" in fails(letters(smtp_sink.port)).happened


def test_a_mail_server_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.2)
    with silent_port() as port:
        assert fails(letters(port)).happened == "The mail server 127.0.0.1 did not finish within 0.2 s."
    assert "cannot be used" in fails(letters(1)).happened


# ------------------------------------------------------------------ command


def script(folder: Path, text: str) -> tuple[str, ...]:
    file = folder / "beep"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return (str(file), "$(reboot)", "; reboot")


def test_a_command_gets_the_facts_in_its_environment_and_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/here")
    out = tmp_path / "out"
    run = script(tmp_path, f"env -0 > {out}; printf '%s|' \"$@\" > {out}.args")
    assert deliver(Command("command", Kind(), run), notice(device=NASTY)) == "beep ended with status 0."
    told = dict(line.split("=", 1) for line in out.read_text().split("\0") if "=" in line)
    assert {name: told[f"DIALSTACK_{name}"] for name in ("EVENT", "TEST", "NUMBER", "CALLBACK_NUMBER")} == {
        "EVENT": "dialed", "TEST": "0", "NUMBER": "911", "CALLBACK_NUMBER": "+14155550100",
    }  # fmt: skip
    assert told["DIALSTACK_DEVICE"] == "Lobby Bcc: everybody@example.net kiosk"
    assert told["DIALSTACK_LOCATION"] == "123 Main St, Suite 400, San Francisco, CA 94105"
    assert "CREDENTIALS_DIRECTORY" not in told
    assert Path(f"{out}.args").read_text() == "$(reboot)|; reboot|"


def test_a_command_that_fails_or_is_not_there_is_tried_again(tmp_path: Path) -> None:
    assert fails(Command("command", Kind(), script(tmp_path, "exit 3"))).happened == "beep ended with status 3."
    assert fails(Command("command", Kind(), ("/nowhere/beep",))).happened.startswith("beep cannot be started: No such")


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TIMEOUT", 0.5)
    pids = tmp_path / "pids"
    run = script(tmp_path, f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait")
    assert fails(Command("command", Kind(), run)).happened == "beep did not end within 0.5 s and was ended."
    for pid in map(int, pids.read_text().split()):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        assert state.stdout.strip() in {"", "Z", "Zs"}, f"{pid} still runs"
    assert os.environ.get("DIALSTACK_EVENT") is None


# ------------------------------------------------------------------ which of them


def test_only_what_is_configured_is_there_and_escalation_comes_last() -> None:
    assert build(Settings(), CLOCK) == ()
    settings = Settings(
        notify_webhook=WebhookSettings(url="https://a.example", escalation_url="https://b.example"),
        notify_email=EmailSettings(host="mail.example", to=TO, escalation_to=("boss@example.net",)),
        notify_command=CommandSettings(run=("/bin/true",), escalation_run=("/bin/true",)),
    )
    found = build(settings, CLOCK)
    assert [(channel.name, channel.kind.escalation) for channel in found] == [
        ("webhook", False), ("email", False), ("command", False),
        ("webhook (escalation)", True), ("email (escalation)", True), ("command (escalation)", True),
    ]  # fmt: skip
    assert json.dumps([channel.name for channel in found])
