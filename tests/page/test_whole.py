"""The sentence is read from across the room: its street is not torn between two lines."""

from __future__ import annotations

from dataclasses import replace

from agent.page import language
from agent.page.render import whole
from agent.say import say
from tests.page.fake_control import OFFICE


def test_a_street_of_ordinary_length_stays_in_one_piece_and_stays_text() -> None:
    street = replace(OFFICE, street="Main <b> St")
    kept = '<span class="whole">123 Main &lt;b&gt; St, Suite 400</span>'
    assert whole("Help to 123 Main <b> St, Suite 400 now.", street) == f"Help to {kept} now."


def test_a_long_street_may_wrap() -> None:
    long = replace(OFFICE, street="Doctor Martin Luther King Junior Boulevard")
    sentence = "Help to 123 Doctor Martin Luther King Junior Boulevard, Suite 400."
    assert whole(sentence, long) == sentence
    assert whole("<i>Nowhere</i>", None) == "&lt;i&gt;Nowhere&lt;/i&gt;"


def test_the_sentence_is_told_in_the_readers_language() -> None:
    with language.speaking(language.language("es")):
        assert whole(say("Nothing to do."), OFFICE) == "No hay que hacer nada."
