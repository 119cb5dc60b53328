"""How far a run goes: the changes of the recipe that end it earlier."""

from __future__ import annotations

from typing import Any, Literal, get_args

Until = Literal["explore", "maps", "stress", "all"]
UNTILS: tuple[Until, ...] = get_args(Until)

_WITHOUT_REPORT: dict[str, Any] = {"report.enabled": False}
_WITHOUT_STRESS: dict[str, Any] = {
    "stress.enabled": False,
    "particles.enabled": False,
    **_WITHOUT_REPORT,
}
#: For each: keys of the recipe and their values. What speaks of standards is taken away with them,
#: since a recipe that asks for it without is refused.
UNTIL: dict[Until, dict[str, Any]] = {
    "explore": {
        "standards.enabled": False,
        "standards.groups": {},
        "deconvolution.enabled": False,
        "deconvolution.regions": {},
        "calibration.anchors": [],
        "composition.enabled": False,
        "damage.enabled": False,
        "electrochemistry.enabled": False,
        **_WITHOUT_STRESS,
    },
    "maps": _WITHOUT_STRESS,
    "stress": _WITHOUT_REPORT,
    "all": {},
}
