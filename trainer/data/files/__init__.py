"""The one reader of files: tables of ratings and books, as people and other programs write them.

``text`` opens a file, ``table`` finds its columns, ``lines`` numbers its rows, ``mending`` repairs cells, ``spelling``
compares ISBNs, ``reading`` puts them together, and ``report`` says what was mended and what was dropped.
"""
