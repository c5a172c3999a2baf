"""Everything that happens on a real device and concerns nobody: containers, lifetime refreshes, VPNs, floods."""

from __future__ import annotations

import itertools
import os

from agent.lab.lab import HOST, Lab
from agent.lab.namespaces import ip

TEMPORARY6 = "fd00:5:1::beef:"
"""Stands for IPv6 privacy addresses that no connection uses."""


def containers(lab: Lab, rounds: int = 5) -> None:
    """A container engine at work: its bridge and veth pairs come and go (failure 7)."""
    ip(
        lab.namespace("device"),
        "link add docker0 type bridge",
        "address add 172.17.0.1/16 dev docker0",
        "link set docker0 up",
        *itertools.chain.from_iterable(
            (
                f"link add veth{number} type veth peer name vethp{number}",
                f"link set veth{number} master docker0 up",
                f"link set vethp{number} up",
                f"link delete veth{number}",
            )
            for number in range(rounds)
        ),
        "link delete docker0",
    )


def refreshes(lab: Lab, rounds: int = 5) -> None:
    """The DHCP lease of the very same address is renewed again and again (failure 4)."""
    network = lab.lan_network()
    ip(
        lab.namespace("device"),
        *(
            f"address change {network[HOST]}/24 dev eth0 valid_lft {3600 + number} preferred_lft {1800 + number}"
            for number in range(rounds)
        ),
        f"address change {network[HOST]}/24 dev eth0 valid_lft forever preferred_lft forever",
    )


def privacy_addresses(lab: Lab, rounds: int = 5) -> None:
    """IPv6 addresses that no path uses come, are deprecated and go (failure 5); needs a lab with ipv6."""
    # A /128 is never preferred over the real address: source selection takes the longest matching prefix.
    ip(
        lab.namespace("device"),
        *itertools.chain.from_iterable(
            (
                f"address add {TEMPORARY6}{number:x}/128 dev eth0 nodad valid_lft 600 preferred_lft 0",
                f"address change {TEMPORARY6}{number:x}/128 dev eth0 valid_lft 500 preferred_lft 0",
                f"address delete {TEMPORARY6}{number:x}/128 dev eth0",
            )
            for number in range(1, rounds + 1)
        ),
    )


def vpn(lab: Lab, rounds: int = 3) -> None:
    """A VPN whose routes do not lead to the platform comes and goes (failure 7)."""
    # Without the right to open /dev/net/tun (an unprivileged lab) a veth pair carries the name.
    real = os.access("/dev/net/tun", os.W_OK)
    add = "tuntap add dev tun0 mode tun" if real else "link add tun0 type veth peer name tunpeer0"
    ip(
        lab.namespace("device"),
        *itertools.chain.from_iterable(
            (
                add,
                "address add 10.8.0.2/24 dev tun0",
                "link set tun0 up",
                *(() if real else ("link set tunpeer0 up",)),
                "route add 10.99.0.0/16 dev tun0",
                "route delete 10.99.0.0/16 dev tun0",
                "link delete tun0",
            )
            for _ in range(rounds)
        ),
    )


def everything(lab: Lab, rounds: int = 5) -> None:
    """All of it, one after the other."""
    containers(lab, rounds)
    refreshes(lab, rounds)
    if lab.ipv6:
        privacy_addresses(lab, rounds)
    vpn(lab, rounds)


def flood(lab: Lab, events: int = 20_000) -> None:
    """Produce address and route messages as fast as one `ip` can: some ten thousand a second (failure 1)."""
    prefix = "198.18."
    ip(
        lab.namespace("device"),
        *itertools.chain.from_iterable(
            (
                f"address add {prefix}{n >> 8 & 255}.{n & 255}/32 dev lo",
                f"address delete {prefix}{n >> 8 & 255}.{n & 255}/32 dev lo",
            )
            for n in range(events // 4)  # each is an address and a route in the local table
        ),
    )
