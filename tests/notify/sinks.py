"""Receivers of notices that are real servers with behavior: an HTTP one and an SMTP one, each on its own thread."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Generic, Self, TypeVar

PATIENCE = 30.0
"""Seconds until a test gives up; no expectation about speed."""


@dataclass(frozen=True)
class Posted:
    """One request that came in."""

    at: float
    """Monotonic seconds."""
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Item = TypeVar("Item")


@dataclass
class Inbox(Generic[Item]):
    """What arrived, and who waits for it."""

    items: list[Item] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, item: Item) -> None:
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, what: str, wanted: Callable[[Item], bool] = lambda _: True, seconds: float = PATIENCE) -> Item:
        """Return the first item that is wanted."""
        with self.changed:
            self.changed.wait_for(lambda: any(map(wanted, self.items)), seconds)
            found = next(filter(wanted, self.items), None)
        assert found is not None, f"{what} did not arrive: {self.items}"
        return found


class HttpSink:
    """Answers POSTs with `status`; a redirect leads to itself."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.inbox: Inbox[Posted] = Inbox()
        self.status = 204
        self.headers: dict[str, str] = {}
        sink = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.inbox.put(Posted(time.monotonic(), dict(self.headers), body))
                with contextlib.suppress(OSError):  # the sender was killed
                    self.send_response(sink.status)
                    for name, value in sink.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = http.server.ThreadingHTTPServer((host, 0), Answer)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http sink")
        self.port = int(self._server.server_address[1])
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Mailed:
    """One message that came in."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


class SmtpSink:
    """Speaks enough of RFC 5321, STARTTLS and AUTH to be a mail server; `refuse` answers RCPT of those with 550."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, *, implicit: bool = False) -> None:
        self.inbox: Inbox[Mailed] = Inbox()
        self.signed_in: list[str] = []
        self.secured = 0
        """Conversations that went on inside TLS."""
        self.refuse: frozenset[str] = frozenset()
        self.accepts_password = True
        self.tls = tls
        self.implicit = implicit
        sink = self

        class Talk(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                conversation = Conversation(sink, self.request)
                with contextlib.suppress(OSError), contextlib.closing(conversation):
                    conversation.run()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server((host, 0), Talk)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="smtp sink")
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Conversation:
    """One connection to the mail server."""

    def __init__(self, sink: SmtpSink, connection: socket.socket) -> None:
        self._sink = sink
        self._connection: socket.socket | ssl.SSLSocket = connection
        self._sender = ""
        self._recipients: list[str] = []
        self._stream: Any = self._connection.makefile("rwb")

    def close(self) -> None:
        """Let the connection go."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._connection.close()

    def _secure(self) -> None:
        assert self._sink.tls is not None
        self._stream.close()
        self._connection = self._sink.tls.wrap_socket(self._connection, server_side=True, do_handshake_on_connect=False)
        self._stream = self._connection.makefile("rwb")
        self._connection.do_handshake()
        self._sink.secured += 1

    def _say(self, line: str) -> None:
        self._stream.write(line.encode() + b"\r\n")
        self._stream.flush()

    def run(self) -> None:
        """Talk until the client goes."""
        if self._sink.implicit:
            self._secure()
        self._say("220 sink")
        while raw := self._stream.readline():
            verb, _, rest = raw.decode("latin-1").strip().partition(" ")
            handler = getattr(self, f"_on_{verb.lower()}", None)
            if verb.upper() == "QUIT":
                self._say("221 bye")
                return
            if handler is None:
                self._say("250 ok")
            else:
                handler(rest)

    def _on_ehlo(self, _: str) -> None:
        plain = not isinstance(self._connection, ssl.SSLSocket)
        offers = ["sink", *(["STARTTLS"] if self._sink.tls and plain else []), "AUTH PLAIN"]
        for number, offer in enumerate(offers):
            self._say(f"250{'-' if number < len(offers) - 1 else ' '}{offer}")

    def _on_starttls(self, _: str) -> None:
        self._say("220 go")
        self._secure()

    def _on_auth(self, rest: str) -> None:
        self._sink.signed_in.append(base64.b64decode(rest.rpartition(" ")[2]).decode())
        self._say("235 ok" if self._sink.accepts_password else "535 no")

    def _on_mail(self, rest: str) -> None:
        self._sender = rest.partition("<")[2].partition(">")[0]
        self._say("250 ok")

    def _on_rcpt(self, rest: str) -> None:
        one = rest.partition("<")[2].partition(">")[0]
        if one in self._sink.refuse:
            self._say("550 nobody here")
        else:
            self._recipients.append(one)
            self._say("250 ok")

    def _on_data(self, _: str) -> None:
        self._say("354 go")
        lines = []
        while (raw := self._stream.readline()) not in {b".\r\n", b""}:
            lines.append(raw[1:] if raw.startswith(b".") else raw)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._sink.inbox.put(Mailed(time.monotonic(), self._sender, tuple(self._recipients), message))
        self._say("250 taken")


@contextlib.contextmanager
def silent_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])
