"""A mistake in a side matter costs that matter alone, is said loudly, and errs on the careful side (S1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import overlay as config_overlay
from agent.config.load import ConfigError, Layers, load, load_layers, load_sip
from agent.config.schema import SCHEMA, SIDE
from agent.config.side import SENTENCES, consequences
from tests.packaged import PACKAGED

CORRECT = "or in the file of the configuration."


def layers_of(folder: Path, text: str, **here: object) -> Layers:
    """Return what a file and settings made on the page (`device__name="x"`) make together."""
    path = folder / "agent.toml"
    path.write_text(PACKAGED.format(state=folder / "state") + text)
    if here:
        values = {key.replace("__", "."): value for key, value in here.items()}
        config_overlay.write(folder / "state", config_overlay.Overlay().with_values(values, "local screen", 1.0))
    return load_layers(path)


@pytest.mark.parametrize(
    "text",
    [
        "[notify]\nescalate_after = -1", "[notify]\nescalat_after = 5", "notify = 5", "[notify_sms]\nto = []",
        '[notify_webhook]\nurl = "ftp://x"', '[notify_webhook]\nsecret = "x"', '[notify_email]\nto = ["nobody"]',
        "[notify_email]\nto = [desk@example.net]", "[notify_email]\nport =", "[notify_command]\nrun = true",
        '[page]\nlisten = "0.0.0.0"', '[page]\ncertificate = "/x.pem"', "[page]\nlisten = link", "[[page]]\nport = 1",
        '[test_call]\nhours = "8-18"', "[test_call]\nautomatic = yes", "[notify]\ntests = 1\n[test_call]\nkeep = 0",
        "[notify]\ntests = true\n[notify]\ntests = false",
    ],
)  # fmt: skip
def test_s1_a_mistake_in_a_side_section_costs_no_address(tmp_path: Path, text: str) -> None:
    layers = layers_of(tmp_path, text) if "=" not in text.split("\n", maxsplit=1)[0] else _first(tmp_path, text)
    assert layers.grave == ()
    assert layers.problems
    assert (layers.settings.sip.username, layers.settings.device.mobility) == ("demo", "movable")
    with pytest.raises(ConfigError, match="the address is not touched by it") as caught:
        load(tmp_path / "agent.toml")
    assert caught.value.problems == list(layers.problems)


def _first(folder: Path, line: str) -> Layers:
    """Return the layers of a file that begins with that line, before any section."""
    path = folder / "agent.toml"
    path.write_text(line + PACKAGED.format(state=folder / "state"))
    return load_layers(path)


@pytest.mark.parametrize(
    "text",
    [
        '[platform]\napi = "ftp://x"', "[token]\nsorce = 1", '[network]\nquiet = "x"', '[address]\nstate = "Bavaria"',
        "[divice]\nname = 1", "[platform]\napi = https://x", "[something]\nelse = 1",
    ],
)  # fmt: skip
def test_mistakes_in_what_an_address_depends_on_stay_grave(tmp_path: Path, text: str) -> None:
    layers = layers_of(tmp_path, text)
    assert layers.grave == layers.problems != ()
    assert consequences(layers.mistakes) == ()


def test_s1_a_slip_of_the_pen_costs_one_section_and_is_told_with_its_line(tmp_path: Path) -> None:
    layers = layers_of(
        tmp_path, "[platform]\ntimeout = 9\n[notify_email]\nto = [desk@example.net]\n[network]\nquiet = 1"
    )
    path = tmp_path / "agent.toml"
    assert layers.problems == (f"{path}: notify_email: not readable as TOML: Invalid value (at line 12, column 7)",)
    assert path.read_text().splitlines()[11] == "to = [desk@example.net]"
    assert (layers.settings.platform.timeout, layers.settings.network.quiet) == (9, 1)


def test_s1_a_slip_elsewhere_leaves_the_phone_line_its_account(tmp_path: Path) -> None:
    layers = layers_of(tmp_path, "[platform]\napi = https://x\n")
    found, lines = load_sip(tmp_path / "agent.toml")
    assert found.registrar == "sip.example.com"
    assert lines == list(layers.grave)


def test_of_several_recipients_the_right_ones_are_told(tmp_path: Path) -> None:
    layers = layers_of(tmp_path, '[notify_email]\nhost = "m.example"\nto = ["a@example.net", "b", 5, "c@example.net"]')
    assert layers.settings.notify_email.to == ("a@example.net", "c@example.net")
    assert len(layers.problems) == 1


def test_s9_a_page_whose_access_is_unclear_is_closed_on_the_link_only(tmp_path: Path) -> None:
    for wrong in ('networks = ["10.0.0.1/8"]', 'netwroks = ["10.0.0.0/8"]', "local_role = 5", 'key = "/x.pem"'):
        settings = layers_of(tmp_path, f'[page]\nlisten = "link"\nport = 8999\n{wrong}').settings
        assert (settings.page.listen, settings.page.enabled, settings.page.port) == ("127.0.0.1", True, 8999)
        assert settings.page.local_role == "staff"
    settings = layers_of(tmp_path, '[page]\nlisten = "link"\nannounce = 5').settings
    assert (settings.page.listen, settings.page.announce) == ("link", True)
    assert layers_of(tmp_path, '[page]\nlisten = "::1"\nkey = "/x.pem"').settings.page.listen == "::1"


def test_no_automatic_calls_with_a_mistake_about_when(tmp_path: Path) -> None:
    assert not layers_of(tmp_path, '[test_call]\nautomatic = true\nhours = "8-18"').settings.test_call.automatic
    assert layers_of(tmp_path, '[test_call]\nautomatic = true\nhours = "08:00-18:00"').settings.test_call.automatic


def test_every_side_matter_says_what_a_mistake_costs_and_where_to_correct_it(tmp_path: Path) -> None:
    assert set(SENTENCES) == SIDE <= set(SCHEMA)
    layers = layers_of(tmp_path, '[notify_email]\nto = ["nobody"]\nport = 0\n[page]\nannounce = 1')
    assert consequences(layers.mistakes) == (
        (
            "911 notices are not sent by e-mail as configured: notify_email.to: must be an e-mail address alone, such "
            f"as desk@example.net. Correct it in the settings of notices, {CORRECT}"
        ),
        (
            "The settings of this page have a mistake: page.announce: must be true or false. Correct it in the "
            f"settings of the page, {CORRECT}"
        ),
    )


def test_what_an_older_version_set_is_kept_and_said_and_costs_nothing(tmp_path: Path) -> None:
    known = {"page__listen": "link", "sip__port": 5070}
    layers = layers_of(tmp_path, "", sip__gone=1, page__theme="dark", lights__color="red", **known)
    state = tmp_path / "state" / "settings.toml"
    assert [line.partition(": no such")[0] for line in layers.problems] == [
        f"{state}: sip.gone", f"{state}: page.theme", f"{state}: [lights]"
    ]  # fmt: skip
    assert (layers.grave, consequences(layers.mistakes)) == ((), ())
    assert (layers.settings.sip.port, layers.settings.page.listen) == (5070, "link")
    assert layers.overlay.values["sip.gone"] == 1


def test_s3_what_decided_about_a_new_place_is_not_passed_over(tmp_path: Path) -> None:
    assert layers_of(tmp_path, "", device__kind="movable").grave


def test_s7_a_fixed_device_without_an_address_is_asked_for_one_and_not_stopped(tmp_path: Path) -> None:
    """An answer on the page binds it as at any place; only a wrong address keeps it from that."""
    path = tmp_path / "agent.toml"
    text = PACKAGED.format(state=tmp_path / "state").replace("movable", "fixed")
    path.write_text(text)
    layers = load_layers(path)
    assert layers.grave == ()
    assert consequences(layers.mistakes) == (), "the question says it"
    with pytest.raises(ConfigError, match="a fixed device needs its address") as caught:
        load(path)
    assert "not touched" not in str(caught.value)
    path.write_text(text + '[address]\nstreet = "Main St"\n')
    assert any("address.city" in line for line in load_layers(path).grave)
