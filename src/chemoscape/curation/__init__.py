"""Is a library of standards fit to use? Checks of each standard, of all together, and of what they
can tell apart.
"""
