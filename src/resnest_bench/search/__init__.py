"""The search for settings: which trials a round asks for, and what all of them say.

Only `sampler` imports Optuna: who reads results needs none.
"""
