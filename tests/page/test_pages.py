"""The pages over real HTTP: one question, its answer, the form, without JavaScript."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from agent.control import SavedAddress
from agent.errors import Backoff, NeedsHuman
from agent.light.timeline import Mark, State
from agent.model import Ask, Reasons, StatusKind
from agent.page import words
from agent.page.views import forms
from tests.page.client import Client, play, post, text_of, token_in
from tests.page.fake_control import DEPOT, NOON, OFFICE, FakeControl, overview, steps

ELSEWHERE = {
    "address_number": "9",
    "street": "Rail Rd",
    "unit": "",
    "no_unit": "yes",
    "city": "Reno",
    "state": "nevada",
    "postal_code": "89501",
    "country": "US",
}


@pytest.mark.parametrize("kind", list(StatusKind))
def test_home_shows_sentence_word_icon_and_next_step_of_every_status(kind: StatusKind, tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.show(overview(kind))
        page = await text_of(client, "/")
        light = words.LIGHTS[kind]
        assert f'class="light {light.css}"' in page
        assert f'>{light.word} <span class="since">' in page
        assert control.now.status.sentence in page
        assert control.now.status.next_step in page
        assert page.count("<svg") >= 2
        assert ">05:00</time>" in page

    play(tmp_path, scenario)


def test_every_reason_has_words() -> None:
    assert {one.name for one in fields(Reasons)} == set(words.REASONS)


def test_the_question_is_answered_with_one_tap_and_saved_is_said_once(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        page = await text_of(client, "/")
        assert "Is this phone still at 123 Main St, Suite 400?" in page
        first = page.index("Yes, still at 123 Main St, Suite 400")
        assert first < page.index("77 Harbor Blvd, Floor 2") < page.index("Somewhere else")
        assert "last confirmed on this network" in page
        assert (await post(client, "/confirm", page, address_id="emerg_1"))[:2] == (303, "/")
        assert "Saved. This phone is at 123 Main St, Suite 400." in await text_of(client, "/")
        assert "Saved." not in await text_of(client, "/")

    assert play(tmp_path, scenario).confirmed == [(OFFICE, "local screen")]


def test_s5_saved_is_not_shown_before_the_confirmation_is_on_disk(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.disk = asyncio.Event()
        page = await text_of(client, "/addresses")
        answer = asyncio.create_task(post(client, "/confirm", page, address_id="emerg_1"))
        await control.writing.wait()
        assert "Saved" not in await text_of(client, "/")
        assert not answer.done()
        control.disk.set()
        assert (await answer)[0] == 303
        assert "Saved." in await text_of(client, "/")

    play(tmp_path, scenario)


def test_saved_cannot_be_shown_by_a_link(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        assert "Saved" not in await text_of(client, "/?saved=1&flash=Saved")

    play(tmp_path, scenario)


def test_an_address_that_the_platform_lost_can_be_chosen(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.lost.append(SavedAddress(None, DEPOT, in_use=False, hint="configured for this device"))
        control.ask_place()
        page = await text_of(client, "/")
        key = re.search(r'name="lost" value="([0-9a-f]+)"', page)
        assert key
        assert (await post(client, "/confirm", page, lost=key[1]))[0] == 303
        assert (await post(client, "/confirm", page, lost="0" * 32))[0] == 404

    assert play(tmp_path, scenario).confirmed == [(DEPOT, "local screen")]


def test_progress_notices_and_exposure_are_shown_while_they_last(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        working = replace(overview(StatusKind.CONNECTING), steps=steps(2, failed=2), notices=("Database damaged.",))
        control.show(working)
        page = await text_of(client, "/")
        assert 'class="step failed"' in page
        assert "The registrar did not answer" in page
        assert "Database damaged." in page
        assert re.search(r"911 could have been wrong since <time[^>]*>05:50</time>", page)
        control.show(overview())
        page = await text_of(client, "/")
        assert "Telephone line connected" not in page
        assert "911 could have been wrong for 12 s." in page

    play(tmp_path, scenario)


def test_without_javascript_home_reloads_itself(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/")
        assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+"></noscript>', page)
        assert "Look again" in page

    play(tmp_path, scenario)


def test_somewhere_else_registers_and_confirms_in_one_go(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        assert (await post(client, "/addresses/new", page, **ELSEWHERE))[:2] == (303, "/")
        assert "Saved. This phone is at 9 Rail Rd." in await text_of(client, "/")

    assert play(tmp_path, scenario).confirmed == [(DEPOT, "local screen")]


def test_a_form_with_errors_keeps_what_was_typed_and_says_beside_the_field_what_is_wrong(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        wrong = ELSEWHERE | {"address_number": "", "postal_code": " "}
        status, _, page = await post(client, "/addresses/new", page, **wrong)
        assert status == 422
        assert 'value="Rail Rd"' in page
        assert 'id="no_unit" name="no_unit" value="yes" checked' in page
        number = re.search(r'<input id="address_number"[^>]*>', page)
        assert number
        assert 'aria-invalid="true"' in number[0]
        assert 'aria-describedby="address_number-error"' in number[0]
        assert "autofocus" in number[0]
        assert page.count("autofocus") == 1
        assert "Enter the number of the building." in page
        assert "Enter the ZIP or postal code." in page
        assert "2 fields need a look." in page

    assert play(tmp_path, scenario).confirmed == []


def test_an_empty_suite_must_be_meant(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        form = {name: value for name, value in ELSEWHERE.items() if name != "no_unit"}
        status, _, page = await post(client, "/addresses/new", page, **form)
        assert status == 422
        assert "Enter the suite, floor or room, or tick the box below if there is none." in page
        assert (await post(client, "/addresses/new", page, **form | {"unit": "Floor 2"}))[0] == 303

    play(tmp_path, scenario)


def test_what_the_platform_refuses_stands_beside_its_field(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        status, _, page = await post(client, "/addresses/new", page, **ELSEWHERE | {"street": "Ellm St"})
        assert status == 422
        assert "The address could not be validated." in page
        assert "The address in use did not change." in page
        assert re.search(r'id="street-error">.*?No such street in this city\.', page, re.DOTALL)

    assert play(tmp_path, scenario).confirmed == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Backoff("The platform is busy.", retry_after=41.2), 503),
        (NeedsHuman("The access token is refused.", todo="Call the technician."), 409),
    ],
)
def test_when_the_platform_fails_the_form_stays_filled(error: NeedsHuman, status: int, tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        control.fail = error
        async with client.post("/addresses/new", data={"csrf": token_in(page), **ELSEWHERE}) as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == ("42" if status == 503 else None)
            page = await response.text()
        assert error.happened in page
        assert 'value="Rail Rd"' in page

    play(tmp_path, scenario)


def test_a_refused_address_is_offered_for_correction(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.show(replace(overview(), ask=Ask.FIX_ADDRESS, question="The platform refused the address."))
        assert "Correct the address" in await text_of(client, "/")
        assert 'value="Main St"' in await text_of(client, "/addresses/new")

    play(tmp_path, scenario)


def test_forgetting_the_address_in_use_explains_what_it_means_first(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        assert "In use now" in await text_of(client, "/addresses")
        page = await text_of(client, "/addresses/forget?address_id=emerg_1")
        assert "911 does not know where this phone is until somebody chooses another one." in page
        assert "emerg_1" in control.saved
        assert (await post(client, "/addresses/forget", page, address_id="emerg_1"))[:2] == (303, "/addresses")
        assert "Forgotten: 123 Main St, Suite 400." in await text_of(client, "/addresses")
        assert "emerg_1" not in control.saved
        assert (await post(client, "/addresses/clear", page, address_id="emerg_2"))[0] == 303
        await text_of(client, "/addresses/forget?address_id=emerg_1", 404)
        await text_of(client, "/addresses/forget", 400)

    assert play(tmp_path, scenario).cleared == ["emerg_2"]


def test_addresses_are_shown_as_far_as_known_when_the_platform_is_away(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        control.fail = NeedsHuman("The access token is refused.")
        page = await text_of(client, "/addresses")
        assert "The access token is refused." in page
        assert "77 Harbor Blvd" in page

    play(tmp_path, scenario)


def test_history_says_in_words_what_was_decided_and_why(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/history")
        assert "Present 123 Main St, Suite 400, San Francisco, CA 94105." in page
        assert "Because: the place is new; the phone is set up as staying in one place." in page
        assert "Router 02:00:00:00:00:01 on eth0" in page
        assert "Confirmed yesterday 06:00 by local screen" in page
        assert '<rect class="bar bad"' in page
        assert "2 h, 2 times, the longest 1 h" in page
        assert "Moved to another place: link eth0 lost carrier." in page

    play(tmp_path, scenario)


def test_a_month_of_flapping_is_a_page_of_ordinary_size_and_older_decisions_are_a_link_away(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        every, kinds = 30 * 86400 / 20_000, ("bound", "offline", "connecting", "provisional")
        began = NOON - 30 * 86400
        control.states = [State(began + i * every, kinds[i % 4], "x", "A sentence.") for i in range(20_000)]
        control.marks = [Mark(began + i * 4 * every, "moved", "Moved.") for i in range(5000)]
        control.log = [replace(control.log[0], at=NOON - i, cause=f"cause {i}.") for i in range(120)]
        page = await text_of(client, "/history?range=month")
        assert len(page) < 400_000, "it was eight megabytes and a second of the daemon's time"
        assert page.count("<tr>") == 1 + 200
        assert "24800 older lines are in the files below." in page
        assert "7 days 12 h" in page, "the figures are exact"
        seen = []
        for number in (1, 2, 3, 4):
            page = await text_of(client, f"/history?page={number}")
            seen += re.findall(r"<span>cause (\d+)\.</span>", page)
            assert (f'href="/history?range=day&amp;page={number + 1}#decided"' in page) is (number < 3)
        assert seen == [str(i) for i in range(120)]
        for odd in ("0", "-1", "x", "9" * 30, "²", ""):
            assert "cause 0." in await text_of(client, f"/history?page={odd}") or odd == "9" * 30

    play(tmp_path, scenario)


def test_the_past_can_be_taken_along_as_files(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        for name, kind in (("csv", "text/csv"), ("json", "application/json")):
            async with client.get(f"/history.{name}?range=week") as response:
                assert response.status == 200
                assert response.content_type == kind
                assert response.headers["Content-Disposition"] == f'attachment; filename="history-week.{name}"'
                assert "Moved to another place: link eth0 lost carrier." in await response.text()

    play(tmp_path, scenario)


HARBOR = ELSEWHERE | {
    "address_number": "77",
    "street": "Harbor Boulevard",
    "city": "Alameda",
    "state": "CA",
    "postal_code": "94607",
}


def test_another_spelling_is_shown_for_acceptance_before_anything_is_confirmed(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        form = await text_of(client, "/addresses/new")
        status, _, page = await post(client, "/addresses/new", form, **HARBOR)
        assert status == 200
        assert control.confirmed == []
        assert "911 would send help to" in page
        assert "entered: Harbor Boulevard; now: <strong>Harbor Blvd</strong>" in page
        assert "entered: Alameda; now: <strong>Oakland</strong>" in page
        assert "entered: CA" not in page, "what was kept is not listed"
        status, _, again = await post(client, "/addresses/new", page, again="yes", **HARBOR)
        assert status == 200
        assert 'value="Alameda"' in again
        address_id = next(reversed(control.saved))
        assert (await post(client, "/confirm", page, address_id=address_id))[:2] == (303, "/")
        assert [civic.city for civic, _ in control.confirmed] == ["Oakland"]

    play(tmp_path, scenario)


def test_case_dots_and_spaces_are_no_other_spelling(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        form = await text_of(client, "/addresses/new")
        typed = ELSEWHERE | {"street": " rail  RD. "}
        assert forms.as_typed(replace(DEPOT, street="rail  RD."), DEPOT)
        assert not forms.as_typed(replace(DEPOT, unit="Suite 2"), DEPOT)
        assert (await post(client, "/addresses/new", form, **typed))[0] == 303

    play(tmp_path, scenario)


def test_an_address_like_a_saved_one_begins_with_it_and_known_places_are_suggested(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        form = await text_of(client, "/addresses/new?like=emerg_2")
        assert 'value="Harbor Blvd"' in form
        assert '<option value="Oakland">' in form
        assert 'value="Harbor Blvd"' not in await text_of(client, "/addresses/new?like=nothing")

    play(tmp_path, scenario)


def test_s3_every_answer_says_which_question_it_answers_and_a_stale_form_is_asked_again(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        for path in ("/", "/addresses", "/addresses/new"):
            page = await text_of(client, path)
            sent = page.count('action="/confirm"') + page.count('action="/addresses/new"')
            assert 0 < sent == page.count('name="question_id" value="office.1"'), path
        form = {"address_number": "77", "street": "Harbor Boulevard", "unit": "Floor 3", "city": "Oakland",
                "state": "CA", "postal_code": "94607", "question_id": "office.1"}  # fmt: skip
        status, _, accept = await post(client, "/addresses/new", page, **form)
        assert status == 200
        assert accept.count('name="question_id" value="office.1"') == 2, "both ways on"
        control.show(replace(control.now, question_id="home.2"))
        changed = "The phone has changed its network since this question was shown."
        status, _, said = await post(client, "/confirm", accept, address_id="emerg_1", question_id="office.1")
        assert (status, changed in said, control.confirmed) == (409, True, [])
        status, _, said = await post(client, "/addresses/new", page, **{**form, "street": "Harbor Blvd"})
        assert (status, changed in said, control.confirmed) == (409, True, [])
        assert 'value="Floor 3"' in said, "nothing that was typed is lost"
        assert 'name="question_id" value="home.2"' in said, "and the next press answers for here"
        form |= {"street": "Harbor Blvd", "question_id": "home.2"}
        assert (await post(client, "/addresses/new", said, **form))[0] == 303

    assert play(tmp_path, scenario).answered == ["home.2"]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(StatusKind.OFFLINE, "no_path"), (StatusKind.FAULT, "voice_dead"), (StatusKind.FAULT, "not_set_up")],
)
def test_no_error_says_that_911_goes_out_while_no_call_can_be_placed(
    kind: StatusKind, cause: str, tmp_path: Path
) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        status = replace(overview(kind).status, cause=cause)
        form = await text_of(client, "/addresses/new")
        for now, said, not_said in (
            (overview(), "911 and 933 still go out", "use another phone"),
            (replace(overview(kind), status=status), "use another phone", "still go out"),
        ):
            control.show(now)
            control.fail = NeedsHuman("The platform did not answer in time.")
            pages = [await text_of(client, "/addresses"), await text_of(client, "/nothing", 404)]
            pages += [(await post(client, "/addresses/new", form, **ELSEWHERE))[2]]
            async with client.get("/api/v1/addresses") as response:
                pages.append(await response.text())
            for page in pages:
                assert said in page
                assert not_said not in page

    play(tmp_path, scenario)


def test_home_offers_only_what_can_be_done(tmp_path: Path) -> None:
    """No question before there is an account that could keep the answer, no test call where no call can be placed."""

    async def scenario(control: FakeControl, client: Client) -> None:
        for kind, cause, question, more in (
            (StatusKind.UNBOUND, "place_new", True, False),
            (StatusKind.FAULT, "not_set_up", False, False),
            (StatusKind.FAULT, "token_expired", True, False),
        ):
            status = replace(overview(kind).status, cause=cause)
            control.show(replace(overview(kind), status=status, ask=Ask.CHOOSE_ADDRESS))
            page = await text_of(client, "/")
            assert ('id="question-title"' in page) is question, cause
            assert ("The phone is somewhere else" in page) is more, cause
        for kind, more in ((StatusKind.BOUND, True), (StatusKind.OFFLINE, False)):
            control.show(overview(kind))
            page = await text_of(client, "/")
            assert ("The phone is somewhere else" in page) is more
            assert ('href="/test"' in page) is more

    play(tmp_path, scenario)
