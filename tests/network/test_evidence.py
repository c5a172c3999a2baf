"""Which hardware address of a gateway may be believed after a loss, to the hundredth of a second."""

from __future__ import annotations

from agent.network.evidence import GatewayEvidence, Seen
from agent.network.hints import gateway_key
from agent.network.links import IFF_UP
from agent.network.snapshot import Neighbor, Snapshot
from tests.network.builders import HOME_MAC, OFFICE_MAC, ethernet, office

GATEWAY = "192.168.1.1"
AWAY = ethernet(flags=IFF_UP, downs=1)
BACK = ethernet(downs=1)


def mac(evidence: GatewayEvidence) -> str | None:
    return evidence.mac("eth0", GATEWAY)


def after(*snapshots: tuple[Snapshot, float]) -> GatewayEvidence:
    evidence = GatewayEvidence()
    for snapshot, now in snapshots:
        evidence.update(snapshot, now)
    return evidence


def proof(losses: int) -> Seen:
    return Seen(asked_at=100.004, absent=frozenset({(*gateway_key(10, GATEWAY), losses)}))


def test_an_address_resolved_within_a_tick_of_the_last_look_at_the_dead_link_is_believed() -> None:
    """Carrier, lease and first traffic within milliseconds; the kernel would not confirm it again for 30 s."""
    evidence = after((office(link=AWAY, mac=None), 100.0), (office(link=BACK, mac=HOME_MAC), 100.004))
    assert mac(evidence) == HOME_MAC


def test_failure_03_an_entry_that_was_still_there_while_the_link_was_away_is_not_believed() -> None:
    evidence = after((office(), 99.0), (office(link=AWAY), 100.0))
    for now, ago in ((100.004, 0.0), (100.1, 0.1), (101.0, 1.5), (130.0, 31.0)):
        evidence.update(office(link=BACK, confirmed_ago=ago), now)
        assert mac(evidence) is None
    evidence.update(office(link=BACK, confirmed_ago=0.0), 131.0)
    assert mac(evidence) == OFFICE_MAC


def test_failure_09_a_confirmation_while_nobody_looked_at_the_dead_link_proves_nothing() -> None:
    """A transmission in the dark may carry over what the old gateway acknowledged."""
    evidence = after((office(), 99.0), (office(link=AWAY), 100.0), (office(link=BACK, confirmed_ago=1.0), 103.0))
    assert mac(evidence) is None


def test_failure_01_a_bounce_that_nobody_saw_may_have_been_after_the_confirmation() -> None:
    """Confirmed 1 s ago, read last 40 s ago: the cable may have been moved in the second between."""
    evidence = after((office(), 60.0), (office(link=BACK, confirmed_ago=1.0), 100.0))
    assert mac(evidence) is None


def test_a_slow_reading_does_not_make_an_entry_younger() -> None:
    evidence = after((office(), 99.0), (office(link=AWAY), 100.0), (office(link=BACK), 100.1))
    evidence.update(office(link=BACK, confirmed_ago=0.2), 101.0, Seen(asked_at=100.2))
    assert mac(evidence) is None, "the age counts from the moment of the kernel's answer, not from its arrival"


def test_the_order_of_messages_proves_a_bounce_between_two_snapshots() -> None:
    evidence = after((office(), 100.0))
    assert evidence.update(office(link=BACK, mac=HOME_MAC), 100.006, proof(1)) == {"eth0"}
    assert mac(evidence) == HOME_MAC


def test_messages_about_an_earlier_or_later_loss_prove_nothing() -> None:
    for losses in (0, 2):
        evidence = after((office(), 100.0))
        evidence.update(office(link=BACK), 100.006, proof(losses))
        assert mac(evidence) is None


def test_a_second_loss_takes_away_what_the_first_one_proved() -> None:
    evidence = after((office(link=AWAY, mac=None), 100.0), (office(link=ethernet(downs=2)), 100.004))
    assert mac(evidence) is None


def test_failure_10_nothing_seen_before_a_suspend_counts_after_it() -> None:
    evidence = after((office(link=AWAY, mac=None), 100.0))
    evidence.distrust_all(100.5)
    evidence.update(office(link=BACK, confirmed_ago=0.6), 101.0)
    assert mac(evidence) is None


def test_other_neighbors_of_the_dead_link_do_not_matter() -> None:
    others = (Neighbor(10, "192.168.1.7", OFFICE_MAC), Neighbor(11, GATEWAY, OFFICE_MAC))
    away = office(link=AWAY, mac=None, more_neighbors=others)
    evidence = after((away, 100.0), (office(link=BACK, mac=HOME_MAC), 100.004))
    assert mac(evidence) == HOME_MAC
