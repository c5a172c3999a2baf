"""Checks of the phone itself: line, bound address, sound, storage, programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.doctor.result import GOES_OUT, NO_CALL, NO_LOCATION, Result, fail, ok, skip, warn
from agent.doctor.world import World
from agent.model import Registration, RegistrationKind, StatusKind
from agent.say import say, sentences
from agent.system_words import os_words
from agent.voice.socket.protocol import LINE_LIMIT, VERSION, encode, heard
from agent.voice.socket.views import registration

VOICE_WAIT = 2.0
"""Seconds for the voice process to say how it is."""
SETTLE = 10.0
"""Seconds for a registration in progress to come out."""
LOOK = 0.3
"""Seconds between looks at it."""
LITTLE, TOO_LITTLE = 50 << 20, 5 << 20
"""Bytes left on the disk: a year of records is 20 MiB."""
SLOW = 1.0
"""Seconds for one durable write: a card near its end takes that long."""
REFUSED = frozenset({401, 403, 407})


@dataclass(slots=True)
class Voice:
    """What the voice process says about itself."""

    pid: int = 0
    registration: Registration | None = None
    interlock: bool = False
    problems: dict[str, str] = field(default_factory=dict)


async def ask_voice(socket: Path) -> Voice | None:
    """Ask the voice process how it is, as an application would; None: it does not answer."""
    found = Voice()
    with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        async with asyncio.timeout(VOICE_WAIT):
            reader, writer = await asyncio.open_unix_connection(str(socket), limit=LINE_LIMIT)
            try:
                writer.write(encode({"type": "hello", "version": VERSION, "role": "app"}))
                writer.write(encode({"type": "status", "req_id": "doctor"}))
                while line := await reader.readline():
                    message = heard(line)
                    match message["type"]:
                        case "welcome":
                            found.pid = int(message.get("pid", 0))
                        case "registration":
                            found.registration = registration(message)
                        case "problem" if isinstance(message.get("sentence"), str):
                            found.problems[str(message.get("code"))] = message["sentence"]
                        case "interlock":
                            found.interlock = message.get("active") is True
                            if message.get("req_id") == "doctor":
                                return found
            finally:
                writer.close()
    return None


async def sip(world: World) -> Result:
    """Is the phone registered? Waits for an attempt that is in progress."""
    settings = world.settings.sip
    if not settings.registrar or not settings.username:
        todo = say("Enter registrar, user name and password in the set-up.")
        return fail("sip", say("No phone line is set up."), NO_CALL, todo, "no_account")
    deadline = time.monotonic() + SETTLE
    while True:
        voice = await ask_voice(settings.socket)
        current = voice.registration if voice else None
        settled = current is not None and current.kind in {RegistrationKind.REGISTERED, RegistrationKind.FAILED}
        if settled or time.monotonic() > deadline:
            break
        if not world.online and voice is not None:
            break
        await asyncio.sleep(LOOK)
    if voice is None or current is None:
        return _dead("sip")
    return _line(world, voice, current)


def _line(world: World, voice: Voice, current: Registration) -> Result:
    host = world.settings.sip.registrar
    if current.kind is RegistrationKind.REGISTERED:
        return ok("sip", say("Registered with {host}.", host=host))
    answer = current.answer
    if current.code in REFUSED:
        return fail(
            "sip",
            say("The registrar refused the user name or the password ({answer}).", answer=answer),
            say("911 is still attempted; nobody can call this phone."),
            say("Enter the SIP user name and password again."),
            "wrong_password",
        )
    if current.code == 404:  # noqa: PLR2004 - a SIP status
        todo = say("Check the SIP user name and the domain.")
        said = say("The registrar does not know this user ({answer}).", answer=answer)
        return fail("sip", said, say("911 is still attempted; nobody can call this phone."), todo, "unknown_user")
    if "tls" in voice.problems or "certificate" in current.reason.lower():
        todo = say("Check the registrar's name and the CA file.")
        said = say("The registrar's certificate is not accepted, or is for another name ({answer}).", answer=answer)
        return fail("sip", said, say("911 is still attempted, without checking it."), todo, "registrar_certificate")
    if not world.online:
        return fail("sip", say("Not registered: there is no network."), NO_CALL, say("Connect the network."), "offline")
    return fail(
        "sip",
        say("The registrar {host} does not answer ({answer}).", host=host, answer=answer or str(current.kind)),
        say("911 is still attempted, but may not get through."),
        say("Check the registrar's name, port and transport, and whether a firewall stands in between."),
        "registrar_silent",
    )


def _dead(name: str) -> Result:
    return fail(
        name,
        say("The telephone program (dialstack-voice) does not answer."),
        NO_CALL,
        say("It is restarted by itself; if this stays, look at `systemctl status dialstack-voice`."),
        "voice_dead",
    )


async def binding(world: World) -> Result:
    """Would 911 know where this phone is?"""
    if world.overview is None:
        return fail(
            "binding",
            say("Nothing keeps the 911 address bound: the agent does not answer."),
            NO_LOCATION,
            say("Start it with `systemctl start dialstack-agent`; its journal says why it stopped."),
            "agent_dead",
        )
    status = world.overview.status
    if status.kind is StatusKind.BOUND:
        return ok("binding", status.sentence)
    make = warn if status.kind in {StatusKind.PROVISIONAL, StatusKind.CONNECTING} else fail
    return make("binding", status.sentence, "", status.next_step, status.cause)


async def audio(world: World) -> Result:
    """Can somebody be heard?"""
    device = str(world.settings.sip.audio)
    if device == "none":
        todo = say("Choose a sound device in the settings.")
        return fail("audio", say("Calls carry no sound."), say("A dispatcher would hear nothing."), todo, "no_sound")
    if device == "null":
        return warn(
            "audio",
            say("The sound device is a silent one: calls carry sound, but nobody is heard on this device."),
            say("A dispatcher would hear silence, unless the device's own application carries the sound."),
            say("Choose a sound device in the settings where people speak into this device."),
            "silent_device",
        )
    return ok("audio", say("The sound device is {device}.", device=device))


async def disk(world: World) -> Result:
    """Can what staff say be kept?"""
    folder = world.settings.paths.state
    if world.store_problem:
        todo = say("Have the device's storage checked.")
        after = say("After a restart this phone asks again where it is.")
        return fail("disk", say("Nothing can be kept: {why}.", why=world.store_problem), after, todo, "store_unusable")
    try:
        seconds, free = await asyncio.to_thread(_write, folder)
    except PermissionError:
        return skip(
            "disk", say("Not tested: {folder} may not be written by this user.", folder=folder), "not_permitted"
        )
    except OSError as error:
        after = say("After a restart this phone asks again where it is.")
        text = say("{folder} cannot be written: {why}.", folder=folder, why=os_words(error))
        return fail("disk", text, after, say("Have the device's storage checked."), "disk")
    left = say("{megabytes} MiB are free, a durable write takes {milliseconds} ms.", megabytes=free >> 20,
               milliseconds=round(seconds * 1000))  # fmt: skip
    if free < TOO_LITTLE:
        return fail("disk", left, say("What staff say soon cannot be kept."), say("Make room."), "disk_full")
    if free < LITTLE or seconds > SLOW:
        return warn("disk", left, GOES_OUT, say("Make room, or have the storage card replaced."), "disk_worn")
    return ok("disk", left)


def _write(folder: Path) -> tuple[float, int]:
    """Write and remove one file; return the seconds until it was durable, and the bytes that are free."""
    probe = folder / ".check-up"
    began = time.monotonic()
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, b"x")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        probe.unlink()
    stat = os.statvfs(folder)
    return time.monotonic() - began, stat.f_bavail * stat.f_frsize


async def processes(world: World) -> Result:
    """Do both programs run, with a configuration that is whole?"""
    if await ask_voice(world.settings.sip.socket) is None:
        return _dead("processes")
    if world.overview is None:
        return fail(
            "processes",
            say("The agent (dialstack-agent) does not answer; the telephone program runs."),
            NO_LOCATION,
            say("Start it with `systemctl start dialstack-agent`; its journal says why it stopped."),
            "agent_dead",
        )
    if world.problems:
        return warn(
            "processes",
            say("Both programs run; the configuration is not whole: {line}", line=world.problems[0]),
            NO_LOCATION,
            say("Correct it on the settings page."),
            "config_invalid",
        )
    if world.side_problems:
        return warn(
            "processes",
            sentences(say("Both programs run."), *world.side_problems),
            GOES_OUT,
            say("Correct it; `dialstack-agent check-config` shows every mistake."),
            "config_side",
        )
    return ok("processes", say("Both programs run."))
