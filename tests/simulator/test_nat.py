"""Behind real NAT: the simulator in the lab's platform namespace, a raw phone on the device."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.lab.lab import Lab
from agent.lab.topology import PLATFORM, ROUTERS
from tests.simulator.telephone import Telephone
from tests.simulator.world import run

pytestmark = [pytest.mark.sip, pytest.mark.netns]
DEVICE = "192.168.1.50"


@contextlib.asynccontextmanager
async def _simulator(lab: Lab, folder: Path) -> AsyncIterator[dict[str, Any]]:
    command = [sys.executable, "-m", "agent.simulator", "--address", PLATFORM, "--run", str(folder)]
    process = lab.exec("platform", command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        yield json.loads(line)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
        process.stdout.close()


def test_platform_6_4_registration_911_and_sound_pass_masquerading_nat_and_a_move(tmp_path: Path) -> None:
    async def main() -> None:
        with Lab() as lab:
            lab.plug("office")
            async with (
                _simulator(lab, tmp_path) as ready,
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(ready["control_socket"])) as control,
            ):
                phone = Telephone(ready["sip"], user="demo", password="demo-password", source=DEVICE)
                with lab.in_namespace("device"):
                    await phone.__aenter__()
                try:
                    await _calls(lab, phone, control)
                finally:
                    await phone.__aexit__(None, None, None)

    run(main())


async def _calls(lab: Lab, phone: Telephone, control: aiohttp.ClientSession) -> None:
    answer = await phone.register()
    assert answer.status == 200
    assert f"received={ROUTERS['office'].wan}" in answer.get("via")
    async with control.get("http://simulator/control/location") as response:
        (contact,) = await response.json()
    assert contact["address"].startswith(f"sip:demo@{ROUTERS['office'].wan}:")
    assert contact["natted"]

    _, answer = await phone.invite("911")
    assert answer.status == 200
    phone.talk(answer)
    heard = await phone.listen(30)
    assert any(payload.strip(b"\xff\x7f") for payload in heard)

    await asyncio.to_thread(lab.plug, "home")
    again = await phone.reinvite(answer.get("to"))
    assert again.status == 200
    phone.talk(again)
    assert await phone.listen(3)
    assert (await phone.hang_up(answer.get("to"))).status == 200
    async with control.get("http://simulator/control/log?kind=call&wait=5") as response:
        entries = (await response.json())["entries"]
    sources = [entry["source"] for entry in entries if entry["what"] == "sound"]
    assert sources == [ROUTERS["office"].wan, ROUTERS["home"].wan]
