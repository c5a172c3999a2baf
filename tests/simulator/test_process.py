"""`python -m agent.simulator` as a child process: ready line, clean end, no children left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.simulator.__main__ import configuration
from tests.simulator.telephone import Telephone
from tests.simulator.world import run, world

PORTS = [f"--{name}-port=0" for name in ("api", "tls", "control", "sip", "sips", "psap")]


async def _start(folder: Path, *more: str) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.simulator", "--run", str(folder), *PORTS, *more, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(15):
        line = await process.stdout.readline()
    ready: dict[str, Any] = json.loads(line)
    return process, ready


def _kamailios(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if command[0].endswith(b"kamailio") and str(folder / "kamailio.cfg").encode() in command:
                found.append(int(entry.name))
    return found


async def _gone(numbers: list[int]) -> None:
    """Wait for the end of every one of these processes."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(15):
        for number in numbers:
            try:
                descriptor = os.pidfd_open(number)
            except ProcessLookupError:
                continue
            ended = asyncio.Event()
            loop.add_reader(descriptor, ended.set)
            await ended.wait()
            loop.remove_reader(descriptor)
            os.close(descriptor)


@pytest.mark.sip
def test_it_says_ready_in_one_line_and_ends_on_sigterm_with_its_children(tmp_path: Path) -> None:
    async def main() -> None:
        process, ready = await _start(tmp_path)
        assert ready["ready"] is True
        assert set(ready) == {"ready", "api", "signalling", "control", "control_socket", "sip"}
        children = _kamailios(tmp_path)
        assert children
        async with Telephone(ready["sip"], user="demo", password="demo-password") as phone:
            assert (await phone.register()).status == 200
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        await _gone(children)

    run(main())


@pytest.mark.sip
def test_killed_hard_it_leaves_no_kamailio_behind(tmp_path: Path) -> None:
    async def main() -> None:
        process, _ = await _start(tmp_path)
        children = _kamailios(tmp_path)
        assert children
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await _gone(children)

    run(main())


def test_the_configuration_file_names_users_behavior_and_faults(tmp_path: Path) -> None:
    path = tmp_path / "simulator.json"
    content = {"users": [{"id": "user_9"}], "behavior": {"session_cap": 3}, "faults": [{"kind": "html"}], "api_port": 1}
    path.write_text(json.dumps(content))
    address = ["--address", "192.0.2.10", "--address", "2001:db8::1"]
    made = configuration(["--run", str(tmp_path), "--config", str(path), "--api-port", "2", "--no-sip", *address])
    assert made.users == ({"id": "user_9"},)
    assert made.behavior == {"session_cap": 3}
    assert (made.api_port, made.sip, made.run) == (2, False, tmp_path)
    assert made.addresses == ("192.0.2.10", "2001:db8::1")


def test_an_unknown_key_in_the_configuration_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "simulator.json"
    path.write_text('{"user": []}')
    with pytest.raises(SystemExit):
        configuration(["--run", str(tmp_path), "--config", str(path)])
    assert "unknown in" in capsys.readouterr().err


def test_a_wrong_switch_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "simulator.json"
    path.write_text('{"behavior": {"mood": "good"}}')
    command = [
        sys.executable,
        "-m",
        "agent.simulator",
        "--run",
        str(tmp_path),
        "--config",
        str(path),
        "--no-sip",
        *PORTS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The simulator did not start: no such switch: mood")


def _certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.sip
def test_with_a_certificate_rest_signalling_and_sip_speak_tls(tmp_path: Path) -> None:
    async def main() -> None:
        certificate, key = _certificate(tmp_path)
        async with world(tmp_path, sip=True, tls_cert=certificate, tls_key=key) as w:
            trust = ssl.create_default_context(cafile=str(certificate))
            client = await w.client()
            async with client.get(w.simulator.urls["api_tls"] + "/v1/nowhere", ssl=trust) as response:
                assert response.status == 404
            port = w.simulator.registrar.config.tls_port  # type: ignore[union-attr]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            own = writer.get_extra_info("sockname")[1]
            lines = ["OPTIONS sip:dialstack.ai SIP/2.0", f"Via: SIP/2.0/TLS 127.0.0.1:{own};branch=z9hG4bKtls;rport"]
            lines += ["Max-Forwards: 70", "From: <sip:a@dialstack.ai>;tag=1", "To: <sip:dialstack.ai>"]
            lines += ["Call-ID: tls@test", "CSeq: 1 OPTIONS", "Content-Length: 0", "", ""]
            writer.write("\r\n".join(lines).encode())
            assert await reader.readline() == b"SIP/2.0 200 OK\r\n"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, addresses=("127.0.0.1", "::1")) as w:
            port = w.simulator.urls["api"].rpartition(":")[2]
            async with aiohttp.ClientSession() as client:
                url = f"ws://[::1]:{port}/v1/webrtc"
                async with client.ws_connect(url, protocols=("dialstack.webrtc.v1",)) as socket:
                    number = await w.address()
                    await socket.send_json(
                        {"type": "authenticate", "token": await w.token(), "emergency_address_id": number}
                    )
                    assert (await socket.receive_json(timeout=5))["type"] == "authenticated"
                    assert await w.anchor(number) == "::1"

    run(main())
