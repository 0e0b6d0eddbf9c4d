"""Wrong input ends before any training: one clear line, exit code not 0, nothing half-written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def refused(workflow, *parts):
    done = workflow.run(code=None)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    for part in parts:
        assert part in output, output
    assert not list(workflow.folder.glob("results/tiny/records/**/*.json")), "something was trained"
    return output


# One by the schema, and one that takes a look at the networks. tests/unit/specs has all the others.
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda c: c["recipes"]["quick"].update(lerning_rate=1),
            ["'lerning_rate'", "learning_rate"],
        ),
        (
            lambda c: c["variants"].append({"name": "C", "family": "timm", "model": "resnet81"}),
            ["resnet81", "resnet18"],
        ),
    ],
)
def test_a_mistake_in_the_config(fresh, change, parts):
    change(fresh.config)
    output = refused(fresh, *parts)
    assert "Traceback" not in output


@pytest.mark.parametrize("entry", ["study: tiny", "sedes: [1]", "seeds: 3"])
def test_a_mistake_is_named_by_file_and_line_as_plan_does(fresh, entry):
    """A key given twice as well, of which Snakemake itself takes the last."""
    del fresh.config["seeds"]
    fresh.write()
    file = fresh.folder / "config.yaml"
    file.write_text(f"{file.read_text().rstrip()}\n{entry}\n")
    line = len(file.read_text().splitlines())
    snakefile = ["--snakefile", ROOT / "workflow/Snakefile", "--configfile", "config.yaml"]
    said = []
    for command in (
        ["snakemake", "--cores", "1", *snakefile],
        ["resnest-bench", "run", "--study", "config.yaml"],
        ["resnest-bench", "plan", "--study", "config.yaml"],
    ):
        done = fresh.command(*command, code=None)
        assert done.returncode != 0
        said += [text for text in done.stderr.splitlines() if f"config.yaml, line {line}: " in text]
    assert len({text.removeprefix("resnest-bench: error: ") for text in said}) == 1
    assert len(said) == 3
    assert not (fresh.folder / "results").exists()


@pytest.fixture
def photos(fresh):
    """Two classes of photos with awkward names, as the fine-tuning's dataset."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("hot dog", "not [hot] dog"):
            folder = fresh.folder / "photos" / part / name
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"photo ({index}) [1].jpg")
    fresh.config["datasets"]["high"] = {
        "source": "imagefolder",
        "path": "photos",
        "image_size": 32,
        "resize": 36,
    }
    return fresh


def test_photos_with_awkward_names_work(photos):
    photos.config |= {"finetune": [], "latency": []}
    photos.config["recipes"]["quick"]["batch_size"] = 4
    photos.config["train"] = [{"dataset": "high", "recipe": "quick"}]
    photos.run()


def test_an_empty_class_folder(photos):
    shutil.rmtree(photos.folder / "photos/train/hot dog")
    (photos.folder / "photos/train/hot dog").mkdir()
    refused(photos, "photos/train/hot dog must hold at least one image, but holds none")


def test_a_truncated_image_is_named(photos):
    broken = photos.folder / "photos/test/hot dog/photo (2) [1].jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    refused(photos, "photo (2) [1].jpg")


def test_a_test_class_that_train_lacks(photos):
    shutil.rmtree(photos.folder / "photos/train/hot dog")
    refused(photos, "hot dog", "train")


def test_a_folder_that_is_not_there(photos):
    photos.config["datasets"]["high"]["path"] = "nowhere"
    refused(photos, "nowhere", "does not exist")


def test_weights_whose_shapes_do_not_fit(fresh):
    save_file({"conv1.weight": torch.zeros(2, 2)}, fresh.folder / "w.safetensors")
    fresh.config["finetune"][0]["weights"] = {"B": {"file": "w.safetensors"}}
    refused(fresh, "w.safetensors", "conv1.weight")


def test_weights_that_are_a_pickle(fresh):
    torch.save(
        {"weight": torch.zeros(1), "code": test_weights_that_are_a_pickle}, fresh.folder / "w.pth"
    )
    fresh.config["finetune"][0]["weights"] = {"B": {"file": "w.pth"}}
    refused(fresh, "w.pth")


def test_a_results_folder_that_cannot_be_written(fresh):
    (fresh.folder / "results").write_text("in the way")
    refused(fresh, "cannot write results/tiny")
