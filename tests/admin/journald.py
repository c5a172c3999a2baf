"""A real systemd-journald of its own: in a mount namespace, with our catalog, away from the machine's journal."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
CATALOG = ROOT / "systemd" / "dialstack-agent.catalog"

_WORLD = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/systemd
mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d /var/lib/systemd/catalog
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nRateLimitBurst=0\\n' \\
  > /run/systemd/journald.conf.d/test.conf
printf '0123456789abcdef0123456789abcdef\\n' > /run/machine-id
mount --bind /run/machine-id /etc/machine-id
mkdir -p /run/catalog/usr/lib/systemd/catalog
cp "$CATALOG" /run/catalog/usr/lib/systemd/catalog
journalctl --update-catalog --root=/run/catalog
cp /run/catalog/var/lib/systemd/catalog/database /var/lib/systemd/catalog/database
/lib/systemd/systemd-journald 2>/dev/null & journald=$!
trap 'kill $journald' EXIT
while [ ! -S /run/systemd/journal/socket ]; do sleep 0.02; done
"$@"
journalctl --sync
journalctl --no-pager --all -o json -t dialstack-agent -t dialstack-voice > "$OUT/records"
journalctl --no-pager -x -t dialstack-agent -t dialstack-voice > "$OUT/explained"
"""


def journal_of(folder: Path, *command: str) -> tuple[list[dict[str, Any]], str]:
    """Run a command beside a journald; return our records and what `journalctl -x` makes of them."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _WORLD, "sh", *command],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CATALOG": str(CATALOG), "OUT": str(folder)},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (folder / "records").read_text().splitlines()]
    return records, (folder / "explained").read_text()
