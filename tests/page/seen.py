"""What a person sees, or hears from a screen reader, on a page: all texts, and which of them are English."""

from __future__ import annotations

import gettext
import re
from typing import TYPE_CHECKING

from agent.page.language import Language

if TYPE_CHECKING:
    from tests.page.window import Page

TEXTS = """() => {
  const found = [document.title];
  const names = ['aria-label', 'aria-description', 'alt', 'title', 'placeholder',
                 'data-news', 'data-stale', 'data-text', 'data-title', 'data-working'];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.nodeType === 3 ? node.parentElement : node;
    if (element.closest('script, style, textarea, .languages button')) continue;
    const value = element.matches('option') ? element.value : '';
    if (node.nodeType === 3) found.push(node.textContent.replace(value, '').replace(/<[^>]*>/g, ' '));
    else for (const name of names) if (node.hasAttribute(name)) found.push(node.getAttribute(name));
  }
  const foreign = [...document.querySelectorAll('body [lang]:not(.languages button)')];
  return [...found, ...foreign.map((node) => `lang=${node.lang}: ${node.textContent}`)]
    .map((text) => text.replace(/\\s+/g, ' ').trim()).filter((text) => text);
}"""
"""Texts of a page and attributes that are told, without the values that stand in the configuration's file (lists, and
what an option begins with); a part that declares another language is one of them."""
HOLES = re.compile(r"(\{\w*[^}]*\}|%\(\w+\)s|%%|</?[a-z]+[^>]*>|&\w+;|`[^`]*`)")
_ABROAD = str.maketrans({letter: chr(0xFF21 + ord(letter.upper()) - 65) for letter in "abcdefghijklmnopqrstuvwxyz"}) | {
    ord(letter): chr(0xFF21 + ord(letter) - 65) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
}
_ENGLISH = re.compile(
    r"\b(?:the|this|that|is|are|was|were|be|been|of|and|with|without|from|by|to|in|at|for|not|nobody|cannot|has|have|had|"
    r"it|its|where|when|which|than|must|may|phone|network|address|call|calls|setting|settings|found|there|your|out)\b",
    re.IGNORECASE,
)
"""Words that no Spanish or French text has, but nearly every English one."""
OF_OTHERS = (
    r"(123 )?Main St(, Suite 400)?(, San Francisco, CA 94105)?", r"77 Harbor (Blvd|Boulevard)(, Floor [23])?",
    r"9 Rail Rd", r"(San Francisco|Oakland|Alameda|Reno), (CA|NV) \d{5}", "Harbor Boulevard", "Harbor Blvd",
    "Ellm St", "Alameda", "Oakland", "[nN]o such street in this city", "front desk", r"\b(https?://)?(\w+\.)+(com|net|ai)\b",
    "address of record", r"\[\w+\]", r"[«“]\s?\w+\s?[»”]",
    "demo · ", r"\(udp\)", "Suite 400, Floor 2, Room 12", r"\d{3} (OK|Busy Here)", r"`[^`]*`",
)  # fmt: skip
"""Addresses as they are registered, what the platform says, hosts, accounts, names that people gave, commands, words
of the configuration's file."""
THINGS = frozenset({
    "SIP", "PIN", "IP", "URL", "HTTP", "HTTPS", "TLS", "DNS", "DHCP", "NTP", "VLAN", "MAC", "TCP", "UDP", "REST", "API",
    "JSON", "PEM", "WAV", "CSV", "RFC", "SMTP", "QR", "LLDP", "MED", "CA", "NV", "DialStack", "dialstack", "agent",
    "voice", "WebSocket", "Wi", "Fi", "eth", "lo", "KiB", "MiB", "min", "ms",
})  # fmt: skip
"""Names of things, the same in every language."""


class Abroad(gettext.NullTranslations):
    """A language in which every sentence that is translated is in capitals that no other text has."""

    def gettext(self, message: str) -> str:
        return abroad(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return abroad(msgid1 if n == 1 else msgid2)


ABROAD = Language("es", Abroad())


def abroad(message: str) -> str:
    """Return a message in that language, values and markup as they are."""
    return "".join(part if HOLES.fullmatch(part) else part.translate(_ABROAD) for part in HOLES.split(message) if part)


def texts(page: Page) -> list[str]:
    """Return what is to be read on a page."""
    found: list[str] = page.evaluate(TEXTS)
    return found


def _without_names(text: str) -> str:
    for name in OF_OTHERS:
        text = re.sub(name, " ", text)
    return text


def untranslated(text: str) -> list[str]:
    """Return the words of a page in ABROAD that no catalog was asked for."""
    words = re.findall(r"[A-Za-z][A-Za-z]+", _without_names(text))
    return [word for word in words if word not in THINGS]


def english(text: str) -> list[str]:
    """Return the English words of a text of a Spanish or French page."""
    return _ENGLISH.findall(_without_names(text))
