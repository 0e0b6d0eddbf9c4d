"""What leaves the machine names no folder of it."""

import json

import pytest

from resnest_bench.provenance.relative import cut_file, cut_json, cut_paths


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("no such file: /home/ann/photos/cat.png", "no such file: cat.png"),
        ("file ~/weights/a.safetensors", "file a.safetensors"),
        ("~ann/a.csv", "a.csv"),
        ("file:///home/ann/a.csv", "a.csv"),
        ("x,/home/ann/results/records/a.json,y", "x,a.json,y"),
    ],
)
def test_an_absolute_path_is_cut_to_its_last_part(text, cut):
    assert cut_paths(text) == cut


@pytest.mark.parametrize(
    "text",
    [
        "images/s, ms/image",
        "records/train/low/quick/A/seed-0.json",
        "https://example.org/data/a.zip",
        "yes / no",
        "../data/a.csv",
        "12 h/day",
    ],
)
def test_other_slashes_stay(text):
    assert cut_paths(text) == text
    assert cut_json(text) == text


def test_a_whole_path_may_have_spaces():
    assert cut_json({"path": "/home/ann/My Photos"}) == {"path": "My Photos"}


def test_bits_are_no_path():
    bits = {"test_correct": "/AAA/BBB="}
    assert cut_json(bits) == bits


def test_a_file_without_paths_keeps_its_bytes():
    content = b'{"a":   "b/c"}'
    assert cut_file("a.json", content) == content
    changed = cut_file("a.json", b'{"a": ["/home/ann/b"]}')
    assert json.loads(changed) == {"a": ["b"]}
