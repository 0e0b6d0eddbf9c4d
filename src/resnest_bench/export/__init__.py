"""A study as one HTML file, or as Markdown (floor 5): read without Python, and without a network."""

from resnest_bench.export.document import render_markdown, write_document
from resnest_bench.export.page import page_html, write_page

__all__ = ["page_html", "render_markdown", "write_document", "write_page"]
