"""What the network says, on the page: offered, filled in, shown with the place, and never anything but text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.errors import AddressRefused
from agent.heard import Heard, Hearing, NamedAddress, SwitchPort
from agent.model import Ask, CivicAddress
from tests.page.client import Client, play, post, text_of
from tests.page.fake_control import FakeControl

PORT = SwitchPort("02:00:00:00:01:00", "Gi1/0/<3>", "access-2", "Desk 7", 110, 111)
HALF = NamedAddress({"address_number": "9", "street": "Pier <b>Rd</b>", "unit": "Floor 2", "country": "US"}, "2")


def hear(control: FakeControl, heard: Heard) -> None:
    control.show(replace(control.overview(), heard=heard))


def test_half_an_address_is_offered_second_and_fills_in_the_form(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        hear(control, Heard(Hearing.ON, (PORT,), HALF, "lldp"))
        home = await text_of(client, "/")
        assert "9 Pier &lt;b&gt;Rd&lt;/b&gt;, Floor 2" in home
        assert "what the network switch says · something is missing, please complete it" in home
        offered = home.index("/addresses/new?like=network")
        assert home.index('action="/confirm"') < offered < home.index('data-key="choice-new"')
        form = await text_of(client, "/addresses/new?like=network")
        assert 'name="street" value="Pier &lt;b&gt;Rd&lt;/b&gt;"' in form
        assert 'name="unit" value="Floor 2"' in form
        assert 'name="city" value=""' in form

    play(tmp_path, scenario)


def test_a_whole_address_that_the_platform_refuses_is_corrected_in_the_form(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        civic = CivicAddress("9", "Nowhere Rd", "Alameda", "CA", "94501", "Floor 2")
        choice = replace(control.overview().choices[0], id=None, civic=civic, hint="what the network switch says")
        control.show(replace(control.overview(), choices=(choice,)))

        async def refuse(**_: object) -> None:
            raise AddressRefused("The street does not exist.", fields={"street": "unknown street"})

        control.confirm = refuse  # type: ignore[method-assign, assignment]
        home = await text_of(client, "/")
        key = home.split('name="lost" value="')[1].split('"')[0]
        status, _, page = await post(client, "/confirm", home, lost=key)
        assert status == 422
        assert 'value="Nowhere Rd"' in page
        assert "Unknown street." in page

    play(tmp_path, scenario)


def test_the_place_shows_the_port_and_a_switch_that_cannot_be_asked_is_said_there(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        hear(control, Heard(Hearing.ON, (PORT,), HALF, "dhcp"))
        page = await text_of(client, "/history")
        assert "Plugged into port Gi1/0/&lt;3&gt; of the network switch access-2" in page
        assert "The network says: 9 Pier &lt;b&gt;Rd&lt;/b&gt;, Floor 2" in page
        hear(control, Heard(Hearing.ON, (PORT, replace(PORT, port="7"))))
        assert "Heard through a device between: port 7 of the network switch access-2" in await text_of(
            client, "/history"
        )
        hear(control, Heard(Hearing.NO_RIGHT))
        assert "The network switch cannot be asked: " in await text_of(client, "/history")

    play(tmp_path, scenario)


def test_nothing_of_it_is_shown_where_nothing_is_asked_or_heard(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        assert control.overview().ask is Ask.NOTHING
        hear(control, Heard(Hearing.ON, (), HALF, "lldp"))
        assert "like=network" not in await text_of(client, "/")

    play(tmp_path, scenario)
