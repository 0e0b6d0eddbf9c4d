"""What a dataset's spec says of arrays, and what it only says is to be done about them."""

import pytest

from resnest_bench.specs import Cifar10Dataset, DigitsDataset, ImageFolderDataset

# As version 0.1.0 computed them: the folders of arrays that it prepared are named by them.
DIGESTS = [
    (DigitsDataset, {"source": "digits"}, "6ecafdd2e639"),
    (Cifar10Dataset, {"source": "cifar10"}, "0e0fc364587a"),
    (ImageFolderDataset, {"source": "imagefolder", "path": "p", "image_size": 32}, "bb0ffd5ce338"),
]


@pytest.mark.parametrize(("spec", "given", "digest"), DIGESTS, ids=lambda value: str(value)[:20])
def test_arrays_that_were_prepared_before_are_still_found(spec, given, digest):
    assert spec(**given).digest[:12] == digest


@pytest.mark.parametrize("leakage", ["error", "warn", "allow"])
@pytest.mark.parametrize(("spec", "given", "digest"), DIGESTS, ids=lambda value: str(value)[:20])
def test_what_is_done_about_copies_changes_no_array(spec, given, digest, leakage):
    asked = spec(**given, leakage=leakage)
    assert asked.digest[:12] == digest
    assert "leakage" not in asked.as_dict()
    assert asked.model_dump()["leakage"] == leakage
