"""S9 on real networks: a neighbor with the PIN may confirm; a stranger behind the router, or a wrong name, may not."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.lab.process import die_with_parent, stop
from agent.lab.stage import OFFICE, Stage, form_fields
from agent.lab.topology import LAPTOP, PREFIX6, ROUTERS
from agent.page.access.door import MAX_ON_LINK
from tests.e2e.conftest import Open
from tests.e2e.house import Window, bound, eventually, switch_on
from tests.e2e.neighbor import DEVICE, HTTP, HTTPS, Neighbor, connect, set_pin

pytestmark = [pytest.mark.netns, pytest.mark.sip]
STAFF_PIN = "402816"
ON_LINK = 'listen = "link"'


def answers(stage: Stage, role: str, port: int = HTTPS, address: str = DEVICE) -> bool:
    """Tell whether anybody listens there."""
    with contextlib.suppress(OSError):
        connect(stage, role, port, address).close()
        return True
    return False


def test_s9_a_neighbor_with_the_pin_confirms_and_the_address_is_proven(open_stage: Open) -> None:
    stage = open_stage(laptop=True)
    switch_on(stage, page=f"{ON_LINK}\nannounce = false")
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
    assert not answers(stage, "laptop"), "closed until a PIN is set"
    assert "402816" not in set_pin(stage, STAFF_PIN)
    eventually("the page on the link", lambda: answers(stage, "laptop"))
    neighbor = Neighbor(stage)
    assert neighbor.request("GET", "/")[::2] == (303, "/login?next=%2F")
    assert neighbor.submit("/login", "/login", {"pin": "999998"})[0] == 403
    assert neighbor.submit("/login", "/login", {"pin": STAFF_PIN})[0] == 303
    assert neighbor.submit("/addresses/new", "/addresses/new", form_fields(OFFICE))[0] == 303
    bound(stage)
    assert stage.places()[0]["confirmed_by"] == f"staff at {LAPTOP}"
    _wrong_names(neighbor)
    _redirect(stage)
    _audit(stage)


def _wrong_names(neighbor: Neighbor) -> None:
    for host in ("evil.example", "localhost", "127.0.0.1", LAPTOP):
        status, page, _ = neighbor.request("GET", "/", headers={"Host": host})
        assert status == 421
        assert OFFICE.street not in page
    assert neighbor.request("GET", "/", headers={"Host": f"{socket.gethostname()}.local:{HTTPS}"})[0] == 200


def _redirect(stage: Stage) -> None:
    plain = connect(stage, "laptop", HTTP)
    plain.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert f"Location: https://{DEVICE}:{HTTPS}/\r\n" in plain.recv(4096).decode()
    plain.close()


def _audit(stage: Stage) -> None:
    rows = [(row["who"], row["origin"], row["action"], row["done"]) for row in audit(stage)]
    assert rows == [
        ("staff", LAPTOP, "POST /addresses/new", True),
        ("nobody", LAPTOP, "POST /login", True),
        ("nobody", LAPTOP, "POST /login", False),
        ("cli", "", "POST /api/v1/pins/{role}", True),
    ]


def on_the_link(open_stage: Open) -> Stage:
    """Return a phone at the office whose page answers a laptop beside it."""
    stage = open_stage(laptop=True)
    stage.write_config(page=f"{ON_LINK}\nannounce = false")
    stage.lab.plug("office")
    stage.start_agent()
    set_pin(stage, STAFF_PIN)
    eventually("the page on the link", lambda: answers(stage, "laptop"))
    return stage


def audit(stage: Stage) -> list[dict[str, object]]:
    from agent.lab.http_unix import call_json

    rows: list[dict[str, object]] = call_json(stage.agent_socket, "GET", "/api/v1/audit")["audit"]
    return rows


def test_s9_a_host_behind_the_routers_wan_gets_no_answer_even_if_the_router_lets_it_through(open_stage: Open) -> None:
    stage = on_the_link(open_stage)
    stage.lab.run("platform", ["ip", "route", "add", "192.168.1.0/24", "via", ROUTERS["office"].wan])
    stage.lab.run("office", ["nft", "insert rule inet lab forward iifname wan oifname lan accept"])
    for port in (HTTPS, HTTP):
        stranger = connect(stage, "platform", port)
        with contextlib.suppress(ConnectionError):
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stranger.recv(4096) == b"", "closed before TLS, without a word"
        stranger.close()
    assert Neighbor(stage).request("GET", "/login")[0] == 200, "the neighbor is still answered"


def test_s9_after_a_move_the_page_is_on_the_new_network_alone(open_stage: Open) -> None:
    stage = on_the_link(open_stage)
    stage.lab.renumber("192.168.7.1")
    eventually("the page on the new address", lambda: answers(stage, "office", address="192.168.7.50"))
    router = Neighbor(stage, "office", "192.168.7.50")
    assert router.request("GET", "/login")[0] == 200, "the certificate names the new address"
    stage.lab.run("office", ["ip", "route", "add", DEVICE, "dev", "lan"])
    assert not answers(stage, "office", address=DEVICE)


def test_the_page_is_on_ipv6_as_well(open_stage: Open) -> None:
    stage = open_stage(laptop=True, ipv6=True)
    stage.write_config(page=f"{ON_LINK}\nannounce = false")
    stage.lab.plug("office")
    stage.start_agent()
    set_pin(stage, STAFF_PIN)
    device = f"{PREFIX6}50"
    eventually("the page on the link", lambda: answers(stage, "laptop", address=device))
    neighbor = Neighbor(stage, "laptop", device)
    assert neighbor.request("GET", "/login")[0] == 200
    assert neighbor.request("GET", "/login", headers={"Host": "[fd00:5:1::51]"})[0] == 421


def test_500_idle_connections_from_a_neighbor_do_not_disturb_the_daemon(open_stage: Open) -> None:
    stage = on_the_link(open_stage)
    stage.lab.run("laptop", ["sh", "-c", "for n in $(seq 100 200); do ip address add 192.168.1.$n/24 dev eth0; done"])
    with contextlib.ExitStack() as stack, Window(stage) as window:
        for number in range(500):
            source = f"192.168.1.{100 + number % 100}"
            with stage.lab.in_namespace("laptop"):
                idle = socket.create_connection((DEVICE, HTTPS), timeout=10, source_address=(source, 0))
            stack.enter_context(idle)
        assert stage.status()["device"] == "Lobby kiosk"
        page = connect(stage, "device", HTTP, "127.0.0.1")
        page.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert page.recv(4096).startswith(b"HTTP/1.1 200 ")
        page.close()
        taken = int(stage.lab.run("device", ["sh", "-c", "ss -Htn state established sport = 8912 | wc -l"]))
        assert 0 < taken <= MAX_ON_LINK
    assert window.seen > 0
    assert window.bad == []


# ------------------------------------------------------------------ mDNS

BUS = """<busconfig><type>system</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow receive_sender="*"/></policy></busconfig>"""
AVAHI = "[server]\nhost-name=kiosk\nuse-ipv6=no\nallow-interfaces=eth0\n[publish]\npublish-workstation=no\n"


@contextlib.contextmanager
def avahi(stage: Stage) -> Iterator[None]:
    """Run a real Avahi on the device, with a bus of its own."""
    folder = stage.folder
    (folder / "bus.conf").write_text(BUS.format(folder=folder))
    (folder / "avahi.conf").write_text(AVAHI)
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus"}
    inside = (
        "mkdir -p /run/avahi-daemon && mount -t tmpfs none /run/avahi-daemon && "
        f"exec avahi-daemon --no-drop-root --no-chroot --no-rlimits --no-proc-title -f {folder}/avahi.conf"
    )
    argvs = (
        ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile"],
        ["unshare", "-m", "sh", "-c", inside],
    )
    running: list[subprocess.Popen[bytes]] = []
    try:
        for argv in argvs:
            running.append(stage.lab.exec("device", argv, env=environment, preexec_fn=die_with_parent))
            eventually("the bus", (folder / "bus").exists)
        yield
    finally:
        for process in reversed(running):
            stop(process)


def found_by_mdns(stage: Stage) -> bytes:
    """Ask the LAN for web pages as any computer does (RFC 6762 6.7: answered to the one who asked)."""
    question = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\x06_https\x04_tcp\x05local\x00" + struct.pack("!2H", 12, 1)
    with stage.lab.in_namespace("laptop"):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(0.3)
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LAPTOP))
        asking.sendto(question, ("224.0.0.251", 5353))
        with contextlib.suppress(TimeoutError):
            return asking.recv(9000)
    return b""


def test_the_page_is_announced_on_the_link_while_it_is_there(open_stage: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = open_stage(laptop=True)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={stage.folder}/bus")
    stage.write_config(page=ON_LINK)
    stage.lab.plug("office")
    with avahi(stage):
        eventually("Avahi", lambda: b"https" not in found_by_mdns(stage) and _avahi_is_up(stage.folder))
        stage.start_agent()
        set_pin(stage, STAFF_PIN)
        eventually("the announcement", lambda: b"Lobby kiosk" in found_by_mdns(stage))
        stage.stop_agent()
        eventually("the end of the announcement", lambda: b"Lobby kiosk" not in found_by_mdns(stage))


def _avahi_is_up(folder: Path) -> bool:
    time.sleep(0.1)
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus"}
    argv = ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.Avahi", "/",
            "org.freedesktop.Avahi.Server.GetHostName"]  # fmt: skip
    done = subprocess.run(argv, env=environment, capture_output=True, check=False)
    return b"kiosk" in done.stdout
