"""A study's data sets as Croissant (JSON-LD of MLCommons): origin, licence, checksums, classes and parts.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0. The images are
described as far as Croissant can read them: those in an archive of folders. Prepared arrays stay here.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlparse

from resnest_bench.provenance.licences import NOT_STATED, ORIGINS, Origin
from resnest_bench.records import Record
from resnest_bench.records.observations import DatasetIdentity
from resnest_bench.specs import DatasetSpec, StudySpec
from resnest_bench.specs.data import (
    Cifar10Dataset,
    HuggingFaceDataset,
    ImageFolderDataset,
    TorchvisionDataset,
    known_side,
)

CROISSANT = "http://mlcommons.org/croissant/1.0"
CIFAR10_MD5 = "md5:c58f30108f718f92721af3b95e74349a"
# The context that the specification prescribes.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe_datasets(study: StudySpec, records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return the Croissant JSON-LD of each data set of the study that a record has used, by name."""
    used: dict[str, DatasetIdentity] = {}
    for record in records:
        if record.dataset is None or record.job.dataset not in study.datasets:
            continue
        known = used.get(record.job.dataset)
        # Older records lack the images per class.
        if known is None or (record.dataset.train_images_per_class and not _has_counts(known)):
            used[record.job.dataset] = record.dataset
    return {name: describe_dataset(study.dataset(name), seen) for name, seen in used.items()}


def _has_counts(seen: DatasetIdentity) -> bool:
    return bool(seen.train_images_per_class)


def describe_dataset(spec: DatasetSpec, seen: DatasetIdentity) -> dict[str, Any]:
    """Return the Croissant JSON-LD of a data set, from its spec and what a record says of it."""
    origin = find_origin(spec)
    made: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT,
        "name": seen.name,
        "alternateName": seen.label,
        "description": _describe(spec, seen),
        "license": spec.license or origin.licence,
        # SHA-256 over images, labels and class names: what every record carries.
        "identifier": f"sha256:{seen.fingerprint}",
        **({"url": origin.url} if origin.url else {}),
        "distribution": _distribution(spec),
        "recordSet": [_classes(seen), _parts(seen), *_images(spec)],
    }
    return made


def find_origin(spec: DatasetSpec) -> Origin:
    """Return the home page and the licence of a data set; empty and 'not stated' for your own."""
    if isinstance(spec, HuggingFaceDataset) and spec.hub:
        return Origin(f"https://huggingface.co/datasets/{spec.hub}")
    key = spec.name if isinstance(spec, TorchvisionDataset) else spec.source
    return ORIGINS.get(key, Origin("", NOT_STATED))


def _describe(spec: DatasetSpec, seen: DatasetIdentity) -> str:
    sentences = [f"{seen.label}: images of {len(seen.classes)} classes."]
    if spec.source == "imported":
        sentences.append("Only results with these images are known here.")
    else:
        side = known_side(spec)
        size = f"{side} x {side} pixels and " if side else ""
        sentences.append(f"Networks see {size}{spec.num_channels} channels.")
    if seen.num_validation:
        sentences.append(f"{seen.num_validation:,} training images are held out.")
    if split := seen.reading.split:
        sentences.append(
            f"The parts were made by a stratified split: {split.test_fraction:g} of each class for "
            f"testing, seed {split.seed}."
        )
    return " ".join(sentences)


def _distribution(spec: DatasetSpec) -> list[dict[str, Any]]:
    """The archive, if it has an address and a checksum; else nothing: local paths say nothing elsewhere."""
    if isinstance(spec, Cifar10Dataset):
        urls, checksum = spec.urls, CIFAR10_MD5
    elif isinstance(spec, ImageFolderDataset) and spec.checksum:
        urls, checksum = spec.urls, spec.checksum
    else:
        return []
    kind, _, digest = checksum.partition(":")
    if not urls or kind not in ("md5", "sha256"):
        return []
    name = unquote(urlparse(urls[0]).path.rsplit("/", 1)[-1]) or "archive"
    archive = {
        "@type": "cr:FileObject",
        "@id": "archive",
        "name": name,
        "contentUrl": urls[0],
        # Readers of Croissant know a compressed tar by this type, too.
        "encodingFormat": "application/zip" if name.endswith(".zip") else "application/x-tar",
        kind: digest,
        **({"sameAs": list(urls[1:])} if urls[1:] else {}),
    }
    return [archive, _image_files()] if isinstance(spec, ImageFolderDataset) else [archive]


def _image_files() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "containedIn": {"@id": "archive"},
        "encodingFormat": "image/*",
        "includes": "**/*.*",
    }


def _images(spec: DatasetSpec) -> list[dict[str, Any]]:
    """The fields of an image: its pixels and its label, which is the folder's name."""
    if not (isinstance(spec, ImageFolderDataset) and _distribution(spec)):
        return []
    files = {"fileSet": _reference("image-files")}
    pixels = {**files, "extract": {"fileProperty": "content"}}
    # Readers match it at the start of the path.
    folder = {"regex": r"^(?:.*/)?([^/]+)/[^/]+$"}
    label = {**files, "extract": {"fileProperty": "fullpath"}, "transform": folder}
    classes = {"field": _reference("classes/name")}
    fields = [
        _field("images", "image", "sc:ImageObject", source=pixels),
        _field("images", "label", "sc:Text", source=label, references=classes),
    ]
    return [_record_set("images", fields)]


def _classes(seen: DatasetIdentity) -> dict[str, Any]:
    """The classes in the order of their numbers, with their images in each part if a record says so."""
    counts = {"train": seen.train_images_per_class, "test": seen.test_images_per_class}
    known = {f"{part}_images": numbers for part, numbers in counts.items() if numbers}
    fields = [
        _field("classes", "name", "sc:Text"),
        _field("classes", "number", "sc:Integer"),
        *(_field("classes", name, "sc:Integer") for name in known),
    ]
    rows = [
        {
            "classes/name": name,
            "classes/number": number,
            **{f"classes/{key}": numbers[number] for key, numbers in known.items()},
        }
        for number, name in enumerate(seen.classes)
    ]
    return _record_set("classes", fields, "sc:Enumeration", "name", rows)


def _parts(seen: DatasetIdentity) -> dict[str, Any]:
    """The parts with their numbers of images. Held-out images are part of those for training."""
    counts = {
        "train": None if seen.num_train is None else seen.num_train + (seen.num_validation or 0),
        "test": seen.num_test,
    }
    rows = [{"parts/name": name, "parts/images": count} for name, count in counts.items() if count]
    fields = [_field("parts", "name", "sc:Text"), _field("parts", "images", "sc:Integer")]
    return _record_set("parts", fields, "cr:Split", "name", rows)


def _record_set(
    name: str,
    fields: list[dict[str, Any]],
    kind: str | None = None,
    key: str | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        **({"dataType": kind} if kind else {}),
        **({"key": _reference(f"{name}/{key}")} if key else {}),
        "field": fields,
        **({"data": rows} if rows else {}),
    }


def _field(record_set: str, name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "dataType": kind,
        **more,
    }


def _reference(name: str) -> dict[str, Any]:
    return {"@id": name}
