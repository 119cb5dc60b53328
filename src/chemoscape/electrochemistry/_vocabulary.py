"""What cyclers call their columns, and in which units they write them.

The spellings are those of exports by Land, Neware, Arbin, Maccor, BioLogic, Basytec, Novonix and
Gamry, in English and Chinese (some German and French), and of tables that people make of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

#: unit -> (what it measures, factor to s, V, mA, mAh or mAh/g)
UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), ("time", 1.0)),
    **dict.fromkeys(("ms", "msec"), ("time", 1e-3)),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "分"), ("time", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时"), ("time", 3600.0)),
    **dict.fromkeys(("d", "day", "days"), ("time", 86400.0)),
    **dict.fromkeys(("v", "volt", "volts"), ("voltage", 1.0)),
    "mv": ("voltage", 1e-3),
    **dict.fromkeys(("a", "amp", "amps"), ("current", 1e3)),
    "ma": ("current", 1.0),
    "μa": ("current", 1e-3),
    "ua": ("current", 1e-3),
    "na": ("current", 1e-6),
    **dict.fromkeys(("ah", "amphr", "amphrs"), ("capacity", 1e3)),
    "mah": ("capacity", 1.0),
    **dict.fromkeys(("μah", "uah"), ("capacity", 1e-3)),
    **dict.fromkeys(("c", "as", "coulomb"), ("capacity", 1 / 3.6)),
    **dict.fromkeys(("mas", "mc"), ("capacity", 1 / 3600)),
    **dict.fromkeys(("mah/g", "mahg-1", "mahg^-1", "ah/kg", "mah/gram"), ("specific", 1.0)),
    "ah/g": ("specific", 1e3),
    **dict.fromkeys(("c/g", "as/g"), ("specific", 1 / 3.6)),
}

#: Units of current for a mass or an area: another measure, not a current.
_PER_SOMETHING = re.compile(r"[mμu]?a(/|\s?)(g|cm).*")
_CLOCK = re.compile(r"(d:)?h+:m[min]*:s+([.:]m?s+)?")
_BRACKETS = re.compile(r"^(.*?)\s*[(\[{<]([^()\[\]{}<>]*)[)\]}>]\s*$")

#: Roles a column can have, each with the names it goes by, best first (full matches).
NAMES: dict[str, tuple[str, ...]] = {
    "voltage": (
        r"<?ewe>?|voltage|cell voltage|电压",
        r"<?ecell>?|vf|vol|volts?|u|spannung|tension|potential|cell potential|电位",
        r"v|e|ewe-ece|e vs.*|voltage .*|potential .*",
    ),
    "current": (
        r"<i>|i|current|电流",
        r"im|cur|curr|amps?|strom|courant|intensity|cell current|current .*",
    ),
    "time": (
        r"(test|total|elapsed|run|prog(ram)?) time|总时间|测试时间|test",
        r"time|t|zeit|temps|时间|time since .*",
        r"step time|t-step|相对时间|工步时间",
    ),
    "date": (
        r"date time|datetime|real time|absolute time|绝对时间|系统时间|timestamp|sys time|date",
    ),
    "charge": (
        r"(chg|charge|cha|q charge|ch)\.? ?(spec(ific)?\.? ?)?(cap(acity)?\.?)|capacity charge"
        r"|cap chg|q charge|充电(比)?容量|qcharge|q chg|ah-cyc-charge",
    ),
    "discharge": (
        r"(dchg|discharge|dis|dcha|dch)\.? ?(spec(ific)?\.? ?)?(cap(acity)?\.?)"
        r"|capacity discharge|cap dchg|q discharge|放电(比)?容量|qdischarge|q dchg"
        r"|ah-cyc-discharge",
    ),
    "capacity": (
        r"cap(acity)?\.?|容量|比容量|q|specific cap(acity)?|spec?\.? ?cap\.?",
        r"spe ?cap( cal)?|ah-step|amp-?hrs?|ah|capacity .*|charge|",
    ),
    "net": (r"\(q-qo\)|q-qo|net capacity", r"q charge/discharge"),
    "cycle": (
        r"cycle( ?-?(no\.?|nr\.?|number|index|id|count))?|cyc#?|循环(号|序号)?|cycle [cp]",
        r"cyc-count|cycle p|zyklus|loop",
    ),
    "step": (
        r"step( ?-?(no\.?|nr\.?|number|index|id))?|工步(号|序号)?|ns",
        r"line|schritt",
    ),
    "state": (
        r"step ?-?(state|type|name|mode)|工步(类型|状态|名称)|步次类型|状态|command|md",
        r"state|status|step status|mode",
    ),
}

#: What a name alone says of the unit.
_IMPLIED = {
    **{"amps": "a", "amp": "a", "volts": "v", "volt": "v"},
    **{"ah": "ah", "amp-hr": "ah", "ah-step": "ah", "ah-cyc-charge": "ah"},
    "ah-cyc-discharge": "ah",
}


@dataclass(frozen=True)
class Heading:
    """What the heading of a column says: its role, how good a name that is, and its unit or ""."""

    role: str
    rank: int
    unit: str
    text: str


def plain(text: str) -> str:
    """A heading in lower case, its underscores and blanks alike, its micro signs one."""
    text = unicodedata.normalize("NFKC", text).replace("\ufffd", "").strip().strip("~#\"' ")
    return re.sub(r"[\s_]+", " ", text).lower()


def known_unit(text: str) -> str:
    """The unit as `UNITS` spells it, "clock" for hours:minutes:seconds, or "" when unknown."""
    text = re.sub(r"\s*vs\.?.*$", "", plain(text)).strip("[]() ")
    if _CLOCK.fullmatch(text.replace(" ", "")):
        return "clock"
    if _PER_SOMETHING.fullmatch(text):
        return "per"
    short = re.sub(r"[\s.·*⋅−-]", "", text).replace("g1", "/g").replace("⁻¹", "^-1")
    short = re.sub(r"g\^?-?1$", "/g", short) if "/" not in short else short
    return short if short in UNITS else ""


def split_unit(text: str) -> tuple[str, str]:
    """Name and unit of a heading such as ``Voltage(mV)``, ``SpeCap/mAh/g`` or ``Voltage, V``."""
    text = plain(text)
    if unit := known_unit(text) if "/" in text else "":  # Arbin writes mAh/g and no name
        return "", unit
    bracket = _BRACKETS.match(text)
    if bracket and (unit := known_unit(bracket[2])):
        return bracket[1].rstrip(" /"), unit
    for start in [match.start() for match in re.finditer(r"[/,]", text)]:
        if unit := known_unit(text[start + 1 :]):
            return text[:start].strip(), unit
    if " " in text and (unit := known_unit(text.rsplit(" ", 1)[1])) and unit not in ("c", "d"):
        return text.rsplit(" ", 1)[0], unit  # Voltage_V
    return text, ""


@lru_cache(maxsize=4096)
def heading(text: str) -> Heading | None:
    """What a heading says, or None where it is of no use here."""
    name, unit = split_unit(text)
    unit = unit or _IMPLIED.get(name, "")
    if unit == "per" or (not name and not unit):
        return None
    if name == "step" and UNITS.get(unit, ("", 0.0))[0] == "time":
        name = "step time"  # Maccor: Step (Min)
    squeezed = re.sub(r"(?<=[a-z])time\b", " time", name).replace("  ", " ")
    for role, ranks in NAMES.items():
        for rank, pattern in enumerate(ranks):
            if re.fullmatch(pattern, squeezed) and _fits(role, unit):
                return Heading(role, rank, unit, text)
    return None


def _fits(role: str, unit: str) -> bool:
    """Whether a quantity can have this unit; one without a unit may have any."""
    if not unit:
        return True
    if unit == "clock":
        return role in ("time", "date")
    measure = UNITS[unit][0]
    if role in ("charge", "discharge", "capacity", "net"):
        return measure in ("capacity", "specific")
    return measure == role


#: Words for what a step does, +1 charge, -1 discharge, 0 rest.
_STATES = (
    (r".*(静置|搁置|暂停|休止)|r|rest|rst|pau(se?)?|ocv|oc|open circuit.*|relax.*|wait|idle|s", 0),
    (r".*放电.*|.*(dchg|dischg|dischar|dcha|disch|dis\b).*|d|rated|d[_ -].*|ccd|cvd|dch", -1),
    (r".*充电.*|.*(chg|charg|cha\b).*|c|ratec|c[_ -].*|ccc|cvc|cccvc", 1),
)


def state_of(word: str) -> int | None:
    """+1 for charge, -1 for discharge, 0 for rest, None for a word that does not say.

    Examples
    --------
    >>> [state_of(word) for word in ("CC_DChg", "RateC", "D_CC", "恒流充电", "Rest", "CC")]
    [-1, 1, -1, 1, 0, None]
    """
    word = re.sub(r"[_\s]+", " ", plain(word))
    return next((sign for pattern, sign in _STATES if re.fullmatch(pattern, word)), None)


def holds_voltage(word: str) -> bool:
    """Whether a step keeps the voltage: no galvanostatic curve."""
    word = plain(word)
    return ("cv" in word and "cc" not in word) or ("恒压" in word and "恒流" not in word)
