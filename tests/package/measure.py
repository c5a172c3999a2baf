"""`make size`: what the packages cost on a device, measured in a booted Debian against the goals of the project.

Start: from exec to READY, of each service, median of nine starts, as systemd has the times. Memory: PSS of both
processes (smaps_rollup), registered and bound in the lab, after ten seconds. Size: of the files as dpkg counts them; a
dependency is what Debian's minimal system does not have.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.package import packages
from tests.package.machine import Machine, base_tree

SERVICES = ("dialstack-voice", "dialstack-agent")
STARTS = 9
GOALS = {"start": 600, "memory": 75}
"""Milliseconds from exec to READY, MiB of PSS of both processes."""


def starts(machine: Machine, name: str) -> float:
    """Return the median of exec to READY in milliseconds."""
    taken = []
    for _ in range(STARTS):
        machine.run(f"systemctl restart {name}")
        began, ready = (
            int(machine.property(name, f"{what}TimestampMonotonic")) for what in ("ExecMainStart", "ActiveEnter")
        )
        taken.append((ready - began) / 1000)
    return statistics.median(taken)


def memory(machine: Machine, name: str) -> float:
    """Return the PSS in MiB."""
    pid = machine.property(name, "MainPID")
    return int(machine.run(f"sed -n 's/^Pss: *//p' /proc/{pid}/smaps_rollup").split()[0]) / 1024


def sizes(machine: Machine) -> list[tuple[int, str]]:
    """Return KiB and name of every installed package that a Debian that just boots does not have, largest first."""
    status = (base_tree([]) / "var/lib/dpkg/status").read_text()
    there = {line.removeprefix("Package: ") for line in status.splitlines() if line.startswith("Package: ")}
    listed = machine.run("dpkg-query -W -f '${Installed-Size} ${Package}\\n'").splitlines()
    rows = [(int(size), name) for size, name in map(str.split, listed)]
    return sorted((row for row in rows if row[1] not in there), reverse=True)


def main() -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="dialstack-measure-"))
    (folder / "debs").mkdir()
    debs = packages.build(folder / "debs")
    device = [deb for deb in debs if "simulator" not in deb.name]
    with Machine(base_tree(packages.dependencies(device)), folder / "small") as machine:
        for deb in device:
            shutil.copy(deb, machine.root / "srv")
        machine.run("apt-get install -y -qq --no-install-recommends /srv/*.deb")
        rows = sizes(machine)
        print(f"installed with all that it needs: {sum(size for size, _ in rows) / 1024:.1f} MiB, of which")
        for size, name in rows[:14]:
            print(f"  {size / 1024:6.1f} MiB  {name}")
        for name in SERVICES:
            print(f"exec to READY, {name}: {starts(machine, name):.0f} ms (goal {GOALS['start']})")
    with Machine(base_tree(packages.dependencies(debs)), folder / "lab") as machine:
        for deb in debs:
            shutil.copy(deb, machine.root / "srv")
        shutil.copy(Path(__file__).with_name("inside.py"), machine.root / "srv")
        machine.run("apt-get install -y -qq --no-install-recommends /srv/*.deb")
        inside: subprocess.Popen[str] = machine.popen("exec python3 -I /srv/inside.py")
        assert inside.stdout is not None
        while inside.stdout.readline() not in {"READY\n", ""}:
            pass
        time.sleep(10)
        used = {name: memory(machine, name) for name in SERVICES}
        parts = ", ".join(f"{name} {size:.1f}" for name, size in used.items())
        print(f"memory, registered and bound: {sum(used.values()):.1f} MiB PSS (goal {GOALS['memory']}): {parts}")
        inside.communicate(timeout=60)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
