"""Statistics on numpy arrays, as a small library: it imports nothing else of this project.

A suffix names the axes of an array, the last axis last: `_S` seeds, `_N` images, `_V` variants,
`_K` draws, `_L` interim analyses. Axes before those are separate studies and are kept. The examples
in the docstrings are run by tests/unit/stats/test_examples.py.
"""
