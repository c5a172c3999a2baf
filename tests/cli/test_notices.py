"""`notices`: what people read, who takes care of a call, and a test that says what failed."""

from __future__ import annotations

from agent.control import Delivery
from tests.cli.shell import Shell, served, shell
from tests.page.fake_control import NOON, notice
from tests.page.serving import ThreadServer

__all__ = ["served", "shell"]
FAILING = Delivery("email", delivered=False, detail="mail.example answered 550")


def test_notices_say_who_was_told_and_who_was_not(shell: Shell, served: ThreadServer) -> None:
    assert shell("notices")[1] == "No emergency or test call was made from this phone.\n"
    ways = (Delivery("webhook", delivered=True, detail=""), FAILING)
    old = notice(id="old", acknowledged_at=NOON, acknowledged_by="cli", open=False, headline="Evil \x1b[2J kiosk")
    served.control.told = (notice(deliveries=ways), old)
    code, out, _ = shell("notices")
    assert code == 0
    first, second = out.split("\n\n")
    assert "911 was dialed from front desk.  NOBODY HAS ACKNOWLEDGED IT  (notice1)" in first
    for text in (
        "That is proven on this network.",
        "told      webhook",
        "NOT told  email: mail.example answered 550",
    ):
        assert text in first
    assert "by cli" in second
    assert "\x1b" not in out
    assert [one["id"] for one in shell.json("notices", "list", "--limit", "1")[1]["notices"]] == ["notice1"]


def test_acknowledging_takes_the_newest_that_nobody_took(shell: Shell, served: ThreadServer) -> None:
    served.control.told = (notice(id="done", open=False), notice(id="waits"))
    code, out, _ = shell("notices", "ack")
    assert (code, out.startswith("Acknowledged: 911 was dialed from front desk.")) == (0, True)
    assert served.control.told[1].acknowledged_by == "cli"
    assert shell("notices", "ack")[1] == "Every emergency call has been acknowledged.\n"
    code, _, err = shell("notices", "ack", "another")
    assert (code, err.splitlines()[0]) == (1, "There is no such notice.")


def test_the_test_fails_when_a_channel_does(shell: Shell, served: ThreadServer) -> None:
    assert shell("notices", "test") == (
        0, "Nothing is configured: only the page and the journal tell of emergency calls.\n", "",
    )  # fmt: skip
    served.control.tested = (Delivery("command", delivered=True, detail="beep ended with status 0"), FAILING)
    code, out, _ = shell("notices", "test")
    assert (code, out) == (1, "ok      command: beep ended with status 0\nFAILED  email: mail.example answered 550\n")
    served.control.tested = served.control.tested[:1]
    assert shell.json("notices", "test") == (
        0, {"deliveries": [
            {"channel": "command", "delivered": True, "detail": "beep ended with status 0", "given_up": False},
        ]},
    )  # fmt: skip
