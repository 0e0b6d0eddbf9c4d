"""A study as one HTML file (floor 5): opened without Python, and without a network."""

from resnest_bench.export.page import page_html, write_page

__all__ = ["page_html", "write_page"]
