"""agent.toml: every error at once, help for the human, never a secret, never a crash (S1, S10)."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
import tomli
from hypothesis import given, settings

from agent.config.load import ConfigError, describe, load, load_lenient, load_sip, read_secret
from agent.config.schema import SCHEMA
from agent.config.settings import Settings, SipSettings
from agent.errors import NeedsHuman
from agent.model import CivicAddress

PACKAGED = Path(__file__).parent.parent / "config" / "agent.toml"
GOOD = """
[sip]
registrar = "sip.example.com"
username = "demo"
[address]
address_number = "123"
street = "Main St"
unit = "Suite 400"
city = "San Francisco"
state = "California"
postal_code = "94105"
"""


def problems(path: Path, text: str) -> list[str]:
    """Return the problems of a configuration, without the file's name."""
    path.write_text(text)
    found = load_lenient(path)[1]
    assert all(line.startswith(f"{path}: ") for line in found)
    return [line.removeprefix(f"{path}: ") for line in found]


def test_a_small_configuration_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD)
    found = load(path)
    assert found.address == CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
    assert found.sip == SipSettings(registrar="sip.example.com", username="demo")
    assert found.platform == Settings().platform
    json.dumps(describe(found))


SCREEN = "the device's own screen"


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    text = """
    sip_port = 5
    token = 5
    [sip]
    registrar = "sip:host"
    port = 0
    transport = "upd"
    usernam = "demo"
    expires = 12.5
    [platform]
    api = "ftp://x"
    presentation = []
    ping_interval = true
    [divice]
    [page]
    enabled = "yes"
    listen = "::"
    [address]
    stret = "Main St"
    state = "Bavaria"
    """
    lines = problems(tmp_path / "agent.toml", text)
    assert lines == [
        f"[sip_port]: no such section; there are {', '.join(SCHEMA)}",
        "token: must be a section written as [token]",
        "sip.registrar: must be a host name or an IP address, without scheme or port; is 'sip:host'",
        "sip.port: must be a whole number from 1 to 65535; is 0",
        "sip.transport: must be 'udp' or 'tcp' or 'tls'; did you mean 'udp'?; is 'upd'",
        "sip.usernam: no such key; did you mean username?",
        "sip.expires: must be a whole number from 60 to 3600; is 12.5",
        "platform.api: must be a URL starting with https:// or http://",
        "platform.ping_interval: must be seconds from 1 to 120; is True",
        "[divice]: no such section; did you mean device?",
        "page.enabled: must be true or false; is 'yes'",
        f"page.listen: must be 127.0.0.1 or ::1 ({SCREEN}), 'link', or one address of the device; is '::'",
        "address.stret: no such key; did you mean street?",
        "address.address_number: the house number is missing",
        "address.street: the street is missing",
        "address.city: the city is missing",
        "address.postal_code: the postal code is missing",
        "sip.registrar: must name the registrar; without it no call can be placed, 911 neither",
        "sip.username: must be the SIP account's user name",
        "platform.presentation: must name at least one of 'signalling', 'sip'",
        "address: a fixed device needs its address in section [address]; or set device.mobility",
    ]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.toml")
    assert len(caught.value.problems) == len(lines)
    assert str(caught.value).startswith(f"{tmp_path / 'agent.toml'} has {len(lines)} errors:\n")
    assert caught.value.todo == "Correct the lines above and check them with `dialstack-agent check-config`."


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f'[sip]\npassword = "{SECRET}"', f'[token]\ntoken = "{SECRET}"', f'[token]\nsecret = "{SECRET}"',
        f'[token]\nendpoint_secret = "{SECRET}"', f'[sip]\npassword_file = "{SECRET}"', f'[token]\nfile = "{SECRET}"',
        f'[token]\nendpoint_secret_file = "{SECRET}"', f'[token]\ncommand = "mint {SECRET}"',
        f'[token]\nsource = "{SECRET}"', f'[token]\nendpoint = "https://u:{SECRET}@host/"', f'token = "{SECRET}"',
        f'[platform]\napi = "https://{SECRET}@host"', f'[platform]\nsignalling = "wss://u:{SECRET}@host"',
        f'[sip]\npasword = "{SECRET}"', f'password = "{SECRET}"', f'[token]\nfile = "{SECRET}" x',
    ],
)  # fmt: skip
def test_s10_a_secret_in_the_wrong_place_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    lines = problems(path, text)
    assert lines
    assert SECRET not in "\n".join(lines)
    assert SECRET not in repr(load_lenient(path)[0])


