"""One family of errors: what was wrong, where, and what to do.

Every error a user can cause derives from `ChemoscapeError`; the command line prints its one
sentence and exits with status 2. Anything else that escapes is a defect of the program. All of them
survive pickling, because worker processes send them home.
"""

from __future__ import annotations


class ChemoscapeError(Exception):
    """Something the user can mend.

    Parameters
    ----------
    what : str
        What is wrong, without a final full stop.
    where : str
        File, energy, pixel or recipe key; empty when the sentence already says it.
    remedy : str
        What to do about it, as a full clause.

    Examples
    --------
    >>> print(ChemoscapeError("3 rows where the header says 125", "a_000.xim", "copy it again"))
    a_000.xim: 3 rows where the header says 125; copy it again.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.remedy}." if self.remedy else f"{head}."


class FileFormatError(ChemoscapeError):
    """A file is missing, truncated, or not what it claims to be."""


class StackError(ChemoscapeError):
    """An array is not the stack that a step needs (dims, units, values)."""


class RegionError(ChemoscapeError):
    """A region lies outside the image or holds no pixel."""


class LibraryError(ChemoscapeError):
    """A library of standards is incomplete, or does not fit the stack."""


class FitError(ChemoscapeError):
    """A fit cannot be done with these data and standards."""


class MeshError(ChemoscapeError):
    """An outline cannot be meshed, or the mesh is not fit for a solve."""


class MaterialError(ChemoscapeError):
    """A material record is impossible (a negative modulus, Poisson's ratio outside its bounds)."""


class RecipeError(ChemoscapeError):
    """A recipe has an unknown key, a wrong value, or asks for what cannot be had."""


class ResultsError(ChemoscapeError):
    """Results cannot be written or read."""


def require_choice(name: str, value: object, *allowed: object) -> None:
    """Raise `FitError` unless an option has one of its values."""
    if value not in allowed:
        raise FitError(
            f"{name} is {value!r}", remedy=f"give one of {', '.join(map(repr, allowed))}"
        )


class ChemoscapeWarning(UserWarning):
    """An answer was computed that should not be trusted without a look; `run` lists these in the
    summary.
    """
