"""Sentences are English text everywhere, remember what they were made of, and are told whole or not at all."""

from __future__ import annotations

import copy
import gettext
import json
import pickle
from dataclasses import dataclass

import msgspec
import pytest

from agent.page.api import wire
from agent.page.language import language
from agent.people import who
from agent.say import plain, say, say_n, sentences, tell
from agent.storage.packed import pack, unpack
from agent.voice.calls.outcome import lost_call
from agent.voice.calls.values import Call
from agent.voice.socket import protocol

SENTENCES = {
    "911 sends help to {address}.": "El 911 envía ayuda a {address}.",
    "No network.": "Sin red.",
    "Broken {address}.": "Roto {adress}.",
    "{count} day": "{count} día",
    "{count} days": "{count} días",
    "by {who}": "por {who}",
    "the desk": "la recepción",
}


class Spanish(gettext.NullTranslations):
    """A catalog of a few sentences."""

    def gettext(self, message: str) -> str:
        return SENTENCES.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@dataclass(frozen=True)
class Shown:
    """Something that the API encodes."""

    sentence: str


def test_a_sentence_is_english_text_and_is_told_in_the_readers_language() -> None:
    said = say("911 sends help to {address}.", address="1 Main St")
    assert said == "911 sends help to 1 Main St."
    assert tell(said, Spanish()) == "El 911 envía ayuda a 1 Main St."
    assert tell(sentences(said, "", say("No network.")), Spanish()) == "El 911 envía ayuda a 1 Main St. Sin red."
    assert tell("No network.", Spanish()) == "No network.", "words of others are not ours to translate"


def test_values_that_are_sentences_are_told_too_and_braces_in_them_are_left_alone() -> None:
    assert tell(say("by {who}", who=say("the desk")), Spanish()) == "por la recepción"
    assert tell(say("by {who}", who="{0} {who}"), Spanish()) == "por {0} {who}"
    assert say("{not} a field without values") == "{not} a field without values"


@pytest.mark.parametrize(("count", "english", "spanish"), [(1, "1 day", "1 día"), (3, "3 days", "3 días")])
def test_the_number_chooses_the_form(count: int, english: str, spanish: str) -> None:
    said = say_n("{count} day", "{count} days", count)
    assert said == english
    assert tell(said, Spanish()) == spanish


def test_a_translation_that_cannot_be_filled_in_is_told_in_english() -> None:
    assert tell(say("Broken {address}.", address="x"), Spanish()) == "Broken x."


def test_json_gets_plain_text() -> None:
    assert wire.encode(Shown(say("by {who}", who="me"))) == b'{"sentence":"by me"}'
    assert json.dumps(say("No network.")) == '"No network."'
    with pytest.raises(NotImplementedError):
        msgspec.json.encode(object(), enc_hook=plain)


@pytest.mark.parametrize(
    "said",
    [
        say("911 sends help to {address}.", address="1 Main St"),
        say("by {who}", who=say("the desk")),
        say_n("{count} day", "{count} days", 3),
        sentences(say("No network."), say("by {who}", who=say("the desk"))),
    ],
)
def test_a_sentence_survives_the_database_and_copying(said: str) -> None:
    for again in (unpack(pack(said)), copy.deepcopy(said), pickle.loads(pickle.dumps(said))):  # noqa: S301
        assert again == said
        assert tell(again, Spanish()) == tell(said, Spanish()) != said


@pytest.mark.parametrize(
    "text", ["default route changed", '{"message":7}', '{"message":"{gone}","values":{"a":1}}', ""]
)
def test_text_that_was_not_packed_comes_back_as_it_is(text: str) -> None:
    assert unpack(pack(text)) == text


def test_a_sentence_of_the_telephone_program_can_be_told_here_in_the_readers_language() -> None:
    call = Call(1, "911", "out", emergency=True, code=486, reason="Busy Here", attempt=1)
    line = protocol.encode(protocol.call_message(lost_call(call)))
    message = protocol.heard(line)
    spanish = language("es").catalog
    assert json.loads(line)["ended"] == message["ended"] == str(lost_call(call).ended)
    assert tell(message["ended"], spanish).startswith("La línea telefónica se bloqueó")
    assert tell(message["reason"], spanish) == "Busy Here", "the network's own words"
    assert "told" not in message


@pytest.mark.parametrize(
    "told",
    [
        7,
        {"sentence": {"message": 7}},
        {"sentence": {"message": "{a}"}},
        {"sentence": {"message": "{a}", "values": {"a": []}}},
        {"sentence": {"message": "Somebody else's words."}},
        {"sentence": []},
        {"other": {"message": "Ended here."}},
    ],
)
def test_parts_that_do_not_make_the_sentence_are_not_used(told: object) -> None:
    message = protocol.heard(json.dumps({"type": "error", "sentence": "Ended here.", "told": told}).encode())
    assert message == {"type": "error", "sentence": "Ended here."}
    assert type(message["sentence"]) is str


@pytest.mark.parametrize("text", ["cli", "local screen", "staff at 192.0.2.7", "somebody at home", ""])
def test_who_did_it_reads_in_english_as_it_was_recorded(text: str) -> None:
    assert who(text) == text


def test_who_did_it_can_be_told_in_the_readers_language() -> None:
    assert tell(who("staff at 192.0.2.7"), language("es").catalog) == "personal en 192.0.2.7"
