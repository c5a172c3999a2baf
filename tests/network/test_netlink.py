"""The kernel's two doors, against this machine's own kernel and against messages that make no sense."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.network import netlink
from agent.network.hints import Hint
from agent.network.links import IFF_LOOPBACK
from agent.network.netlink import Hints, Reader, raw_address, raw_neighbor
from agent.network.snapshot import Dump, build
from tests.network.builders import address_message, neighbor_message


def decode(data: bytes) -> Any:
    """Decode one rtnetlink message as pyroute2 does."""
    linux = netlink._light_pyroute2()
    return next(iter(linux.AsyncIPRoute().marshal.parse(data)))


def test_this_machines_loopback_is_a_path_to_itself() -> None:
    async def main() -> None:
        reader = Reader()
        try:
            dump = await reader.read(["127.0.0.1"], ["127.0.0.1"])
        finally:
            reader.close()
        assert any(link.flags & IFF_LOOPBACK for link in dump.links)
        path = build(dump).sip
        assert path is not None
        assert (path.source, path.kind, path.gateway) == ("127.0.0.1", "loopback", None)

    asyncio.run(main())


def test_failure_04_lifetime_refresh_is_no_change() -> None:
    first = decode(address_message(10, "192.168.1.50", cstamp=100, tstamp=100))
    refreshed = decode(address_message(10, "192.168.1.50", cstamp=100, tstamp=99_999))
    assert raw_address(first) == raw_address(refreshed)


@pytest.mark.parametrize(
    ("state", "learned"), [(0x01, False), (0x02, True), (0x04, True), (0x20, False), (0x80, False)]
)
def test_only_learned_neighbors_count(state: int, *, learned: bool) -> None:
    """A static entry says the same everywhere, an incomplete or failed one says nothing."""
    data = bytearray(neighbor_message(10, "192.168.1.1"))
    struct.pack_into("=H", data, 24, state)
    data += struct.pack("=HH", 10, 2) + bytes.fromhex("020ff1ce0001") + bytes(2)
    struct.pack_into("=I", data, 0, len(data))
    assert (raw_neighbor(decode(bytes(data))) is not None) is learned


class Broken:
    """Stands for a pyroute2 socket that latched an error, or whose kernel talks nonsense."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    async def get_links(self, **_: object) -> AsyncIterator[object]:
        raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "error", [OSError(105, "No buffer space available"), struct.error("unpack requires"), KeyError("index")]
)
def test_failure_01_a_socket_that_latched_its_error_is_replaced(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        reader, broken = Reader(), Broken(error)
        reader._ipr = broken
        try:
            assert (await reader.read(["127.0.0.1"], [])).links
        finally:
            reader.close()
        assert broken.closed

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        f"Reading the network failed ({error!r}): trying again on a new netlink socket."
    ]


@pytest.mark.parametrize("turns", range(6))
def test_a_cancellation_is_not_swallowed_wherever_it_meets_the_answer(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """Python 3.11's `wait_for` loses it in one of these interleavings, and the watcher never ended."""

    async def main() -> None:
        reader = Reader()
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[Dump]] = []
        asked = asyncio.Event()

        async def read(*_: object) -> Dump:
            answers.append(loop.create_future())
            asked.set()
            return await answers[-1]

        async def forever() -> None:
            while True:
                await reader.read(["127.0.0.1"], [])

        monkeypatch.setattr(reader, "_read", read)
        task = asyncio.create_task(forever())
        await asked.wait()
        answers[0].set_result(Dump((), (), (), (), (), ()))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2.0)
        assert done
        assert task.cancelled()

    asyncio.run(main())


def test_what_fails_twice_is_raised_for_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        reader = Reader()
        monkeypatch.setattr(reader._linux, "AsyncIPRoute", lambda: Broken(struct.error("short")))
        with pytest.raises(OSError, match="the kernel's answer makes no sense"):
            await reader.read(["127.0.0.1"], [])

    asyncio.run(main())


@pytest.mark.parametrize(("sender", "heard"), [(0, [Hint.LOOK]), (4711, [])])
def test_only_the_kernel_may_hint(sender: int, heard: list[Hint]) -> None:
    async def main() -> None:
        hints_heard: list[Hint] = []
        hints = Hints(hints_heard.append, lambda: None)

        class Delivery:
            """Delivers one datagram from a process of the test's choice."""

            def __init__(self) -> None:
                self.left = [address_message(10, "192.168.1.50")]

            def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[int, int]]:
                if not self.left:
                    raise BlockingIOError
                data = self.left.pop()
                buffer[: len(data)] = data
                return len(data), (sender, 0)

        real, hints._socket = hints._socket, Delivery()  # type: ignore[assignment]
        hints._read()
        hints._socket = real
        hints.close()
        assert hints_heard == heard

    asyncio.run(main())


def test_the_light_import_leaves_the_heavy_parts_out() -> None:
    code = (
        "import sys; from agent.network.netlink import Reader; Reader(); "
        "print(sorted(name for name in sys.modules if name in "
        "('pyroute2.ndb.main', 'pyroute2.ipdb.main', 'pyroute2.conntrack', 'pyroute2.wiset')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
