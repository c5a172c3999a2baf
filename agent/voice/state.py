"""What is needed to come back after a crash: a small file beside the socket, written atomically (S5's way)."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path as FilePath

from agent import identity
from agent.identity import Marks
from agent.model import VoiceInstruction
from agent.voice.calls.values import Pending
from agent.voice.log import log


@dataclass(slots=True)
class State:
    """Everything that outlives the process; a file that cannot be read is an empty one."""

    instance: str = ""
    """URN of this device (RFC 5626 4.1), made once."""
    address: str = ""
    """Where the registrar last answered: an IP literal, good when DNS is not."""
    host: str = ""
    """The name that `address` belongs to; another configured name makes it void."""
    instruction: VoiceInstruction | None = None
    """The last one from the agent."""
    carrier_changes: int = 0
    """Of its interface when it was given: unchanged means that the cable was not touched."""
    boot: str = ""
    """Boot in which it was given."""
    interlock_until: float = 0.0
    """Monotonic seconds, in that boot."""
    pending: tuple[Pending, ...] = ()
    """Emergency calls that nobody here has ended; what a crash must not lose."""
    crashes: int = 0
    """How often in a row a process ended under them."""
    seen_at: float = 0.0
    """Monotonic seconds at which they were up, in that boot."""
    machine: str = ""
    hardware: tuple[str, ...] = ()
    """Marks of the device that wrote it (agent/identity.py): a copied card must not share the URN (RFC 5626 4.1)."""


_NAMES = {item.name for item in fields(State)}


def usual_file(socket: FilePath) -> FilePath:
    """Return where the state is kept: in systemd's state folder, which outlives a crash; else beside the socket."""
    folder = os.environ.get("STATE_DIRECTORY")
    return FilePath(folder, "voice.state") if folder else socket.with_name("voice.state")


def load(path: FilePath, here: Marks | None = None) -> State:
    """Read the state; whatever is wrong with it, an emergency phone starts. Another device's is no state of ours."""
    state = State()
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        data = {name: value for name, value in json.loads(path.read_text(encoding="utf-8")).items() if name in _NAMES}
        instruction = data.pop("instruction", None)
        data["pending"] = tuple(Pending(**one) for one in data.pop("pending", ()))
        data["hardware"] = tuple(map(str, data.pop("hardware", ())))
        state = State(**data, instruction=VoiceInstruction(**instruction) if instruction else None)
    here = here if here is not None else identity.read()
    if state.machine and not identity.same(Marks(state.machine, frozenset(state.hardware)), here):
        log("other_device", "warning", moved="the SIP instance, which was made anew")
        state = State(address=state.address, host=state.host)
    state.machine, state.hardware = here.machine, tuple(sorted(here.hardware | frozenset(state.hardware)))
    if not state.instance:
        state.instance = _new_urn()
    if state.boot != boot_id():
        state.instruction, state.interlock_until, state.pending, state.boot = None, 0.0, (), boot_id()
    return state


def save(path: FilePath, state: State) -> None:
    """Replace the file in one step; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _new_urn() -> str:
    """Return a random URN (RFC 4122 4.4) without the uuid module, which would cost 1 MiB here."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def boot_id() -> str:
    """Return the kernel's name for this boot."""
    with contextlib.suppress(OSError):
        return FilePath("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def save_quietly(path: FilePath, state: State) -> None:
    """Save, or log why not: nothing may stop because a disk is full."""
    try:
        save(path, state)
    except OSError as error:
        log("state_not_saved", "warning", reason=error)
