"""The stable ids and priorities of important journal messages; `systemd/dialstack-agent.catalog` explains each id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EMERGENCY: Final = 0
ALERT: Final = 1
ERROR: Final = 3
WARNING: Final = 4
NOTICE: Final = 5
INFO: Final = 6

MESSAGES: Final[Mapping[str, tuple[str, int]]] = {
    "start": ("d98bb715b6d644dba035a64023eaf5b5", INFO),
    "stopped": ("ddfa82618f8d4b48aaea1c808b633a74", INFO),
    "status:offline": ("8424869bfa63458681b8feedd552c184", WARNING),
    "status:connecting": ("2ab860e011e34a12a8843e00ebcb44df", INFO),
    "status:unbound": ("32c5d6ccb03248bf8a7e1b926f5cd81b", WARNING),
    "status:provisional": ("9bea25eaa6b348a99828fdc614048abc", WARNING),
    "status:bound": ("6f49e10d9d7841988c65613784a5e5a5", NOTICE),
    "status:fault": ("05f78f6c006a4d2fa6f9b4901873ef96", ERROR),
    "exposure": ("7e7e447967e94ca3ad433d43b5d5f6b5", NOTICE),
    "denied": ("0dd3dfcfe2c0451e83d0362a7cb9b1f9", WARNING),
    "address_gone": ("c89e55e0d300497ab50935755835ddfa", WARNING),
    "address_refused": ("e5056cb150964780b09408eaba03b7b6", WARNING),
    "confirmed": ("35101cd048954a12b12b67de0c3d77d5", NOTICE),
    "wan_changed": ("ce7b9257126046dbbe302ac38337d9d8", NOTICE),
    "disagreement": ("bfbd0c93e1b442c0ac695baf8f165511", WARNING),
    "gap": ("b3d3d66c6a534196b29c78dbfd7490da", NOTICE),
    "config": ("e897b3fca4ff480a990528434229ad17", ERROR),
    "config:side": ("f05d2eb15b394f57805458e03d012fbe", ERROR),
    "store": ("3476a74824a14f16afdc207fc8ad5986", ERROR),
    "page_missing": ("10d8e1503ca6486fbd1888841ccc3470", ERROR),
    "worker": ("169a4b3ec111480bbacfdef4b4ebbc45", ERROR),
    "other_device": ("428e01dca75244d7a02ae35bc5d1f3fe", WARNING),
    "clock_unset": ("3789570860984db487c599ddaf38e781", WARNING),
    "stuck": ("32a46d03c20e4ae6af2da73b6bdb2d0e", ERROR),
    "call:emergency": ("e41d9460ee2e44aa9c56d9f84d7df5bc", WARNING),
    "call:emergency_ended": ("38e27489a5d64f8bb20f2a0811f5d47c", WARNING),
    "hung": ("d01e2e285ad243a2a19a6595a832b69c", ERROR),
    "agent_dead": ("c00dfac5e80e4454a668873e57154f1b", WARNING),
    "problem": ("2ed55c9e67a84356965523879bc537c0", WARNING),
    "configuration": ("e8bdaf03a70348ce95c0757dc6f9d4f7", ERROR),
    "emergency_notice": ("c60e9ed67cab45d692e5029921126d91", ALERT),
    "emergency_notice:test": ("11fe4ccc6da74089b9480f872a062e1b", NOTICE),
    "emergency_notice:escalated": ("75d9a97c15ac40b097d6ae9c90a563ff", EMERGENCY),
    "emergency_notice_failed": ("8bd3bb7881554990965c3b49f004b5ac", WARNING),
    "emergency_notice_given_up": ("190b6c8840cf4d23874d768be5476ac2", ERROR),
    "emergency_life": ("271a8c98651745cc98f4b8bc15eee747", WARNING),
    "carry_over_failed": ("05aa0d29937245be9e38ecb4aa57e0e0", ERROR),
    "state_not_saved": ("fce18111f7734ffbbce0baa348df33db", WARNING),
    "socket": ("af8a82802cbe42ccbbd4fe67ee0a04f5", ERROR),
    "emergency_notice:dialed": ("072f050f42a8429fa007868f32cb6b9a", WARNING),
    "settings_changed": ("b29b25fba7754b1889e47deb2d0f666c", NOTICE),
    "handover_failed": ("d44d72e739fd4ee0a2ecf926419bd9bf", ERROR),
    "handover_lost": ("0ab17427604849f2b244eb71f2d36099", ERROR),
    "undressed": ("d0e44ca82ec84445a8a19f58eb98f520", ERROR),
    "bug": ("c4a249f1f847411b80e259572d0a4495", ERROR),
}
"""Event, or event:kind, -> (MESSAGE_ID, syslog priority). An id never changes its meaning and is never used again."""


def find(event: str, fields: Mapping[str, object]) -> tuple[str, int] | None:
    """Return id and priority of an event, None for one that needs no explanation."""
    if event == "call" and fields.get("emergency"):
        return MESSAGES.get(
            {"calling": "call:emergency", "ended": "call:emergency_ended"}.get(str(fields["state"]), "")
        )
    if event == "problem" and fields.get("sentence") == "over":
        return None
    return MESSAGES.get(f"{event}:{fields.get('kind', '')}") or MESSAGES.get(event)
