"""PJSIP as one life after the other, all of it on the thread that calls here.

A change of path or presented id while no call is up is a new life (stop, start: 20 ms, measured): no unregister
to wait for, no old header kept by PJSIP, no dead connection, one way for UDP, TCP and TLS. While a call is up the
life goes on: `carry_over()` moves the call, `unregister()` and `register_as()` move the registration.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pjsua2 as pj

from agent.say import say
from agent.voice.events import Dial, Sound, StackError, StackPlan, Wish
from agent.voice.pjsip import audio, sockets
from agent.voice.pjsip import config as pjconfig
from agent.voice.pjsip.audio import AudioPlan
from agent.voice.pjsip.media import Media
from agent.voice.pjsip.objects import Account, Core, Inbox, Leg, Numbers, Peer
from agent.voice.pjsip.quiet import quiet_stdout

WITHOUT_IPV6: Final = frozenset({"2.15.1"})
"""Versions of PJSIP in wheels that end the process (an assertion) when they are to use IPv6."""
_NO_LINE: Final = say("There is no line")
_NO_IPV6: Final = say("This build of PJSIP cannot use IPv6; the registrar needs an IPv4 address")
POLL_ROUNDS: Final = 64
"""Events handled in one go at most, so that commands are heard in between."""


class Stack:
    """PJSIP as a thing that is started with a plan, polled, and stopped; raises StackError only.

    What happens is appended to `inbox` as plain values, to be read after `poll()`.
    """

    def __init__(self, sound: AudioPlan | None = None) -> None:
        self.inbox: Inbox = deque()
        self.life = 0
        """Number of the current life; events of older ones are to be ignored."""
        self.plan: StackPlan | None = None
        """The plan of the life that is up; None: down."""
        self.sound_problem = ""
        """What is wrong with the sound card, a sentence."""
        self._audio = sound or AudioPlan()
        self._version = ""
        self._core: Any = None
        self._account: Any = None
        self._config: Any = None
        self._media: Media | None = None
        self._numbers = Numbers()
        self._legs: dict[int, Any] = {}

    def version(self) -> str:
        """Return PJSIP's version; empty before the first life."""
        return self._version

    def start(self, plan: StackPlan) -> None:
        """Begin a new life; the old one ends without a word to the network (its binding is replaced)."""
        self.stop()
        self.life += 1
        try:
            with quiet_stdout(), _errors():
                peer = Peer((plan.host or plan.address) if plan.verify else "")
                self._core = Core(self.inbox, self.life, peer)
                self._core.libCreate()
                self._version = str(self._core.libVersion().full)
                if self._version in WITHOUT_IPV6 and ":" in plan.address:
                    raise StackError(_NO_IPV6)
                self._core.libInit(pjconfig.endpoint_config())
                self.sound_problem = audio.choose_device(self._core, self._audio)
                audio.order_codecs(self._core, self._audio.codecs)
                pjconfig.create_transports(self._core, plan)
                sockets.bind_all(plan.interface)
                self._core.libStart()
                self._media = Media(self._core)
                self._config = pjconfig.account_config(plan)
                self._account = Account(self.inbox, self.life, self._legs, peer, self._numbers)
                self._account.create(self._config)
                sockets.bind_all(plan.interface)
        except StackError:
            self.stop()
            raise
        self.plan = plan

    def stop(self) -> None:
        """End this life at once: nothing is sent, every pjsua2 object is freed in order (no stale ids)."""
        self.plan = None
        if self._media is not None:
            self._media.close()
            self._media = None
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
        if self.plan is not None:
            sockets.bind_all(self.plan.interface)
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

    def carry_over(self, source: str | None) -> None:
        """Move calls to the path the kernel uses now, from `source` (re-INVITE); sends no REGISTER.

        Their Contact is that of the last REGISTER until `hold()` says it anew.
        """
        if self._account is None:
            raise StackError(_NO_LINE)
        with _errors():
            pjconfig.set_sound_address(self._config, source)
            self._account.modify(self._config)
            self._core.handleIpChange(pj.IpChangeParam())
        if self.plan is not None:
            # PJSIP binds its listeners anew to no address in particular.
            self.plan = replace(self.plan, source=None, interface="")

    # ------------------------------------------------------------------ calls, by a number of our own

    def call(self, dial: Dial) -> int:
        """Dial and return the number of the call."""
        if self._account is None:
            raise StackError(_NO_LINE)
        leg = Leg(self._account, self.inbox, self.life, self._numbers.next())
        with _errors():
            leg.makeCall(dial.uri, pjconfig.invite(dial))
            if self.plan is not None:
                sockets.bind_all(self.plan.interface)
        self._legs[leg.number] = leg
        return leg.number

    def answer(self, call: int, code: int) -> None:
        """Answer an incoming call with a SIP status."""
        parameters = pjconfig.call_options()
        parameters.statusCode = code
        with _errors():
            self._leg(call).answer(parameters)

    def hangup(self, call: int, code: int = 0) -> None:
        """End a call: CANCEL, BYE or a final answer, as its state demands."""
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        with _errors():
            self._leg(call).hangup(parameters)

    def hold(self, call: int, *, on: bool) -> None:
        """Put a call on hold (re-INVITE, sendonly: RFC 3264 8.4), or take it back; either says the newest Contact."""
        parameters = pjconfig.call_options()
        parameters.opt.flag = pj.PJSUA_CALL_UPDATE_CONTACT | (0 if on else pj.PJSUA_CALL_UNHOLD)
        with _errors():
            if on:
                self._leg(call).setHold(parameters)
            else:
                self._leg(call).reinvite(parameters)

    def digits(self, call: int, digits: str) -> None:
        """Send digits within the sound (RFC 4733), or with INFO where the far end does not take that."""
        leg = self._leg(call)
        try:
            leg.dialDtmf(digits)
        except pj.Error:
            parameters = pj.CallSendDtmfParam()
            parameters.method, parameters.digits = pj.PJSUA_DTMF_METHOD_SIP_INFO, digits
            with _errors():
                leg.sendDtmf(parameters)

    def connect(self, call: int, wish: Wish) -> str | None:
        """Connect the sound of a call; return a sentence about what of it could not be."""
        leg = self._leg(call)
        with _errors():
            return self._media.connect(call, leg.getAudioMedia(-1), wish) if self._media else None

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
        if self._media is not None:
            self._media.forget(call)
        self._legs.pop(call, None)

    def _leg(self, call: int) -> Any:
        if call not in self._legs:
            raise StackError(say("There is no such call."))
        return self._legs[call]


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except pj.Error as error:
        raise StackError(f"{error.reason} ({error.status})") from None
