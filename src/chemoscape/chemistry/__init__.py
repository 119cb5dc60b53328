"""From weights to composition, with its uncertainty (Equations 5 and 6 of the paper)."""

from chemoscape.chemistry.mixture import composition

__all__ = ["composition"]
