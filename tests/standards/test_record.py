"""Records: every field has a line in the header, and comes back from it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemoscape.standards.headers import OWN_TAGS, header_of, leading_number, record_from
from chemoscape.standards.record import PARTS, Record
from chemoscape.standards.standard import Standard

ALL = [one for part in PARTS for one in fields(getattr(Record(), part))]


def standard(record: Record, **more: object) -> Standard:
    return Standard("a", "A", 0.1, [1.0, 2.0], [0.0, 1.0], record=record, **more)  # type: ignore[arg-type]


def lowered(header: dict[str, str]) -> dict[str, str]:
    return {key.lower(): text for key, text in header.items()}


def test_tags_and_names_are_unique() -> None:
    tags = [one.metadata["tag"].lower() for one in ALL] + [tag.lower() for tag in OWN_TAGS]
    assert len(set(tags)) == len(tags)
    assert len({one.name for one in ALL}) == len(ALL)  # `with_` finds a field by its name alone


def test_every_field_comes_back() -> None:
    filled = Record().with_(
        **{
            one.name: f"some {one.name}" if isinstance(one.default, str) else 1.0 + k / 7
            for k, one in enumerate(ALL)
            if one.name != "status"
        },
        status="reviewed",
    )
    again, rest = record_from(lowered(header_of(standard(filled), "x")))
    assert again == filled
    assert rest == {}


@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
)
def test_numbers_to_the_last_digit_and_texts_of_any_language(number: float, text: str) -> None:
    record = Record().with_(uncertainty_eV=number, orientation=text)
    again, _ = record_from(lowered(header_of(standard(record), "x")))
    assert again.calibration.uncertainty_eV == number
    assert again.sample.orientation == text


def test_what_is_unknown_is_not_written() -> None:
    header = header_of(replace(standard(Record()), value=np.nan), "x")
    assert set(header) == {
        *("Standard.id", "Standard.label", "Standard.kind", "Standard.scale", "Standard.variable"),
        *("Standard.version", "Standard.status"),
    }


def test_lines_of_others_are_kept() -> None:
    record, rest = record_from(
        {"mono.name": "Si 111", "element.symbol": "V", "element.edge": "K", "column.1": "energy eV"}
    )
    assert record.measurement.edges == "V K"
    assert rest == {"mono.name": "Si 111"}
    header = header_of(standard(record, metadata=rest), "x")
    assert header["Mono.name"] == "Si 111"
    assert (header["Element.symbol"], header["Element.edge"]) == ("V", "K")


def test_line_breaks_become_blanks() -> None:
    header = header_of(standard(Record().with_(handling="in argon\n# Standard.kind: fake")), "x")
    assert header["Sample.handling"] == "in argon # Standard.kind: fake"


def test_no_such_field() -> None:
    with pytest.raises(TypeError, match="a record has no field 'colour'"):
        Record().with_(colour="blue")


@pytest.mark.parametrize(
    ("text", "number"), [("3.4 g/cm3", 3.4), ("", np.nan), ("about 3", np.nan)]
)
def test_leading_number(text: str, number: float) -> None:
    np.testing.assert_equal(leading_number(text), number)
