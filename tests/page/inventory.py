"""Every page in every state that people meet: a new page joins by one line and is then looked at in every language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.control import Delivery, Emergency
from agent.errors import NeedsHuman
from agent.model import Ask, StatusKind
from agent.page.views.settings_words import groups
from agent.page.views.setup_steps import STEPS
from agent.say import say
from agent.testcall.evidence import Answer, Evidence, Result, Running
from agent.voice.calls.outcome import PEER_HUNG_UP
from tests.page.calling import HERE
from tests.page.fake_control import NOON, FakeControl, emergency, notice, overview, steps
from tests.page.window import Page

Arrange = Callable[[FakeControl], None]
Act = Callable[[Page], None]


@dataclass(frozen=True)
class Shown:
    """One page in one state."""

    name: str
    path: str
    arrange: Arrange = lambda control: control.show(overview())
    """What the daemon says."""
    act: Act | None = None
    """What is done on the page before it is looked at."""
    refused: bool = False
    """The page says no with an HTTP error, which browsers mention in their console."""


def show(kind: StatusKind, **changes: object) -> Arrange:
    return lambda control: control.show(replace(overview(kind), **changes))  # type: ignore[arg-type]


def broken(control: FakeControl) -> None:
    """Let the platform refuse."""
    control.show(overview())
    control.fail = NeedsHuman(say("The token has expired."), todo=say("Fill section [token]."))


def send(page: Page) -> None:
    page.locator("form.form button[type=submit]").first.click()


def enter(street: str) -> Act:
    """Return what enters an address."""

    def act(page: Page) -> None:
        for name, text in (("address_number", "77"), ("street", street), ("unit", "Floor 3"), ("city", "Alameda"),
                           ("state", "california"), ("postal_code", "94607")):  # fmt: skip
            page.locator(f"#{name}").fill(text)
        send(page)

    return act


def unfold(page: Page) -> None:
    """Open everything that is folded."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def tested(result: Result | None, *answers: Answer) -> Arrange:
    """Let a test call be over, or be made."""
    running = Running(NOON - 3, "local screen", "confirmed") if result is None else None
    last = None if result is None else Evidence(
        7, NOON - 60, "local screen", result, HERE, detail="200 OK", answer_seconds=0.42, call_seconds=14.2,
        speech_seconds=9.1, recording=True, answers=answers,
    )  # fmt: skip
    return lambda control: control.show(replace(overview(), test_running=running, test_last=last))


def check_up(page: Page) -> None:
    """Have everything tested, and wait for what was found."""
    page.locator("main form button[type=submit]").first.click()
    page.get_by_text("api.example.com").first.wait_for()
    unfold(page)


def mistype(page: Page) -> None:
    """Enter a port that there is not."""
    page.locator("[name='sip.port']").fill("70000")
    page.locator("form.form button.primary").click()


def during(call: Emergency) -> Arrange:
    """Return what puts an emergency call on."""
    return lambda control: control.show(replace(overview(StatusKind.PROVISIONAL), interlock=True, emergency=call))


def told(control: FakeControl) -> None:
    """Somebody has to take care of a call."""
    control.told = (notice(),)
    control.show(replace(overview(), alerts=(notice(),)))


def not_told(control: FakeControl) -> None:
    """Nobody was told of a call that is over."""
    answer = say("{host} did not answer within {timeout:g} s.", host="mail.example.net", timeout=10)
    ways = (
        Delivery("email", delivered=False, detail=answer),
        Delivery("command (escalation)", delivered=True, detail=""),
    )
    late = notice(ended_at=NOON - 5, seconds=55.0, outcome=PEER_HUNG_UP, callback_at=NOON - 2, deliveries=ways)
    control.told = (late,)
    control.show(replace(overview(), alerts=(late,)))


working = replace(
    overview(StatusKind.CONNECTING), steps=steps(3), notices=(say("Please answer again."),), exposure_since=None
)

PAGES: tuple[Shown, ...] = (
    *(Shown(kind.value, "/", show(kind)) for kind in StatusKind),
    Shown("question", "/", FakeControl.ask_place),
    Shown("question-new-place", "/", lambda control: control.ask_place(StatusKind.UNBOUND)),
    Shown("question-fix", "/", show(StatusKind.UNBOUND, ask=Ask.FIX_ADDRESS)),
    Shown("progress", "/", lambda control: control.show(working)),
    Shown("failed", "/", lambda control: control.show(replace(working, steps=steps(2, failed=2)))),
    Shown("proven", "/", show(StatusKind.BOUND, steps=steps(5)), unfold),
    Shown("emergency", "/", during(emergency())),
    Shown("emergency-unconfirmed", "/", during(emergency(certainty="unconfirmed", conveyed="provisional"))),
    Shown("emergency-unknown", "/", during(emergency(here=None, certainty="unknown", conveyed="none"))),
    Shown("alert", "/", told),
    Shown("notices", "/notices", told, unfold),
    Shown("notices-not-told", "/notices", not_told, unfold),
    Shown("form", "/addresses/new", show(StatusKind.UNBOUND)),
    Shown("form-errors", "/addresses/new", act=send, refused=True),
    Shown("form-refused", "/addresses/new", act=enter("Ellm St"), refused=True),
    Shown("form-accept", "/addresses/new", act=enter("Harbor Boulevard")),
    Shown("addresses", "/addresses"),
    Shown("addresses-incomplete", "/addresses", broken),
    Shown("forget", "/addresses/forget?address_id=emerg_1"),
    Shown("clear", "/addresses/clear?address_id=emerg_1"),
    Shown("history", "/history", act=unfold),
    Shown("history-month", "/history?range=month"),
    # "refused": these recordings are not on the shelf
    Shown("test-call", "/test"),
    Shown("test-call-running", "/test", tested(None)),
    Shown("test-call-compare", "/test", tested(Result.SPEECH), unfold, refused=True),
    Shown(
        "test-call-right", "/test", tested(Result.SPEECH, Answer(same=True, at=NOON, who="cli")), unfold, refused=True
    ),
    Shown(
        "test-call-wrong",
        "/test",
        tested(Result.SPEECH, Answer(same=False, at=NOON, who="local screen")),
        unfold,
        refused=True,
    ),
    Shown("test-call-silent", "/test", tested(Result.SILENCE), unfold, refused=True),
    Shown("problem", "/nothing", refused=True),
    Shown("login", "/login"),
    Shown("access", "/access"),
    Shown("audit", "/audit"),
    Shown("settings", "/settings"),
    *(Shown(f"settings-{group.name}", f"/settings/{group.name}", act=unfold) for group in groups()),
    Shown("settings-errors", "/settings/line", act=mistype, refused=True),
    Shown("setup", "/setup"),
    *(Shown(f"setup-{step.name}", f"/setup/{step.name}", act=unfold) for step in STEPS),
    Shown("diagnostics", "/diagnostics", act=check_up),
)
