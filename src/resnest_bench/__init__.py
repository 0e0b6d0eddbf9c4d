"""resnest-bench: which CNN to choose, and whether the difference is real."""

__version__ = "0.1.0"
