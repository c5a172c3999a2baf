"""Real peers for the tests of dialstack-voice: the process itself, Kamailio as registrar, SIPp as the far end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.voice.pjsip.config import bracketed

from .wire import PATIENCE, Line, until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PASSWORD = "correct-horse"
DOMAIN = "voice.test"
_INVITE = re.compile(r"@@INVITE to=(\S+) src=(\S+) proto=(\S+) id=(\S*) geo=(\S*) length=(\d+) body=([0-9a-f]*)")
_REGISTER = re.compile(r"@@(REGISTER|ACCEPTED) id=(\S*) src=(\S+) .*?expires=(\d+)")


@dataclass(frozen=True)
class Invite:
    """One INVITE as Kamailio saw it."""

    to: str
    source: str
    proto: str
    presented: str
    geolocation: str
    length: int
    body: str

    @property
    def sound_to(self) -> str:
        """Where the sound is to be sent (RFC 4566 5.7)."""
        (address,) = re.findall(r"^c=IN IP[46] ([^\r\n]+)", self.body, re.MULTILINE)
        return str(address)

    @property
    def codecs(self) -> list[str]:
        """Codecs in the order of the offer."""
        names = dict(re.findall(r"a=rtpmap:(\d+) ([^/\r]+)", self.body))
        (line,) = re.findall(r"m=audio \d+ \S+ ([\d ]+)", self.body)
        return [names[number] for number in line.split()]


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for TCP and UDP now."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


def certificates(folder: Path, name: str, kind: str = "good") -> Path:
    """Make a CA and a server certificate for `name`, `good`, `expired` or `self-signed`; return the CA's file."""
    openssl = ["openssl"]
    key = ["-newkey", "rsa:2048", "-nodes"]

    def run(*arguments: str) -> None:
        subprocess.run([*openssl, *arguments], cwd=folder, check=True, capture_output=True)

    alternative = f"subjectAltName={'IP' if name[0].isdigit() or ':' in name else 'DNS'}:{name}"
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test CA", "-days", "2")
    if kind == "self-signed":
        own = ["-keyout", "server.key", "-out", "server.crt", "-subj", f"/CN={name}", "-addext", alternative]
        run("req", "-x509", *key, *own, "-days", "2")
        return folder / "ca.crt"
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (folder / "ext").write_text(f"{alternative}\n")
    ca = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
    days = "-1" if kind == "expired" else "2"
    run("x509", "-req", "-in", "server.csr", *ca, "-out", "server.crt", "-days", days, "-extfile", "ext")
    return folder / "ca.crt"


