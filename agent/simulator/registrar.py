"""Kamailio as the registrar: renders its configuration, runs it, reads its location table."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("kamailio.cfg")
READY_WAIT = 10.0
STOP_WAIT = 2.0
"""Seconds for a clean exit: Kamailio holds nothing that is worth waiting for."""
POLL = 0.02
"""Seconds between looks whether Kamailio answers yet; it says so in no other way."""


@dataclass(frozen=True, slots=True)
class RegistrarConfig:
    """Where Kamailio listens and whom it asks."""

    run: Path
    addresses: tuple[str, ...]
    port: int
    """UDP and TCP."""
    realm: str
    control: str
    """URL of the control port: `/internal/...` is asked there."""
    psap: str
    """host:port of the media legs."""
    tls_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    debug: int = 0
    """Kamailio's debug level."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of the location table."""

    aor: str
    address: str
    """Contact URI, rewritten where the phone is behind NAT."""
    expires: int
    """Seconds left."""
    call_id: str
    cseq: int
    user_agent: str
    socket: str
    natted: bool
    """Pinged every 20 s."""

    def row(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


class Registrar:
    """A child process; it dies with its parent."""

    def __init__(self, config: RegistrarConfig) -> None:
        self.config = config
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def log_path(self) -> Path:
        """Where Kamailio's own messages go."""
        return self.config.run / "kamailio.log"

    async def start(self) -> None:
        """Start Kamailio and wait until it answers; raise RuntimeError with its last words if it does not."""
        if self.running:
            return
        run = self.config.run.absolute()
        run.mkdir(parents=True, exist_ok=True)
        path = run / "kamailio.cfg"
        path.write_text(render(self.config))
        (run / "ctl.sock").unlink(missing_ok=True)
        command = ["kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-f", str(path)]
        command += ["-P", str(run / "kamailio.pid"), "-Y", str(run), "-w", str(run)]
        setpriv = shutil.which("setpriv")
        if setpriv:
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            async with asyncio.timeout(READY_WAIT):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise RuntimeError(f"Kamailio did not start: {self._last_words()}")
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            await self.stop()
            raise RuntimeError(f"Kamailio does not answer: {self._last_words()}") from error

    async def stop(self) -> None:
        """Stop Kamailio; what it knew is lost."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_WAIT):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)  # its workers are in its own group
            await process.wait()

    async def location_table(self) -> list[Contact]:
        """Return the contacts that Kamailio knows now."""
        code, text = await self._ask("ul.dump")
        return parse_location(text) if code == 0 else []

    async def _answers(self) -> bool:
        if not (self.config.run / "ctl.sock").exists():
            return False
        code, _ = await self._ask("core.uptime")
        return code == 0

    async def _ask(self, command: str) -> tuple[int | None, str]:
        socket = f"unix:{self.config.run.absolute() / 'ctl.sock'}"
        process = await asyncio.create_subprocess_exec(
            "kamcmd",
            "-s",
            socket,
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode(errors="replace")

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        return " | ".join(lines[-5:])


def render(config: RegistrarConfig) -> str:
    """Return Kamailio's configuration."""
    hosts = [f"[{address}]" if ":" in address else address for address in config.addresses]
    listen = [f"listen={protocol}:{host}:{config.port}" for host in hosts for protocol in ("udp", "tcp")]
    tls = ""
    if config.tls_port is not None:
        listen = ["enable_tls=yes", *listen, *(f"listen=tls:{host}:{config.tls_port}" for host in hosts)]
        tls = (
            'loadmodule "tls.so"\nmodparam("tls", "tls_method", "TLSv1.2+")\n'
            f'modparam("tls", "certificate", "{config.tls_cert}")\nmodparam("tls", "private_key", "{config.tls_key}")'
        )
    host, _, port = config.psap.rpartition(":")
    values = {
        "DEBUG": str(config.debug),
        "MHOMED": "yes" if len(hosts) > 1 else "no",
        "LISTEN": "\n".join(listen),
        "TLS": tls,
        "RUN": str(config.run.absolute()),
        "CONTROL": config.control,
        "PSAP": config.psap,
        "PSAP_HOST": host.strip("[]"),
        "PSAP_PORT": port,
        "REALM": config.realm,
    }
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], TEMPLATE.read_text())


def parse_location(text: str) -> list[Contact]:
    """Return the contacts in the output of `kamcmd ul.dump`."""
    contacts: list[Contact] = []
    aor, fields = "", dict[str, str]()
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "AoR":
            aor = value
        elif name == "Contact":
            fields = {}
        elif name == "}" and "Address" in fields:
            contacts.append(_contact(aor, fields))
            fields = {}
        else:
            fields[name] = value
    return contacts


def _contact(aor: str, fields: dict[str, str]) -> Contact:
    expires = fields.get("Expires", "0")
    return Contact(
        aor=aor,
        address=fields["Address"],
        expires=int(expires) if expires.lstrip("-").isdecimal() else 0,
        call_id=fields.get("Call-ID", ""),
        cseq=int(fields.get("CSeq", "0")),
        user_agent=fields.get("User-Agent", ""),
        socket=fields.get("Socket", ""),
        natted=bool(int(fields.get("CFlags", "0")) & 0b10),
    )
