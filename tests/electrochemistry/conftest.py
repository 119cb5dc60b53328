"""One known curve, and its export in the manner of several cyclers."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import pytest


@dataclass(frozen=True)
class Known:
    """A discharge, a rest and a charge at 0.5 mA: every 60 s, with closed-form charge."""

    time: np.ndarray  # s
    current: np.ndarray  # mA, + on charge
    voltage: np.ndarray
    capacity: np.ndarray  # mAh, from 0 in each step
    step: np.ndarray  # 1, 2, 3
    charge: np.ndarray  # mAh, net

    @property
    def begins(self) -> np.ndarray:
        """Time at which each record's step begins, s."""
        return np.array([self.time[np.argmax(self.step == s)] for s in self.step])

    @property
    def since(self) -> np.ndarray:
        """Time since each record's step began, s: a minute at the first record of later steps."""
        return self.time - self.begins + np.where(self.step > 1, 60.0, 0.0)


@pytest.fixture(scope="session")
def known() -> Known:
    """Discharge 120 min, rest 10 min, charge 110 min."""
    step = np.concatenate([np.full(121, 1), np.full(10, 2), np.full(110, 3)])
    time = 60.0 * np.arange(step.size)
    current = np.select([step == 1, step == 3], [-0.5, 0.5], 0.0)
    charge = np.concatenate(
        [-0.5 * np.arange(121) / 60, np.full(10, -1.0), -1.0 + 0.5 * np.arange(1, 111) / 60]
    )
    capacity = np.select([step == 1, step == 3], [-charge, charge + 1.0], 0.0)
    voltage = np.select([step == 1, step == 3], [3.4 + 0.5 * charge, 3.5 + 0.5 * charge], 2.95)
    return Known(time, current, np.round(voltage, 4), capacity, step, charge)


@pytest.fixture(scope="session")
def save_xlsx():
    return _save_xlsx


def _save_xlsx(path, sheets):
    """A minimal workbook: name -> rows of texts and numbers."""

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{float(value)!r}</v></c>"

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{k}.xml" ContentType="{kind}.worksheet+xml"/>'
            for k in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{k}" r:id="rId{k}"/>'
            for k, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{k}" Type="{rel}/worksheet" Target="worksheets/sheet{k}.xml"/>'
            for k in numbers
        )
        + "</Relationships>",
    }
    for k, rows in zip(numbers, sheets.values(), strict=True):
        inner = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{k}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{inner}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
