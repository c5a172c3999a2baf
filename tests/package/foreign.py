"""`python -m tests.package.foreign arm64`: the packages of another architecture at work, under qemu's user emulation.

The packages in dist/ are unpacked into a Debian tree of that architecture; `dialstack-voice` from there registers over
TLS with a real Kamailio, verifies its certificate, and calls a real SIPp with sound. Needs root, qemu-user-static,
mmdebstrap, and the packages (`make deb ARCH=arm64`). Takes minutes the first time, so it is not part of the test suite.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.package import packages
from tests.package.machine import CACHE, ROOT, SOURCES
from tests.voice.harness import DOMAIN, PASSWORD, Registrar, Uas, free_port
from tests.voice.wire import Line, until

QEMU = {"arm64": "qemu-aarch64-static"}
PATIENCE = 60.0
"""Seconds: emulation is slow."""


def tree(arch: str, debs: list[Path]) -> Path:
    """Return a tree of the architecture with the packages unpacked in it; nothing is configured."""
    folder = CACHE / f"foreign-{arch}"
    if not folder.exists():
        wanted = ",".join(["python3", *packages.dependencies(debs)])
        command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={arch}", f"--include={wanted}"]
        subprocess.run([*command, "bookworm", str(folder), *SOURCES], check=True, stdout=subprocess.DEVNULL)
    (folder / "proc").mkdir(exist_ok=True)
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    shutil.copy(shutil.which(QEMU[arch]) or "", folder / "usr/bin")
    return folder


def run(arch: str) -> None:
    """Register over TLS, call, hear; print what was seen."""
    names = ("dialstack-agent_*_all", f"dialstack-agent-pjsua2_*_{arch}", f"dialstack-agent-msgspec_*_{arch}")
    root = tree(arch, [next((ROOT / "dist").glob(f"{name}.deb")) for name in names])
    place = Path(tempfile.mkdtemp(prefix="f-", dir=root / "tmp"))
    inside = Path("/") / place.relative_to(root)
    registrar = Registrar(place, transport="tls").start()
    far_end = Uas(registrar)
    values: dict[str, Any] = {
        "username": "alice", "domain": DOMAIN, "registrar": registrar.address, "port": registrar.port,
        "transport": "tls", "local_port": free_port(), "ca_file": str(inside / "ca.crt"),
        "password_file": str(inside / "password"), "socket": str(inside / "voice.sock"), "callback_window": 0,
    }  # fmt: skip
    (place / "password").write_text(PASSWORD)
    (place / "agent.toml").write_text(
        "[sip]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    )
    inner = f'mount -t proc proc {root}/proc && exec chroot {root} /usr/bin/{QEMU[arch]} /usr/bin/python3 -I "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inner, "sh", "/usr/bin/dialstack-voice"]
    with (place / "voice.log").open("wb") as log:
        voice = subprocess.Popen([*command, "--config", inside / "agent.toml"], stderr=log, stdout=log)
    try:
        until((place / "voice.sock").exists, patience=PATIENCE)
        line = Line(place / "voice.sock", "app")
        print(line.hear(type="welcome"))
        print(line.hear(type="registration", kind="registered", patience=PATIENCE))
        connection = registrar.rpc("tls.list")
        assert "TLSv1.3" in connection, connection
        print(connection)
        line.say(type="call", to="911", req_id="1")
        line.hear(type="call", state="confirmed", patience=PATIENCE)
        until(lambda: _packets(line) > 0, PATIENCE)
        line.close()
    finally:
        voice.terminate()
        voice.wait()
        far_end.stop()
        registrar.stop()
        print((place / "voice.log").read_text())
        shutil.rmtree(place)


def _packets(line: Line) -> int:
    """Return how many RTP packets were heard so far."""
    sound = line.hear(PATIENCE, type="call").get("sound") or {}
    print(sound)
    return int(sound.get("rx_packets", 0))


if __name__ == "__main__":
    run(sys.argv[1])
