"""Sound cards and codecs: what the build has, in the order that the configuration wants (for stack.py alone)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pjsua2 as pj

from agent.say import say, sentences
from agent.voice.pjsip.quiet import quiet_stdout

_FIRST: Final = 254
"""Priority of the first codec; 255 would be PJSIP's own reserve."""
_LAST: Final = 1
"""Priority of codecs that nobody named: offered, and chosen by nobody who has another."""


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What the configuration says about sound."""

    kind: Literal["none", "null", "alsa"] = "null"
    playback: str = ""
    capture: str = ""
    codecs: tuple[str, ...] = ()


def choose_device(core: Any, plan: AudioPlan) -> str:
    """Set the sound device up; return a sentence about what could not be, and then calls have a silent device."""
    devices = core.audDevManager()
    if plan.kind == "none":
        devices.setNoDev()
        return ""
    if plan.kind == "alsa":
        problem = _choose_card(devices, plan)
        if not problem:
            return ""
        devices.setNullDev()
        return sentences(problem, say("Calls are silent on this side, 911 too."))
    devices.setNullDev()
    return ""


def _choose_card(devices: Any, plan: AudioPlan) -> str:
    cards = [(index, card) for index, card in enumerate(devices.enumDev2()) if str(card.driver).upper() == "ALSA"]
    if not cards:
        return say("There is no sound card, or PJSIP was built without ALSA.")
    found: list[int] = []
    for name, way in ((plan.playback, "outputCount"), (plan.capture, "inputCount")):
        able = [(index, str(card.name)) for index, card in cards if getattr(card, way) > 0]
        wanted = name.lower() or "default"
        index = next((index for index, called in able if wanted in called.lower()), None)
        if index is None and not name and able:
            index = able[0][0]
        if index is None:
            return _no_card(name, [called for _, called in able])
        found.append(index)
    try:
        devices.setPlaybackDev(found[0])
        devices.setCaptureDev(found[1])
    except pj.Error as error:
        return say("The sound card cannot be used: {why}.", why=error.reason)
    return ""


def _no_card(name: str, there: Sequence[str]) -> str:
    if not there:
        return say("There is no sound card.")
    return say("There is no sound card {name}; there are: {names}.", name=name, names=", ".join(there))


def order_codecs(core: Any, names: Sequence[str]) -> None:
    """Put the named codecs first, in that order; names that the build does not have are left out."""
    for codec in core.codecEnum2():
        identity = str(codec.codecId).lower()
        rank = next((at for at, name in enumerate(names) if identity.startswith(_start(name))), None)
        core.codecSetPriority(str(codec.codecId), _LAST if rank is None else max(_LAST + 1, _FIRST - rank))


def _start(name: str) -> str:
    """`PCMU` is `pcmu/8000/1` in PJSIP, `speex/16000` one of several."""
    return name.lower() + "/"


def list_devices() -> list[dict[str, Any]]:
    """Return the sound cards as PJSIP sees them: name, driver, inputs, outputs."""
    core = pj.Endpoint()
    with quiet_stdout():
        core.libCreate()
    try:
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.threadCnt = 0
        core.libInit(config)
        return [
            {
                "name": str(card.name),
                "driver": str(card.driver),
                "inputs": int(card.inputCount),
                "outputs": int(card.outputCount),
            }
            for card in core.audDevManager().enumDev2()
        ]
    finally:
        core.libDestroy()