def test_an_inline_secret_is_told_where_it_belongs(tmp_path: Path) -> None:
    lines = problems(tmp_path / "agent.toml", GOOD.replace("[address]", f'password = "{SECRET}"\n[address]'))
    told = "sip.password: a secret must not stand here; put it into a file of its own and name it in sip.password_file"
    assert lines == [told]


# ------------------------------------------------------------------ the packaged file


def test_the_packaged_file_shows_every_key_with_its_default() -> None:
    packaged = tomli.loads(PACKAGED.read_text())
    defaults = json.loads(json.dumps(describe(Settings())))
    defaults = {
        section: {key: "" if value is None or value == "None" else value for key, value in table.items()}
        for section, table in defaults.items()
    }
    assert packaged == defaults


def test_every_field_of_the_settings_can_be_set_and_is_explained() -> None:
    lines = PACKAGED.read_text().splitlines()
    for item in dataclasses.fields(Settings):
        if item.name == "address":
            continue
        kind, validators = SCHEMA[item.name]
        names = [field.name for field in dataclasses.fields(kind)]
        assert names == list(validators)
        for name in names:
            explained = any(re.match(rf"{name} = .*  # ", line) for line in lines)
            assert explained or (item.name, name) == ("page", "port"), f"{item.name}.{name} has no comment"
    for item in dataclasses.fields(CivicAddress):
        assert any(line.startswith(f"#{item.name} = ") for line in lines)


def test_the_packaged_file_lacks_only_what_it_says_is_required() -> None:
    lines = [line.removeprefix(f"{PACKAGED}: ").split(":", maxsplit=1)[0] for line in load_lenient(PACKAGED)[1]]
    assert lines == ["sip.registrar", "sip.username", "address"]


# ------------------------------------------------------------------ S1: garbage

GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "zeros": b"\0" * 5000,
    "no utf-8": b"\xff\xfe[sip]",
    "half a line": b'[sip]\nregistrar = "x',
    "nesting": b"[sip]\nregistrar = " + b"[" * 100_000,
    "nesting that closes": b"[sip]\nport = " + b"[" * 400 + b"]" * 400,
    "dots": b"[sip]\nport." + b"a." * 3000 + b"b = 1",
    "dots in a choice": b"[sip]\ntransport." + b"a." * 3000 + b"b = 1",
    "a long number": b"[sip]\nport = " + b"9" * 200_000,
    "a long hexadecimal number": b"[sip]\nport = 0x" + b"f" * 200_000,
    "a long number in a choice": b"[sip]\ntransport = 0x" + b"f" * 200_000,
    "a long text": b'[sip]\nregistrar = "' + b"x" * 200_000 + b'"',
    "too large": b"#" * 300_000,
    "no number": b"[sip]\ncallback_window = nan\nexpires = inf",
    "a date": b"[sip]\nport = 1979-05-27",
    "tables": b"[[sip]]\nport = 5060",
    "a value": b"sip = 5060",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_s1_garbage_never_stops_the_phone_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(GARBAGE[name])
    found, lines = load_sip(path)
    assert found == SipSettings()
    assert lines
    assert all(len(line) < 1000 for line in lines)
    assert load_lenient(path)[1]


@settings(max_examples=300, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: ("[sip]\n" + text).encode("utf-8", "replace"))
    )
)
def test_s1_no_bytes_at_all_stop_the_phone_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    assert isinstance(load_sip(path)[0], SipSettings)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_s1_no_file_never_stops_the_phone_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "agent.toml"
    found, lines = load_sip(path)
    assert found == SipSettings()
    assert "not readable" in lines[0]


