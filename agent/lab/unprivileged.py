"""Run a command as root of its own small world: user, mount and network namespace with a private /run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

# /run must be writable for `ip netns`; nothing of the machine's own /run may be touched.
SCRIPT = 'mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up && exec "$@"'
INSIDE = "DIALSTACK_LAB_INSIDE"


def command(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` as root of new namespaces; needs unshare(1) and user namespaces."""
    return ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c", SCRIPT, "lab", *argv]


def available() -> bool:
    """Tell whether this user may create such namespaces here."""
    return subprocess.run(command(["true"]), capture_output=True, check=False).returncode == 0


def ensure(argv: Sequence[str]) -> None:
    """Return if labs can be built by this process, else replace it by `argv` inside new namespaces.

    `argv` is what to execute again, such as `[sys.executable, "-m", "agent", "demo"]`. Raises OSError if unshare(1)
    is missing; where user namespaces are forbidden, unshare itself says so and exits with 1.
    """
    if os.geteuid() == 0 or os.environ.get(INSIDE):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    line = command(argv)
    os.execvpe(line[0], line, {**os.environ, INSIDE: "1"})  # noqa: S606 - a list, no shell
