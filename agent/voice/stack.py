"""PJSIP as one life after the other, all of it on the thread that calls here.

A change of path or presented id while no call is up is a new life (stop, start: 20 ms, measured): no unregister
to wait for, no old header kept by PJSIP, no dead connection, one way for UDP, TCP and TLS. While a call is up the
life goes on: `carry_over()` moves the call, `unregister()` and `register_as()` move the registration.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pjsua2 as pj

from agent.voice import pjconfig
from agent.voice.events import Sound, StackError, StackPlan
from agent.voice.pjobjects import Account, Core, Inbox, Leg, Peer

POLL_ROUNDS: Final = 64
"""Events handled in one go at most, so that commands are heard in between."""


class Stack:
    """PJSIP as a thing that is started with a plan, polled, and stopped; raises StackError only.

    What happens is appended to `inbox` as plain values, to be read after `poll()`.
    """

    def __init__(self) -> None:
        self.inbox: Inbox = deque()
        self.life = 0
        """Number of the current life; events of older ones are to be ignored."""
        self.plan: StackPlan | None = None
        """The plan of the life that is up; None: down."""
        self._version = ""
        self._core: Any = None
        self._account: Any = None
        self._config: Any = None
        self._legs: dict[int, Any] = {}
        self._recorders: dict[int, Any] = {}

    def version(self) -> str:
        """Return PJSIP's version; empty before the first life."""
        return self._version

    def start(self, plan: StackPlan) -> None:
        """Begin a new life; the old one ends without a word to the network (its binding is replaced)."""
        self.stop()
        self.life += 1
        try:
            with _quiet_stdout(), _errors():
                peer = Peer((plan.host or plan.address) if plan.verify else "")
                self._core = Core(self.inbox, self.life, peer)
                self._core.libCreate()
                self._core.libInit(pjconfig.endpoint_config())
                self._core.audDevManager().setNullDev()
                pjconfig.create_transports(self._core, plan)
                self._core.libStart()
                self._version = str(self._core.libVersion().full)
                self._config = pjconfig.account_config(plan)
                self._account = Account(self.inbox, self.life, self._legs, peer)
                self._account.create(self._config)
        except StackError:
            self.stop()
            raise
        self.plan = plan

    def stop(self) -> None:
        """End this life at once: nothing is sent, every pjsua2 object is freed in order (no stale ids)."""
        self.plan = None
        self._recorders.clear()
        self._legs.clear()
        self._config = None
        if self._core is not None:
            with contextlib.suppress(pj.Error):
                self._core.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)
        self._account = None
        self._core = None

    def poll(self) -> int:
        """Handle what is due now without waiting; return how much it was."""
        if self._core is None:
            return 0
        total = 0
        for _ in range(POLL_ROUNDS):
            handled = self._core.libHandleEvents(0)
            if handled <= 0:
                break
            total += handled
        return total

    def refresh(self) -> None:
        """Send REGISTER again as it is (StackError when one is in flight)."""
        with _errors():
            self._account.setRegistration(True)

    def unregister(self) -> None:
        """Send REGISTER with Expires: 0; its answer arrives as a RegisterResult that grants 0 seconds."""
        with _errors():
            self._account.setRegistration(False)

    def register_as(self, present_id: str | None) -> None:
        """Register with another id, after `unregister()` was answered (only then does PJSIP take the header)."""
        with _errors():
            header = self.plan.header if self.plan else ""
            pjconfig.set_present_id(self._config, header, present_id)
            self._account.modify(self._config)
            self._account.setRegistration(True)

    def carry_over(self) -> None:
        """Move calls to the path the kernel uses now (re-INVITE); sends no REGISTER as contacts are not rewritten."""
        with _errors():
            self._core.handleIpChange(pj.IpChangeParam())
        if self.plan is not None:
            # PJSIP binds its listeners anew to no address in particular.
            self.plan = replace(self.plan, source=None)

    def call(self, uri: str) -> int:
        """Dial and return the number of the call."""
        leg = Leg(self._account, self.inbox, self.life)
        with _errors():
            parameters = pj.CallOpParam(True)  # noqa: FBT003 - PJSIP's default settings
            parameters.opt.videoCount = 0
            leg.makeCall(uri, parameters)
        self._legs[leg.getId()] = leg
        return int(leg.getId())

    def answer(self, call: int, code: int) -> None:
        """Answer an incoming call with a SIP status."""
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        with _errors():
            self._leg(call).answer(parameters)

    def hangup(self, call: int, code: int = 0) -> None:
        """End a call: CANCEL, BYE or a final answer, as its state demands."""
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        with _errors():
            self._leg(call).hangup(parameters)

    def connect(self, call: int, record: str | None = None) -> None:
        """Connect the sound of a call to the sound device and, if asked, to a WAV file."""
        with _errors():
            sound = self._leg(call).getAudioMedia(-1)
            devices = self._core.audDevManager()
            devices.getCaptureDevMedia().startTransmit(sound)
            sound.startTransmit(devices.getPlaybackDevMedia())
            if record and call not in self._recorders:
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(record)
                self._recorders[call] = recorder
            if call in self._recorders:
                sound.startTransmit(self._recorders[call])

    def sound(self, call: int) -> Sound | None:
        """Return the RTP packets of a call, None while it has no sound."""
        leg = self._legs.get(call)
        try:
            statistics = leg.getStreamStat(0).rtcp if leg is not None else None
        except pj.Error:
            return None
        return Sound(int(statistics.rxStat.pkt), int(statistics.txStat.pkt)) if statistics is not None else None

    def forget(self, call: int) -> None:
        """Free what belongs to an ended call."""
        self._recorders.pop(call, None)
        self._legs.pop(call, None)

    def _leg(self, call: int) -> Any:
        if call not in self._legs:
            raise StackError("There is no such call.")
        return self._legs[call]


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except pj.Error as error:
        raise StackError(f"{error.reason} ({error.status})") from None


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keep libCreate's few lines, printed before any log level can be set, off the standard output."""
    sys.stdout.flush()
    saved = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(null)