class Registrar:
    """Kamailio on one address; `netns` puts it into a network namespace."""

    def __init__(
        self,
        folder: Path,
        *,
        transport: str = "udp",
        address: str = "127.0.0.1",
        netns: str = "",
        tls_name: str = "",
        certificate: str = "good",
    ) -> None:
        # The control socket's path must stay below 108 characters.
        self.folder = folder
        self.address = address
        self.host = bracketed(address)
        self.port = free_port()
        self.uas_port = free_port()
        self.transport = transport
        self.ca = certificates(folder, tls_name or address, certificate) if transport == "tls" else None
        self.netns = ["ip", "netns", "exec", netns] if netns else []
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "kamailio.log"

    def start(self) -> Registrar:
        """Start and wait until it answers."""
        listen = "\n".join(f"listen={kind}:{self.host}:{self.port}" for kind in self._kinds())
        text = (HERE / "kamailio.cfg").read_text()
        uas = f"{self.host}:{self.uas_port}"
        values = {"LISTEN": listen, "RUN": str(self.folder), "PASSWORD": PASSWORD, "UAS": uas}
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (self.folder / "kamailio.cfg").write_text(text)
        tls = "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
        tls += f"private_key = {self.folder}/server.key\ncertificate = {self.folder}/server.crt\n"
        (self.folder / "tls.cfg").write_text(tls)
        command = ["kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-f", "kamailio.cfg", "-P", "k.pid"]
        command += ["-Y", str(self.folder), "-w", str(self.folder)]
        if self.transport == "tls":
            command += ["-A", "WITH_TLS"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self.netns, *command], cwd=self.folder, stderr=log, stdout=log)
        until(lambda: (self.folder / "ctl.sock").exists() and self.rpc("core.uptime", check=False))
        return self

    def _kinds(self) -> tuple[str, ...]:
        return ("udp",) if self.transport == "udp" else ("udp", self.transport)

    def stop(self) -> None:
        """Kill all of its processes."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            (self.folder / "ctl.sock").unlink(missing_ok=True)

    def rpc(self, *command: str, check: bool = True) -> str:
        """Run an RPC command."""
        socket_path = f"unix:{self.folder}/ctl.sock"
        done = subprocess.run(["kamcmd", "-s", socket_path, *command], capture_output=True, check=check, text=True)
        return done.stdout

    def mode(self, **values: str) -> None:
        """Behave: `code="503", retry_after="7"`, `code="drop"`, `code="short", expires="3"`."""
        for name, value in values.items():
            self.rpc("htable.sets", "mode", name, f"s:{value}" if value.isdigit() else value)

    def bindings(self) -> list[str]:
        """Return the contacts bound now."""
        return re.findall(r"Address: (\S+)", self.rpc("ul.dump"))

    def registers(self, kind: str = "REGISTER") -> list[tuple[str, str, int]]:
        """Return (presented id, source, Expires) of each REGISTER received, or of those ACCEPTED."""
        found = _REGISTER.findall(self._log.read_text(errors="replace"))
        return [(_id(shown), source, int(expires)) for what, shown, source, expires in found if what == kind]

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def invites(self) -> list[Invite]:
        """Return every INVITE that begins a call, in order."""
        return [
            Invite(to, source, proto, _id(shown), _id(geo), int(length), bytes.fromhex(body).decode())
            for to, source, proto, shown, geo, length, body in _INVITE.findall(self.log())
        ]

    def log(self) -> str:
        """Return everything that it said."""
        return self._log.read_text(errors="replace")


def _id(shown: str) -> str:
    return "" if shown in {"<null>", "-"} else shown


class Uas:
    """SIPp as the emergency service: answers and sends the sound back; `builtin`: keeps no Record-Route."""

    def __init__(
        self, registrar: Registrar, *, builtin: bool = False, scenario_file: str = "uas.xml", calls: int = 0
    ) -> None:
        scenario = ["-sn", "uas", "-m", "1"] if builtin else ["-sf", str(HERE / scenario_file)]
        self._messages = registrar.folder / "sipp.messages"
        scenario += ["-m", str(calls)] if calls else []
        scenario += ["-trace_msg", "-message_file", str(self._messages)]
        command = ["sipp", *scenario, "-i", registrar.host, "-p", str(registrar.uas_port), "-nostdin"]
        media = ["-rtp_echo", "-mp", str(free_port())]
        self._process = subprocess.Popen(
            [*registrar.netns, *command, *media],
            cwd=registrar.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TERM": "dumb"},
        )

    def heard(self, method: str) -> int:
        """Return how many requests of this method came."""
        return len(re.findall(rf"^{method} sip", self._messages.read_text(errors="replace"), re.MULTILINE))

    def contacts(self) -> list[str]:
        """Return the hosts of the Contacts of the INVITEs that came, in order: where it sends what it has to say."""
        messages = self._messages.read_text(errors="replace")
        return re.findall(r"^INVITE sip(?:.+\r?\n)*?Contact: <sip:[^@]+@(\[[^]]+\]|[^:;>]+)", messages, re.MULTILINE)

    def finished(self) -> bool:
        """Return whether one for one call saw its call through, ACK and BYE included."""
        return self._process.wait(PATIENCE) == 0

    def pause(self, *, on: bool) -> None:
        """Answer nothing for a while, then all that came."""
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def stop(self) -> None:
        """Stop answering."""
        self._process.kill()
        self._process.wait()


class Voice:
    """The process `dialstack-voice` with a configuration of its own."""

    def __init__(self, folder: Path, registrar: Registrar | None, /, **sip: object) -> None:
        self.folder = folder
        self.socket = folder / "voice.sock"
        values: dict[str, object] = {"username": "alice", "domain": DOMAIN, "socket": str(self.socket)}
        if registrar is not None:
            values |= {"registrar": registrar.address, "port": registrar.port, "transport": registrar.transport}
            if registrar.ca is not None:
                values["ca_file"] = str(registrar.ca)
        values |= {"local_port": free_port(), "password_file": str(folder / "password")} | sip
        (folder / "password").write_text(PASSWORD)
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
        self.config = folder / "agent.toml"
        self.config.write_text("[sip]\n" + "\n".join(lines) + "\n")
        self.log_file = folder / "voice.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._lines: list[Line] = []

    def start(self, *, netns: str = "", module: str = "agent.voice", **environment: str) -> Voice:
        """Start and wait for the socket."""
        command = [sys.executable, "-m", module, "--config", str(self.config)]
        if netns:
            command = ["ip", "netns", "exec", netns, *command]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, env={**os.environ, **environment})
        until(self.socket.exists)
        return self

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop and reap."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                self.process = None

    def log(self) -> str:
        """Return its log so far."""
        return self.log_file.read_text()

    def client(self, role: str = "app") -> Line:
        """Connect and say hello."""
        self._lines.append(Line(self.socket, role))
        return self._lines[-1]

    def close(self) -> None:
        """End the process and its clients; a stop that asks would wait for the calls (S4)."""
        self.stop(signal.SIGKILL)
        for line in self._lines:
            line.close()


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Have these network namespaces for a while."""
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def ip(*arguments: str) -> None:
    """Run the command of iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def need(*programs: str) -> bool:
    """Return whether these programs are here."""
    return all(shutil.which(program) for program in programs)


def run_async(coroutine: Any) -> Any:
    """Run a coroutine with a deadline."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE * 2))
