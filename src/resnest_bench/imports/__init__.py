"""Results from elsewhere become records: tables, exports of trackers, predictions (floor 5).

`tables` reads a file into columns of text, `columns` says what they mean, `shapes` makes one row per run of
them, `units` checks values, `predictions` reads results per image, `assemble` joins all files, and `writing`
makes records and a config. Nothing is written before everything is checked.
"""
