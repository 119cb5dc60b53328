"""Standards: spectra of known substances, kept as folders of text files.

`library` holds `Library` and `open_library`, `files` reads and writes XDI, `model` makes the
synthetic library that is shipped in ``data/``.
"""
