"""Network namespaces as plain functions: create, enter, run in, and clean up after processes that died."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

CLONE_NEWNET = 0x40000000
NETNS = Path("/run/netns")

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(RuntimeError):
    """A command of the lab failed; carries what it said."""


def run(argv: Sequence[str], stdin: str = "") -> str:
    """Run a tool to its end and return its output; raise `LabError` with its words if it fails."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{stdin}".strip())
    return done.stdout


def ip(namespace: str, *commands: str) -> None:
    """Run `ip` commands in a namespace, one process for all of them; the first failure ends it."""
    run(["ip", "-n", namespace, "-batch", "-"], "\n".join(commands) + "\n")


def nft(namespace: str, rules: str) -> None:
    """Load nftables rules in a namespace."""
    run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], rules)


def create(namespace: str) -> None:
    """Create a namespace with its loopback up."""
    run(["ip", "netns", "add", namespace])
    ip(namespace, "link set lo up")


def delete(namespace: str) -> None:
    """Delete a namespace; the processes in it keep it alive, but nobody can enter it any more."""
    with contextlib.suppress(LabError):
        run(["ip", "netns", "delete", namespace])


def existing() -> list[str]:
    """Names of all namespaces that `ip` knows."""
    return sorted(path.name for path in NETNS.iterdir()) if NETNS.is_dir() else []


def set_sysctls(namespace: str, values: dict[str, str]) -> None:
    """Write values below /proc/sys/net as seen from a namespace."""

    def write() -> None:
        for key, value in values.items():
            Path("/proc/sys/net", key).write_text(value)

    call_in(namespace, write)


def setns(namespace: str) -> None:
    """Move the calling *thread* into a namespace, for good; threads and processes that it starts follow."""
    with (NETNS / namespace).open("rb") as handle:
        if _libc.setns(handle.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), namespace)


@contextlib.contextmanager
def in_namespace(namespace: str) -> Iterator[None]:
    """Let the calling thread stand in a namespace for a while; sockets made here stay in it afterwards."""
    home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(namespace)
        try:
            yield
        finally:
            if _libc.setns(home, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot return to the own network namespace")
    finally:
        os.close(home)


def call_in(namespace: str, function: Callable[[], T]) -> T:
    """Call a function on a thread of its own inside a namespace and return what it returns."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            setns(namespace)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whole
            errors.append(error)

    thread = threading.Thread(target=body, name=f"in-{namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def popen(namespace: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program in a namespace, with a /sys that shows it; the pid is the program's own."""
    return subprocess.Popen(["ip", "netns", "exec", namespace, *argv], **options)
