"""The lab's map: two sites with the same private subnet, a backup router, and the platform in the middle.

    device eth0 ──cable── office lan 192.168.1.1 ─NAT─ wan 203.0.113.10 ──┐
                      └── home   lan 192.168.1.1 ─NAT─ wan 198.51.100.20 ─┼─ platform 192.0.2.10
    laptop eth0 ─────────┘ (of the office, for those who ask for it)
    device eth1 ───────── backup lan 192.168.2.1 ─NAT─ wan 203.0.113.200 ─┘

The platform knows only these networks and has no default route: nothing leaves the lab.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.lab.namespaces import create, ip, nft, set_sysctls

PLATFORM = "192.0.2.10"
PLATFORM6 = "2001:db8:c0::10"
DEVICE_MAC = "02:00:00:00:00:50"
DEVICE_BACKUP_MAC = "02:00:00:00:00:51"
LAPTOP = "192.168.1.60"
"""Another computer on the office LAN."""
PREFIX6 = "fd00:5:1::"
"""The unique local prefix on both sites' LANs: as ambiguous as 192.168.1.0/24."""


@dataclass(frozen=True, slots=True)
class Router:
    """A site's router with its NAT."""

    lan: str
    """Its address on the LAN; the network is the /24 around it."""
    mac: str
    """Its hardware address on the LAN: what tells the sites apart."""
    wan: str
    isp: str
    """The provider's end of the WAN, in the platform namespace."""
    wan6: str
    isp6: str


ROUTERS = {
    "office": Router(
        "192.168.1.1", "02:0f:f1:ce:00:01", "203.0.113.10", "203.0.113.1", "2001:db8:cb::10", "2001:db8:cb::1"
    ),
    "home": Router(
        "192.168.1.1", "02:00:40:3e:00:01", "198.51.100.20", "198.51.100.1", "2001:db8:c6::20", "2001:db8:c6::1"
    ),
    "backup": Router(
        "192.168.2.1", "02:ba:c0:0b:00:01", "203.0.113.200", "203.0.113.1", "2001:db8:cb::200", "2001:db8:cb::1"
    ),
}
SITES = ("office", "home")

NAT = """
table inet lab {
  chain nat { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" oifname "wan" accept
    iifname "lan" oifname "lan" accept # bridged, where the host filters that too (br_netfilter)
  }
}
"""


def build(names: dict[str, str], *, ipv6: bool) -> None:
    """Create every namespace and wire them; the cables end in the device as `eth0` and `eth1`, not plugged in."""
    for name in names.values():
        create(name)
    sysctls = {"ipv4/ip_forward": "1"}
    if not ipv6:
        sysctls |= {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
    else:
        sysctls |= {"ipv6/conf/all/forwarding": "1", "ipv6/conf/default/accept_dad": "0"}
    for role, name in names.items():
        set_sysctls(name, sysctls if role != "device" else {k: v for k, v in sysctls.items() if "forward" not in k})
    _build_platform(names, ipv6=ipv6)
    for role, router in ROUTERS.items():
        if role in names:
            _build_router(names[role], router, ipv6=ipv6)
    _build_device(names)
    if "laptop" in names:
        _build_laptop(names, ipv6=ipv6)


def _build_laptop(names: dict[str, str], *, ipv6: bool) -> None:
    router = ROUTERS["office"]
    ip(
        names["laptop"],
        f"link add eth0 type veth peer name port-laptop netns {names['office']}",
        "link set eth0 up",
        f"address add {LAPTOP}/24 dev eth0",
        f"route add default via {router.lan}",
        *([f"address add {PREFIX6}60/64 dev eth0 nodad"] if ipv6 else []),
    )
    ip(names["office"], "link set port-laptop master lan up")


def _build_platform(names: dict[str, str], *, ipv6: bool) -> None:
    """One bridge per provider; office and backup share theirs, as two lines of one provider would."""
    commands = ["link add isp-a type bridge", "link add isp-b type bridge"]
    for role, isp in (("office", "isp-a"), ("home", "isp-b"), ("backup", "isp-a")):
        if role in names:
            commands.append(f"link add to-{role} type veth peer name wan netns {names[role]}")
            commands.append(f"link set to-{role} master {isp} up")
    for site, isp in (("office", "isp-a"), ("home", "isp-b")):
        commands.append(f"address add {ROUTERS[site].isp}/24 dev {isp}")
        if ipv6:
            commands.append(f"address add {ROUTERS[site].isp6}/64 dev {isp} nodad")
        commands.append(f"link set {isp} up")
    # A /24 on the loopback makes every address of it local: as many platform hosts as a test wants.
    commands.append(f"address add {PLATFORM}/24 dev lo")
    if ipv6:
        commands.append(f"address add {PLATFORM6}/64 dev lo")
    ip(names["platform"], *commands)


def _build_router(name: str, router: Router, *, ipv6: bool) -> None:
    commands = [
        f"link add lan address {router.mac} type bridge",
        f"address add {router.lan}/24 dev lan",
        "link set lan up",
        f"address add {router.wan}/24 dev wan",
        "link set wan up",
        f"route add default via {router.isp}",
    ]
    if ipv6:
        commands += [
            f"address add {PREFIX6}1/64 dev lan nodad",
            f"address add {router.wan6}/64 dev wan nodad",
            f"route add default via {router.isp6}",
        ]
    ip(name, *commands)
    nft(name, NAT)


def _build_device(names: dict[str, str]) -> None:
    """Wire the cables; the indexes differ on purpose.

    The kernel reports a loss of carrier at once only where iflink and ifindex differ, else up to a second late.
    """
    ip(
        names["device"],
        f"link add eth0 index 10 address {DEVICE_MAC} type veth peer name port0 index 110 netns {names['office']}",
        "link set eth0 up",
    )
    if "backup" in names:
        ip(
            names["device"],
            f"link add eth1 index 11 address {DEVICE_BACKUP_MAC} type veth "
            f"peer name port1 index 111 netns {names['backup']}",
            "link set eth1 up",
        )
        ip(names["backup"], "link set port1 master lan")
