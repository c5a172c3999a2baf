"""`make demo`: the main job from end to end on real parts, told as a timeline, measured into a report."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import html
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agent.lab import noise, unprivileged
from agent.lab.namespaces import LabError
from agent.lab.play import play
from agent.lab.process import Late
from agent.lab.relay import Relay
from agent.lab.report import METHOD, Recorder, Row, describe
from agent.lab.services import Services
from agent.lab.stage import HOME, OFFICE, Stage, form_fields

TYPO = dataclasses.replace(HOME, street="Ellm St")
PORT = 8911
QUIET = 2.0
"""Seconds to look for reactions to noise: the settling snapshot comes after 0.25, audits are not due."""


class Demo:
    """The steps of the main job; each returns when it is proven or raises Late."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rows: list[Row] = []
        self.recorder: Recorder
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line of the timeline."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def prepare(self) -> None:
        """Start everything with the cable unplugged."""
        self.say("Setting up: networks of an office and a home, the platform with its registrar, one phone.")
        self.stage.start_platform()
        self.stage.write_config()
        self.stage.start_voice()
        self.stage.start_agent()
        self.say("The phone is on, its cable is not plugged in. " + self._sentence())

    def _sentence(self) -> str:
        status = self.stage.status()["status"]
        return f"It shows {str(status['kind']).upper()}: {status['sentence']}"

    def _finish(self, name: str) -> None:
        row = self.recorder.row(name)
        self.rows.append(row)
        print(f"{'':10}{self._sentence()}\n{describe(row)}", flush=True)

    def _expect(self, kind: str, seconds: float = 20.0) -> None:
        """Wait for a light that was lit by this step, and for the page to agree."""
        self.stage.wait_status(kind, after=self.recorder.mark, seconds=seconds)
        self.stage.wait_until(f"status {kind}", lambda overview: overview["status"]["kind"] == kind)

    # ------------------------------------------------------------------ the steps

    def boot(self) -> None:
        """Plug in for the first time; the technician who installs the phone confirms on the page."""
        self.recorder.begin()
        self.say("boot: the cable is plugged in at the office for the first time.")
        self.stage.lab.plug("office")
        self._wait_settled()
        overview = self.stage.wait_until("the question", lambda found: found["ask"] != "nothing")
        self.say(f"The page asks: {overview['question']} The technician answers: Yes, {OFFICE.one_line()}.")
        visitor = self.stage.visitor()
        known = next((choice["id"] for choice in overview["choices"] if choice["id"]), None)
        if known:
            visitor.submit("/", "/confirm", {"address_id": known})
        else:
            visitor.submit("/addresses/new", "/addresses/new", form_fields(OFFICE))
        self._expect("bound")
        self._finish("boot")

    def _wait_settled(self) -> None:
        """Wait for what a new place ends in by itself: provisional on a fixed device, unbound on a movable one."""
        self._expect("provisional" if self.stage.mobility == "fixed" else "unbound")
        self.stage.logs["agent"].wait(
            "the phone line's registration",
            lambda line: line.get("event") == "registration" and line["kind"] == "registered",
            after=self.recorder.mark,
        )

    def move_home(self) -> None:
        """Carry the phone home: same private subnet, another gateway, another public address."""
        self.recorder.begin()
        self.say("move-home: somebody pulls the cable, carries the phone home and plugs it in there.")
        self.stage.lab.unplug(release=True)
        self.stage.wait_status("offline", after=self.recorder.mark)
        self.stage.lab.plug("home")
        self._wait_settled()
        if self.stage.mobility == "fixed":
            self._wait_anchor("198.51.100.")
        self._finish("move-home")

    def _wait_anchor(self, prefix: str) -> None:
        self.stage.wait_until(
            f"an address bound at {prefix}x",
            lambda _: any(str(item["registered_ip"] or "").startswith(prefix) for item in self.stage.saved()),
        )

    def confirm(self) -> None:
        """Answer through the page's own form: first misspelled, then right."""
        self.recorder.begin()
        question = self.stage.status()["question"]
        self.say(f"confirm: the page asks: {question} Somebody answers: No, it is at 500 Ellm St (misspelled).")
        visitor = self.stage.visitor()
        status, page = visitor.submit("/addresses/new", "/addresses/new", form_fields(TYPO))
        error = _error_of(page)
        if status // 100 == 3 or not error:  # noqa: PLR2004 - a redirect would mean that it was taken
            raise Late(f"the misspelled address was not refused (HTTP {status})")
        self.say(f'The page answers beside the field: "{error}" - corrected to 500 Elm St.')
        self.recorder.zero = time.monotonic()
        visitor.submit("/addresses/new", "/addresses/new", form_fields(HOME))
        self._expect("bound")
        self._finish("confirm")

    def back_to_office(self) -> None:
        """Carry it back: the office address binds by itself."""
        self.recorder.begin()
        self.say("back-to-office: the phone is carried back to the office. Nobody touches the page.")
        self.stage.lab.unplug(release=True)
        self.stage.wait_status("offline", after=self.recorder.mark)
        self.stage.lab.plug("office")
        self._expect("bound")
        self._finish("back-to-office")

    def wan_change(self) -> None:
        """Change the office's public address: nothing changes on the device."""
        self.recorder.begin()
        self.say(
            "wan-change: the provider gives the office another public address. The phone's network looks the same."
        )
        self.stage.lab.change_wan("office", "203.0.113.77")
        self.recorder.zero = time.monotonic()
        self._wait_anchor("203.0.113.77")
        self._expect("bound", 30.0)
        self._finish("wan-change")

    def backup_uplink(self) -> None:
        """Lose the wired uplink: the office's second router takes over; the place is the same."""
        self.say("backup-uplink: the office's second router is connected to the phone, too ...")
        self.stage.lab.backup(up=True)
        self._learned()
        self.recorder.begin()
        self.say("... and the first one is lost: the phone goes through the second; the place is still the office.")
        self.stage.lab.wired_down()
        self._expect("bound")
        self._finish("backup-uplink")
        self.say("The first uplink comes back.")
        mark = self.stage.logs["agent"].mark()
        self.stage.lab.plug("office")
        self.stage.wait_status("bound", after=mark)
        self.stage.lab.backup(up=False)
        time.sleep(QUIET / 2)
        self.stage.wait_until("bound again", lambda overview: overview["status"]["kind"] == "bound")

    def _learned(self) -> None:
        """Wait until the second router is part of what is known of the office."""
        self.stage.wait_until("the second router known as part of the office", lambda _: self._knows("eth1"))

    def _knows(self, interface: str) -> bool:
        current = [place for place in self.stage.places() if place["current"]]
        lines = [line for place in current for line in place["evidence"]]
        return any(line.startswith("gateway_mac") and line.endswith(interface) for line in lines)

    def noise(self) -> None:
        """Containers, lifetime refreshes, a VPN: nothing may follow."""
        self.recorder.begin()
        self.say("noise: containers start and stop, DHCP renews, a VPN comes and goes.")
        noise.everything(self.stage.lab)
        time.sleep(QUIET)
        self._finish("noise")

    def all(self) -> None:
        """Run every step, in order."""
        with self.stage.lab.events() as kernel:
            self.recorder = Recorder(self.stage, kernel)
            for step in (
                self.boot, self.move_home, self.confirm, self.back_to_office, self.wan_change, self.backup_uplink,
                self.noise,
            ):  # fmt: skip
                step()


