"""How far a running study is: read from files, made into lines, shown (floor 1). No torch, no pandas.

`snapshot` is what is shown at one moment and `view` makes lines of it: a command that reads files alone
can use both. `follow` keeps a snapshot by the log events of Snakemake, `screen` shows it.
"""
