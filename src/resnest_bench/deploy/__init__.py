"""Trained networks as files of other runtimes: one file of code per format.

Each has `export(network, example, path)`, which writes files, and `load(path, threads)`, which returns a function
from images (B, C, H, W) float32 to logits (B, classes). `formats` lists them by name.
"""
