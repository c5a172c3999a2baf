"""A test call without the agent: placed through the voice socket, recorded, listened to, not filed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from agent.model import CallView
from agent.testcall.evidence import OF_SOUND, Result
from agent.testcall.recording import NO_FOLDER, Unreadable, whole, why_not
from agent.testcall.speech import Hearing, listen
from agent.testcall.tester import LONGEST, NUMBER
from agent.voice.socket.client import place_call
from agent.voice.socket.views import call_view


async def call_and_listen(socket: Path, recordings: Path | None, save: Path | None) -> dict[str, Any]:
    """Return what became of a call to 933, with the field names of `Evidence`; raises as `place_call` does."""
    record = recordings / f"test-{NUMBER}-{int(time.time())}.wav" if recordings is not None else None
    views: list[CallView] = []

    def heard(line: dict[str, Any]) -> None:
        views.append(call_view(line, views[-1] if views else None))

    limit = asyncio.timeout(LONGEST)
    try:
        async with limit:
            await place_call(socket, NUMBER, heard, record=str(record) if record else None)
    except TimeoutError:
        if not limit.expired():
            raise
    last = views[-1]
    result, hearing, detail = Result.NOT_ANSWERED, Hearing(), f"{last.code} {last.reason}".strip()
    if last.answered_at is not None:
        result, hearing, detail = await _listen(record, last)
        _keep(record, save)
    waited = None if last.answered_at is None else last.answered_at - last.started_at
    return {
        "result": result.value,
        "detail": detail,
        "answer_seconds": waited,
        "speech_seconds": hearing.speech,
        "level": hearing.level if hearing.seconds else None,
    }


async def _listen(record: Path | None, last: CallView) -> tuple[Result, Hearing, str]:
    if record is None:
        return Result.UNHEARD, Hearing(), NO_FOLDER
    try:
        hearing = listen(await whole(record))
    except Unreadable as error:
        return Result.UNHEARD, Hearing(), last.sound_problem or why_not(error)
    return OF_SOUND[hearing.heard], hearing, ""


def _keep(record: Path | None, save: Path | None) -> None:
    """Save the recording where it was asked for; the one in the folder of recordings goes."""
    if record is None or not record.exists():
        return
    if save is not None:
        shutil.copyfile(record, save)
    with contextlib.suppress(OSError):
        record.unlink()