def test_s1_the_line_comes_up_whatever_the_other_sections_are_like(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[sip]\nregistrar = "10.0.0.1"\nusername = "demo"\nport = "x"\n[device]\nname = "unreadable\\n"\n')
    found, lines = load_sip(path)
    assert (found.registrar, found.username, found.port) == ("10.0.0.1", "demo", 5060)
    assert lines == [f"{path}: sip.port: must be a whole number from 1 to 65535; is 'x'"]


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("section", "line", "good"),
    [
        ("sip", 'registrar = "[2001:db8::1]"', True), ("sip", 'registrar = "2001:db8::1"', True),
        ("sip", 'registrar = "sip.example.com"', True), ("sip", 'registrar = "host:5060"', False),
        ("sip", 'registrar = "a b"', False), ("sip", 'registrar = "-x"', False), ("sip", 'registrar = "x\\n"', False),
        ("sip", 'header = "X-A"', True), ("sip", 'header = "X A"', False), ("sip", 'header = "X:A"', False),
        ("sip", 'password_file = "/etc/x"', True), ("sip", 'password_file = "x"', False),
        ("sip", 'socket = ""', False), ("sip", "callback_window = 0", True), ("sip", "callback_window = -1", False),
        ("sip", "port = true", False), ("sip", "local_port = 0", True), ("sip", "local_port = 65536", False),
        ("platform", 'api = "https://x.test:8443/base"', True), ("platform", 'api = "https://x.test:99999"', False),
        ("platform", 'api = "https://x.test:0"', False), ("platform", 'api = "https://"', False),
        ("platform", 'api = "https://[::1"', False), ("platform", 'signalling = "https://x"', False),
        ("platform", 'signalling = "wss://x/y"', True), ("platform", 'presentation = ["sip"]', True),
        ("platform", 'presentation = ["sips"]', False), ("platform", 'presentation = "sip"', False),
        ("network", "quiet = 0", False), ("network", 'ignore_interfaces = [""]', True),
        ("network", "ignore_interfaces = [1]", False), ("page", 'listen = "::1"', True),
        ("page", 'listen = "192.0.2.1"', True), ("page", 'listen = "link"', True),
            ("page", 'listen = "0.0.0.0"', False), ("page", 'networks = ["10.20.0.0/16"]', True),
            ("page", 'networks = ["10.20.0.1/16"]', False), ("page", 'certificate = "/x.pem"', False),
            ("page", "enabled = 1", False), ("paths", 'state = "x"', False),
        ("token", 'source = "command"', False), ("token", 'source = "command"\ncommand = ["mint"]', True),
        ("token", 'source = "endpoint"', False), ("device", 'mobility = "movable"', True),
    ],
)  # fmt: skip
def test_each_kind_of_value(tmp_path: Path, section: str, line: str, *, good: bool) -> None:
    base = GOOD if section == "sip" else GOOD + f"[{section}]\n"
    text = base.replace("[sip]\n", "") if section == "sip" else base
    if section == "sip":
        kept = [item for item in ('registrar = "h"', 'username = "u"') if item.split()[0] != line.split(maxsplit=1)[0]]
        text = "[sip]\n" + "\n".join([*kept, line]) + GOOD[GOOD.index("[address]") - 1 :]
    else:
        text += line
    assert (problems(tmp_path / "agent.toml", text) == []) is good


# ------------------------------------------------------------------ secrets


def test_a_secret_comes_from_its_file_or_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    file = tmp_path / "secret"
    with pytest.raises(NeedsHuman) as caught:
        read_secret(None, "token")
    assert caught.value.happened == ("The secret token is missing: the systemd credential token is not there or empty.")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "cred_token").write_text("folder\n")
    assert read_secret(file, "token") == "folder"
    (tmp_path / "token").write_text(" single ")
    assert read_secret(file, "token") == "single"
    file.write_text("\n")
    assert read_secret(file, "token") == "single"
    file.write_text("own\n")
    assert read_secret(file, "token") == "own"
    with pytest.raises(NeedsHuman) as caught:
        read_secret(tmp_path, "token")
    assert caught.value.code == "secret_unreadable"
