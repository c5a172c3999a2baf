"""Platform.md 2.1 to 2.5, case by case, over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.simulator.core import Platform
from agent.simulator.refusal import Refusal
from agent.simulator.streets import STREETS
from tests.simulator.world import ADDRESSES, MAIN_STREET, FakeClock, run, world


def test_platform_2_1_create_answers_201_with_the_normalized_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            typed = MAIN_STREET | {"street": "main street", "city": "san francisco"}
            answer = await w.rest("POST", ADDRESSES, typed, key=await w.token())
            assert answer.status == 201
            assert set(answer.body) == {"id", "address", "registered_ip", "created_at"}
            assert answer.body["id"].startswith("emerg_")
            assert answer.body["registered_ip"] is None
            assert answer.body["created_at"].endswith("Z")
            assert answer.body["address"] == MAIN_STREET | {
                "formatted_address": "123 Main St, Suite 400, San Francisco, CA 94105, US",
                "latitude": 37.7911,
                "longitude": -122.3959,
            }

    run(main())


def test_platform_2_1_country_and_unit_may_be_left_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"create_status": 200}) as w:
            body = {k: v for k, v in MAIN_STREET.items() if k not in {"country", "unit"}}
            answer = await w.rest("POST", ADDRESSES, body, key=await w.token())
            assert answer.status == 200  # the switch
            assert answer.body["address"]["country"] == "US"
            assert "unit" not in answer.body["address"]

    run(main())


@pytest.mark.parametrize("field", ["street", "city", "state", "postal_code"])
def test_platform_2_4_a_missing_required_field_is_400_validation_error(tmp_path: Path, field: str) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            body = {k: v for k, v in MAIN_STREET.items() if k != field}
            answer = await w.rest("POST", ADDRESSES, body, key=await w.token())
            assert answer.status == 400
            assert answer.body["code"] == "validation_error"
            assert answer.body["details"] == {field: "is required"}

    run(main())


def test_platform_2_4_wrong_types_and_no_json_are_400(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET | {"unit": 4}, key=token)
            assert (answer.status, answer.body["details"]) == (400, {"unit": "must be a string"})
            for data in (b"{", b"[]", b""):
                assert (await w.rest("POST", ADDRESSES, data=data, key=token)).status == 400

    run(main())


CASES = [
    ({"street": "Ellm St"}, {"street": "There is no Ellm St in San Francisco, CA. Did you mean Elm St?"}),
    ({"street": "Qqq"}, {"street": "There is no Qqq in San Francisco, CA."}),
    ({"address_number": "1000"}, {"address_number": "Main St has the numbers 1 to 999."}),
    ({"address_number": ""}, {"address_number": "The house number is missing."}),
    ({"postal_code": "94999"}, {"postal_code": "Main St in San Francisco has 94105."}),
    ({"city": "San Fransisco"}, {"city": "There is no San Fransisco in CA. Did you mean San Francisco?"}),
    ({"state": "ZZ"}, {"state": "No streets are known in ZZ."}),
]


@pytest.mark.parametrize(("change", "details"), CASES)
def test_platform_2_4_what_the_carrier_does_not_know_is_422_on_the_field(
    tmp_path: Path, change: dict[str, str], details: dict[str, str]
) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET | change, key=await w.token())
            assert answer.status == 422
            assert answer.body == {
                "error": "The address could not be validated.",
                "code": "address_not_found",
                "details": details,
            }
            listed = await w.rest("GET", ADDRESSES, key=await w.token())
            assert listed.body["data"] == []

    run(main())


@pytest.mark.parametrize("state", ["ca", "California", "Ca", "C"])
def test_platform_7_a_state_that_is_no_upper_case_code_fails_without_saying_why(tmp_path: Path, state: str) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET | {"state": state}, key=await w.token())
            assert (answer.status, answer.body) == (422, {"error": "The address could not be validated."})

    run(main())


SHAPES: list[tuple[dict[str, Any], Any]] = [
    ({"refusal_shape": "siblings"}, {"street": "There is no Qqq in San Francisco, CA."}),
    ({"refusal_shape": "nested"}, {"error": {"message": "The address could not be validated."}}),
    ({"refusal_shape": "message"}, {"message": "The address could not be validated."}),
    ({"refusal_shape": "text"}, "The address could not be validated."),
    ({"refusal_details": False}, {"code": "address_not_found"}),
]


@pytest.mark.parametrize(("behavior", "expected"), SHAPES)
def test_platform_2_4_the_422_body_has_every_shape_that_the_sdk_tolerates(
    tmp_path: Path, behavior: dict[str, Any], expected: Any
) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior=behavior) as w:
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET | {"street": "Qqq"}, key=await w.token())
            assert answer.status == 422
            if isinstance(expected, str):
                assert answer.body == expected
                return
            assert "details" not in answer.body
            for name, value in expected.items():
                found = answer.body[name]
                assert (value.items() <= found.items()) if isinstance(value, dict) else found == value

    run(main())


def test_platform_2_3_list_is_newest_first_and_pages_by_following_the_path_given(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            made = [await w.address(address_number=str(n)) for n in range(1, 24)]
            await w.address("user_2")
            token = await w.token()
            first = (await w.rest("GET", ADDRESSES, key=token)).body
            assert first["object"] == "list"
            assert first["url"] == ADDRESSES
            assert first["previous_page_url"] is None
            assert first["next_page_url"].startswith("/v1/")
            seen, page = [a["id"] for a in first["data"]], first
            assert len(seen) == 10
            while page["next_page_url"]:
                page = (await w.rest("GET", page["next_page_url"], key=token)).body
                seen += [a["id"] for a in page["data"]]
            assert seen == made[::-1]
            back = (await w.rest("GET", page["previous_page_url"], key=token)).body
            assert [a["id"] for a in back["data"]] == made[::-1][10:20]

    run(main())


@pytest.mark.parametrize("limit", ["0", "101", "ten", "-1"])
def test_platform_2_3_limit_is_1_to_100(tmp_path: Path, limit: str) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("GET", f"{ADDRESSES}?limit={limit}", key=await w.token())
            assert (answer.status, answer.body["details"]) == (400, {"limit": "must be 1 to 100"})
            assert (await w.rest("GET", f"{ADDRESSES}?limit=100", key=await w.token())).status == 200

    run(main())


def test_platform_2_3_a_bad_or_foreign_cursor_is_400_invalid_pagination(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            for n in (1, 2):
                await w.address(address_number=str(n))
            page = await w.rest("GET", f"{ADDRESSES}?limit=1", key=await w.token())
            for path, user in ((f"{ADDRESSES}?page=nonsense", "user_1"), (page.body["next_page_url"], "user_2")):
                answer = await w.rest("GET", path, key=await w.token(user))
                assert (answer.status, answer.body["code"]) == (400, "invalid_pagination")

    run(main())


def test_platform_2_read_and_delete_one_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number, token = await w.address(), await w.token()
            read = await w.rest("GET", f"{ADDRESSES}/{number}", key=token)
            assert (read.status, read.body["id"]) == (200, number)
            gone = await w.rest("DELETE", f"{ADDRESSES}/{number}", key=token)
            assert (gone.status, gone.body) == (204, "")
            assert (await w.rest("GET", f"{ADDRESSES}/{number}", key=token)).status == 404
            assert (await w.rest("DELETE", f"{ADDRESSES}/{number}", key=token)).status == 404

    run(main())


def test_platform_2_there_is_no_update(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number, token = await w.address(), await w.token()
            assert (await w.rest("POST", f"{ADDRESSES}/{number}", MAIN_STREET, key=token)).status == 405

    run(main())


@pytest.mark.parametrize("status", [404, 403])
def test_platform_2_4_another_users_id_is_refused(tmp_path: Path, status: int) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"foreign_status": status}) as w:
            number, token = await w.address(), await w.token("user_2")
            for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", "/registered_ip")):
                assert (await w.rest(method, f"{ADDRESSES}/{number}{path}", key=token)).status == status
            assert (await w.rest("GET", f"{ADDRESSES}/{number}", key=await w.token())).status == 200

    run(main())


@pytest.mark.parametrize(("duplicates", "same"), [("allow", False), ("merge", True)])
def test_platform_10_8_exact_duplicates_are_allowed_or_merged(tmp_path: Path, duplicates: str, *, same: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"duplicates": duplicates}) as w:
            assert (await w.address() == await w.address()) is same

    run(main())


@pytest.mark.parametrize(("idempotency", "same"), [("honor", True), ("ignore", False)])
def test_platform_2_5_idempotency_key_is_honored_or_ignored(tmp_path: Path, idempotency: str, *, same: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"idempotency": idempotency}) as w:
            ids = []
            for user, key in (("user_1", "a"), ("user_1", "a"), ("user_1", "b"), ("user_2", "a")):
                token = await w.token(user)
                headers = {"Idempotency-Key": key}
                ids.append((await w.rest("POST", ADDRESSES, MAIN_STREET, key=token, headers=headers)).body["id"])
            assert (ids[0] == ids[1]) is same
            assert len(set(ids)) == (3 if same else 4)

    run(main())


def test_platform_10_8_there_may_be_a_maximum_of_addresses(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"max_addresses": 1}) as w:
            await w.address()
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET, key=await w.token())
            assert (answer.status, answer.body["code"]) == (422, "limit_reached")
            await w.address("user_2")

    run(main())


def test_platform_10_12_a_sandbox_may_refuse_emergency_addresses(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"sandbox": True}) as w:
            for method, path in (("POST", ""), ("GET", ""), ("GET", "/emerg_1"), ("DELETE", "/emerg_1")):
                body = MAIN_STREET if method == "POST" else None
                answer = await w.rest(method, ADDRESSES + path, body, key=await w.token())
                assert (answer.status, answer.body["code"]) == (400, "sandbox_feature_unsupported")

    run(main())


@pytest.mark.parametrize(("canada", "status"), [(True, 201), (False, 422)])
def test_platform_10_14_canadian_addresses_are_taken_or_not(tmp_path: Path, *, canada: bool, status: int) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"canada": canada}) as w:
            toronto = {"address_number": "40", "street": "Bay Street", "city": "Toronto", "state": "ON"}
            body = toronto | {"postal_code": "m5h2n2", "country": "CA"}
            answer = await w.rest("POST", ADDRESSES, body, key=await w.token())
            assert answer.status == status

    run(main())


def test_the_street_table_covers_several_states_and_accepts_its_own_streets() -> None:
    platform = Platform(FakeClock())
    assert len({street.state for street in STREETS}) >= 10
    for street in STREETS:
        body = {"address_number": str(street.low), "street": street.name, "city": street.city, "state": street.state}
        saved = platform.create_address("user_1", body | {"postal_code": street.postal_code, "country": street.country})
        assert saved.address["latitude"] == street.latitude


def test_a_unit_where_there_are_none_is_422() -> None:
    body = {"address_number": "7", "street": "Elm Ct", "unit": "2", "city": "Oakland", "state": "CA"}
    with pytest.raises(Refusal) as caught:
        Platform(FakeClock()).create_address("user_1", body | {"postal_code": "94611-1234"})
    assert caught.value.details == {"unit": "7 Elm Ct has no suites or floors."}
