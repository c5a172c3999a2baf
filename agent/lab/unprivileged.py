"""Run a command as root of its own small world: user, mount and network namespace with a private /run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from agent.lab.process import die_with_parent

# /run must be writable for `ip netns`; nothing of the machine's own /run may be touched.
SCRIPT = 'mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up && exec "$@"'
INSIDE = "DIALSTACK_LAB_INSIDE"


def command(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` as root of new namespaces; needs unshare(1) and user namespaces."""
    return ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c", SCRIPT, "lab", *argv]


def available() -> bool:
    """Tell whether this user may create such namespaces here."""
    return subprocess.run(command(["true"]), capture_output=True, check=False).returncode == 0


def needed() -> bool:
    """Tell whether this process cannot build networks where it is."""
    return os.geteuid() != 0 and not os.environ.get(INSIDE)


def run(argv: Sequence[str]) -> int:
    """Run `argv` inside new namespaces, which end with us; return its exit code."""
    inside = {**os.environ, INSIDE: "1"}
    return subprocess.run(command(argv), env=inside, check=False, preexec_fn=die_with_parent).returncode
