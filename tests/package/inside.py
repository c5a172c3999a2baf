"""Runs in the machine: the lab with the installed services, plugged in at the office, until standard input ends."""

import sys

sys.path[:0] = [f"/usr/lib/dialstack-agent{folder}" for folder in ("", "/pjsip", "/vendor")]

from agent.lab.services import Services  # noqa: E402 - only now is there such a module
from agent.lab.stage import LIT  # noqa: E402 - only now is there such a module

WINDOW = 3
"""Seconds of the callback window: five minutes would be too long for a test."""

with Services(backup=False) as stage:
    stage.start_platform()
    stage.write_config(sip=f"callback_window = {WINDOW}")
    stage.start_voice()
    stage.start_agent()
    stage.lab.plug("office")
    stage.wait_until("the light", lambda overview: overview["status"]["kind"] in LIT, seconds=40)
    print("READY", flush=True)
    sys.stdin.read()
