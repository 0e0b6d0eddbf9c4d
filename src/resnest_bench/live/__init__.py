"""The progress of a study, while it runs or from its files (floor 1). Imports neither torch nor pandas.

`snapshot` defines what is known at one moment, and `view` formats it as lines. There are two sources:
`follow` builds a snapshot from Snakemake's log events, which `screen` displays, and `from_files` from a
study's files.
"""
