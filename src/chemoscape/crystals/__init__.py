"""Crystals: powder patterns and structures as evidence of what a standard is.

Patterns are read, simulated and fitted as wholes for their cell; structures give distances and the
shape of layers; a library's structures are put side by side against composition.
"""
