"""An exported page, taken apart by a parser that knows nothing of how it was made."""

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "hr", "img", "input", "link", "base", "embed", "source"}
# What a hostile record may say. Each would run or load something, were it not escaped.
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=https://example.invalid/a.png onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "<!-- & --> {{ 7 * 7 }} ]]> \u2028",
]


class Page(HTMLParser):
    """Elements with attributes and text, in their order; `open` at the end is what wasn't closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open[-1]][0] == tag, f"</{tag}> closes another element"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.texts[index] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def list_texts(self, tag: str) -> list[str]:
        return [
            text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag
        ]

    @property
    def sections(self) -> list[str]:
        return [attrs["id"] for attrs in self.all("section")]

    @property
    def specs(self) -> list[dict[str, Any]]:
        """The Vega-Lite specs of all charts."""
        return [
            json.loads(text)
            for (name, attrs), text in zip(self.elements, self.texts, strict=True)
            if name == "script" and attrs.get("type") == "application/json"
        ]

    @property
    def scripts(self) -> list[str]:
        """Texts of the scripts that a browser runs."""
        return [
            text
            for (name, attrs), text in zip(self.elements, self.texts, strict=True)
            if name == "script" and attrs.get("type") != "application/json"
        ]
