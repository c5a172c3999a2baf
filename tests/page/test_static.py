"""The files of the page travel packed and are kept for ever; the pages themselves are neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.page.render import static_files
from agent.page.views.more import takes_gzip
from tests.page.client import Client, play
from tests.page.fake_control import FakeControl


def test_a_file_of_the_page_travels_packed_to_whoever_takes_it_so(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        for accepted, coding in (("gzip, deflate", "gzip"), ("identity", None)):
            async with client.get("/static/page.css", headers={"Accept-Encoding": accepted}) as response:
                assert response.headers.get("Content-Encoding") == coding
                assert response.headers["Vary"] == "Accept-Encoding"
                assert await response.read() == static_files()["page.css"].body
                packed = int(response.headers["Content-Length"]) < 5000
            assert packed is (coding == "gzip")

    play(tmp_path, scenario)


def test_s10_a_page_is_never_packed_because_its_length_would_tell_of_its_token(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.get("/", headers={"Accept-Encoding": "gzip"}) as response:
            assert "Content-Encoding" not in response.headers

    play(tmp_path, scenario)


def test_a_file_is_kept_for_ever_under_the_name_of_its_content_only(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        version = static_files()["page.js"].version
        for query, kept in ((f"?v={version}", "public, max-age=31536000, immutable"), ("?v=old", "no-store")):
            async with client.get(f"/static/page.js{query}") as response:
                assert response.headers["Cache-Control"] == kept

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("", False), ("br", False)],
)
def test_accept_encoding_is_read_as_it_is_meant(accepted: str, *, packed: bool) -> None:
    assert takes_gzip(accepted) is packed