def _error_of(page: str) -> str:
    """Return the error beside the street, as text."""
    found = re.search(r'id="street-error".*?<span>(.*?)</span>', page, re.DOTALL)
    return html.unescape(found.group(1)) if found else ""


def main(argv: Sequence[str]) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="dialstack-agent demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run the main job once and end")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was measured as JSON")
    parser.add_argument("--mobility", choices=("fixed", "movable"), default="fixed", help="what kind of device (fixed)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port of the page on this machine ({PORT})")
    parser.add_argument(
        "--services", action="store_true", help="with the installed services (root; not on a phone in use)"
    )
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    folder = options.run or Path(tempfile.mkdtemp(prefix="dialstack-demo-"))
    if unprivileged.needed():
        return _as_user(options, folder)
    try:
        return _run(options, folder)
    except (Late, LabError) as error:
        print(f"\nThe demo failed: {error}.\nThe logs of its programs are in {folder}.", file=sys.stderr)
        return 1


def _as_user(options: argparse.Namespace, folder: Path) -> int:
    """Run the demo in namespaces of its own; the page is relayed from outside, where the browser is."""
    if not unprivileged.available():
        print("This user may not create namespaces here. Run the demo with sudo.", file=sys.stderr)
        return 1
    again = [sys.executable, "-m", "agent", "demo", "--run", str(folder), "--mobility", options.mobility]
    again += ["--once"] * options.once + (["--report", str(options.report.resolve())] if options.report else [])
    again += ["--port", str(options.port)]
    relay = contextlib.nullcontext() if options.once else Relay(options.port, folder / "agent.sock")
    with relay:
        return unprivileged.run(again)


def _run(options: argparse.Namespace, folder: Path) -> int:
    with (Services if options.services else Stage)(options.mobility, run=folder) as stage:
        demo = Demo(stage)
        demo.prepare()
        began = time.monotonic()
        demo.all()
        seconds = time.monotonic() - began
        demo.say(f"Done: the whole story took {seconds:.1f} s, set-up apart.")
        if options.report:
            report = {
                "mobility": options.mobility, "seconds": round(seconds, 1), "method": METHOD, "steps": demo.rows,
            }  # fmt: skip
            options.report.write_text(json.dumps(report, indent=2) + "\n")
            demo.say(f"Report: {options.report}")
        if not options.once:
            outside = os.environ.get(unprivileged.INSIDE) is not None
            with contextlib.nullcontext() if outside else Relay(options.port, stage.agent_socket):
                play(stage, options.port)
    return 0
