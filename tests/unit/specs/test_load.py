"""Every mistake in a config gets one clear line that names the place, what came and what to do."""

import copy
from pathlib import Path

import pytest
import yaml

from resnest_bench.errors import UserError
from resnest_bench.specs import (
    TimmVariant,
    dump_study,
    load_study,
    read_yaml,
    study_from_config,
    variant_line,
)

ROOT = Path(__file__).parents[3]


def small_config():
    return {
        "study": "small",
        "seeds": [0, 1],
        "variants": [
            {"name": "A", "family": "resnest", "layers": [1], "radix": 2, "stem": "deep"},
            {"name": "B", "family": "timm", "model": "resnet18"},
        ],
        "datasets": {"digits": {"source": "digits"}},
        "train": [{"dataset": "digits", "recipe": "smoke"}],
    }


def changed(*path, to):
    config = copy.deepcopy(small_config())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return config


def find_error(config):
    with pytest.raises(UserError) as caught:
        study_from_config(config, "config.yaml")
    message = str(caught.value)
    assert message.startswith(("config.yaml", "cannot read", "\\x00"))
    assert message.isprintable()
    assert "\n" not in message
    return message


BAD = [
    (changed("variants", 0, "radx", to=1), ["variants[0] (A)", "'radx'", "did you mean 'radix'"]),
    (changed("sedes", to=[1]), ["'sedes'", "did you mean 'seeds'"]),
    (changed("seeds", to=3), ["seeds", "must be a list", "3"]),
    (changed("variants", 0, "layers", to=3), ["(A).layers", "must be a list", "3"]),
    (changed("variants", 0, "radix", to="x"), ["(A).radix", "must be a whole number", "'x'"]),
    (changed("train", 0, "variants", to=3), ["train[0].variants", "'all' or a list", "3"]),
    (changed("train", 0, "variants", to=[3]), ["train[0].variants[0]", "must be text", "3"]),
    (changed("train", 0, to="digits"), ["train[0]", "must be a mapping", "'digits'"]),
    (changed("recipes", to={"r": [1]}), ["recipes.r", "must be a mapping", "a list"]),
    (
        changed("recipes", to={"r": {"epochs": 1, "learning_rate": 1, "flip": 3}}),
        ["flip", "true or false", "3"],
    ),
    (changed("data_dir", to=3), ["data_dir", "must be text", "3"]),
    (changed("study", to=None), ["study", "must be text", "None"]),
    (
        changed("datasets", "digits", to={"sorce": "digits"}),
        ["datasets.digits", "source is missing", "'sorce'"],
    ),
    (
        changed("datasets", "digits", to="digits"),
        ["datasets.digits", "must be a mapping", "'digits'"],
    ),
    (
        changed("variants", 1, "radix", to=1),
        ["(B).radix", "'radix'", "other kinds of entries have it"],
    ),
    (
        changed("variants", 1, to={"name": "B", "family": "classic", "model": "lenet"}),
        ["(B).model", "'lenet5', 'alexnet', 'googlenet' or 'resnet8'", "'lenet'"],
    ),
    (changed("variants", 0, "family", to="resnet"), ["family must be one of", "'resnet'"]),
    (changed("datasets", "digits", "source", to="mnist"), ["source must be one of", "'mnist'"]),
    (changed("train", 0, "dataset", to="digit"), ["unknown name 'digit'", "'digits'"]),
    (changed("train", 0, "recipe", to="smok"), ["unknown name 'smok'", "did you mean 'smoke'"]),
    (changed("train", 0, "variants", to=["C"]), ["unknown name 'C'", "A, B"]),
    (changed("variants", 0, "radix", to=-1), ["(A).radix", "greater than or equal to 0", "-1"]),
    (
        changed("variants", 0, "cardinality", to=0),
        ["(A).cardinality", "greater than or equal to 1"],
    ),
    (
        changed("variants", 1, "model", to="resnet18.a1_in1k"),
        ["variant B", "'resnet18.a1_in1k'", "write 'resnet18'", "finetune"],
    ),
    (changed("variants", 0, "layers", to=[]), ["(A).layers", "one to four stages", "[]"]),
    (changed("variants", 0, "layers", to=[1, 0]), ["layers", "greater than or equal to 1"]),
    (changed("variants", 1, "name", to="a"), ["two variants are named 'a'"]),
    (changed("variants", 1, "name", to="A"), ["two variants are named 'A'"]),
    (changed("variants", 1, "name", to="a/b"), ["a name is made of", "'a/b'"]),
    (changed("variants", 1, "name", to=".."), ["a name is made of", "'..'"]),
    (changed("variants", to=[]), ["at least one variant"]),
    (changed("seeds", to=[0, 0]), ["none twice"]),
    (changed("seeds", to=[]), ["at least one seed"]),
    (changed("train", to=[]), ["nothing to do"]),
    (changed("train", 0, "recipe", to="paper_finetune"), ["starts from weights"]),
    (changed("recipes", to={"smoke": {"epochs": 1, "learning_rate": 1}}), ["built in"]),
    (changed("recipes", to={"r": {"epochs": 1, "learning_rate": -1}}), ["greater than 0", "-1"]),
    (changed("recipes", to={"r": {"epochs": 1, "learning_rate": float("nan")}}), ["finite"]),
    (
        changed("recipes", to={"r": {"epochs": 2, "learning_rate": 1, "warmup_epochs": 2}}),
        ["warmup_epochs must be less than epochs"],
    ),
    (changed("train", to=[{"dataset": "digits", "recipe": "smoke"}] * 2), ["two blocks ask for"]),
    (
        changed("finetune", to=[{"dataset": "digits", "weights": {"A": {"train": "x/smoke"}}}]),
        ["no train block trains A on x/smoke"],
    ),
    (changed("finetune", to=[{"dataset": "digits", "weights": {"A": {}}}]), ["exactly one of"]),
    (
        changed(
            "datasets",
            "photos",
            to={"source": "imagefolder", "path": "x", "image_size": 64, "resize": 32},
        ),
        ["resize must be at least image_size"],
    ),
    (
        changed("datasets", "photos", to={"source": "imagefolder", "image_size": 64}),
        ["either path or urls"],
    ),
    (changed("study", to=True), ["study", "True"]),
    (
        changed("recipes", to={"r": {"epochs": 1, "learning_rate": True}}),
        ["a number", "True"],
    ),
    (changed("datasets", "digits", "classes", to=[True, 2]), ["classes", "True"]),
    (changed("variants", 1, "args", to={"a": float("inf")}), ["variants[1].args.a", "finite"]),
    (changed("data_dir", to="a\0b"), ["data_dir: text must not contain NUL"]),
    (changed("data_dir", to="\ud800"), ["data_dir: text must", "surrogate"]),
    (changed("seeds", to=[0, 2**53]), ["seeds[1]: ", "at most 2^53 - 1"]),
    (
        changed("latency", to=[{"dataset": "digits", "rounds": 10**12}]),
        ["at most 200,000 jobs, but this one has 2,000,000,000,004"],
    ),
    (changed("datasets", 3, to={"source": "digits"}), ["datasets: a key must be text"]),
    (changed("variants", to="no\nsuch\x1b.yaml"), ["cannot read"]),
    (changed("variants", to="\0"), ["\\x00 is not YAML: embedded null byte"]),
]


@pytest.mark.parametrize(
    ("config", "expected"), BAD, ids=lambda v: v[-1] if isinstance(v, list) else ""
)
def test_a_mistake_is_named(config, expected):
    message = find_error(config)
    for part in expected:
        assert part in message, message


# Words of Python and of pydantic, which a YAML file does not have.
FOREIGN = ["Input", "tuple", "dictionary", "string", "instance", "Field", "unicode", "valid"]


@pytest.mark.parametrize(
    ("config", "expected"), BAD, ids=lambda v: v[-1] if isinstance(v, list) else ""
)
def test_a_mistake_is_told_in_the_words_of_a_yaml_file(config, expected):
    message = find_error(config)
    assert not [word for word in FOREIGN if word in message], message


@pytest.mark.parametrize(
    ("place", "key", "hint"),
    [
        (("recipes", "r"), "photographer", None),
        # A key of fine-tuning, where the place is a recipe.
        (("recipes", "r"), "weight", None),
        (("recipes", "r"), "weight_dekay", "weight_decay"),
        (("datasets", "digits"), "clases", "classes"),
        # A folder's key, where the data is scikit-learn's.
        (("datasets", "digits"), "image_sise", None),
        (("train", 0), "recipy", "recipe"),
    ],
)
def test_a_hint_is_near_and_of_the_same_kind(place, key, hint):
    config = {**small_config(), "recipes": {"r": {"epochs": 1, "learning_rate": 1}}}
    entry = config
    for part in place:
        entry = entry[part]
    entry[key] = 1
    message = find_error(config)
    assert f"no key {key!r}" in message
    assert (f"did you mean {hint!r}" if hint else "remove it") in message


def test_defaults_are_filled_in_and_survive_the_round_trip(tmp_path):
    study = study_from_config(small_config(), "config.yaml")
    file = tmp_path / "study.json"
    file.write_text(dump_study(study))
    assert load_study(file) == study
    assert study.variants[0].avg_down is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            '{"a": [1, 1e-4, true, null], "b": "\\u00e9\\ud83d\\ude00"}',
            {"a": [1, 1e-4, True, None], "b": "é😀"},
        ),
        ("{a: 1}", {"a": 1}),
        ('{"a": NaN}', {"a": "NaN"}),
    ],
)
def test_json_is_read_as_json_and_what_is_not_as_yaml(tmp_path, text, value):
    (tmp_path / "study.json").write_text(text)
    assert read_yaml(tmp_path / "study.json") == value


def test_a_key_given_twice_in_json_is_refused(tmp_path):
    (tmp_path / "study.json").write_text('{\n "seeds": 1,\n "seeds": 2\n}')
    with pytest.raises(UserError, match=r"study\.json, line 3: key 'seeds' is given twice"):
        read_yaml(tmp_path / "study.json")


def test_a_key_given_twice_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("study: a\nseeds: [1]\nseeds: [2]\n")
    with pytest.raises(UserError, match=r"config\.yaml, line 3: key 'seeds' is given twice"):
        read_yaml(file)


@pytest.mark.parametrize("text", ["a: [", "\x00", "a: b: c"])
def test_what_is_not_yaml_is_refused(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="is not YAML"):
        read_yaml(file)


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 3000, "a: " + "9" * 5000, "a: 2020-99-99", "a: [", "? [[1]]\n: 2"],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("name", ["config.yaml", "study.json"])
def test_what_only_looks_like_yaml_is_refused(tmp_path, text, name):
    """A parser's own errors: too deep, too many digits, no such day."""
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UserError, match=r"is not YAML"):
        read_yaml(file)


def test_a_value_that_contains_itself_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("study: x\nvariants: &a [*a]\n")
    with pytest.raises(UserError, match="at most 30 levels"):
        load_study(file)


def test_a_value_that_repeats_itself_without_end_is_refused(tmp_path):
    """Ten lines of ten references each stand for ten thousand million values."""
    lines = [
        "a0: &a0 [1]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)),
    ]
    file = tmp_path / "config.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(UserError, match="at most 1,000,000 values"):
        load_study(file)


def test_yaml_that_runs_code_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("study: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(UserError, match="is not YAML"):
        read_yaml(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*nowhere"):
        read_yaml(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("value", [[], "text", None, 3])
def test_a_config_that_is_no_mapping_is_refused(value):
    with pytest.raises(UserError, match="must be a mapping"):
        study_from_config(value, "config.yaml")


def test_the_shipped_study_is_the_papers(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load_study(Path("config/config.yaml"))
    assert len(study.train[0].variants) == 16
    recipe = study.recipe(study.train[0].recipe)
    assert (recipe.momentum, recipe.weight_decay, recipe.batch_size, recipe.epochs) == (
        0.9,
        1e-4,
        256,
        20,
    )
    assert (recipe.crop, recipe.flip, recipe.random_augment, recipe.dropout) == (
        "none",
        False,
        False,
        0.2,
    )
    assert all(v.dropout == 0.2 for v in study.variants if v.name in study.train[0].variants)


def test_the_variant_sheet_can_be_inline(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(Path("config/demo/config.yaml").read_text())
    config["variants"] = yaml.safe_load(Path(config["variants"]).read_text())
    assert study_from_config(config, "x") == load_study(Path("config/demo/config.yaml"))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("config", "ResNeSt-14-2s1x64d"),
        ("config", "ResNet-18"),
        ("config", "EfficientNet-b0"),
        ("lineage/config", "LeNet-5"),
        ("lineage/config", "ViT-tiny"),
    ],
)
def test_a_variant_line_reads_back_as_the_same_variant(config, name, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load_study(Path(f"config/{config}.yaml"))
    line = variant_line(study.variant(name))
    assert "\n" not in line
    again = study_from_config(
        {
            "study": "x",
            "variants": yaml.safe_load(line),
            "datasets": {"d": {"source": "digits"}},
            "latency": [{"dataset": "d"}],
        },
        "test",
    )
    assert again.variant(name) == study.variant(name)


@pytest.mark.parametrize(
    ("model", "architecture"),
    [
        ("resnet18", "resnet"),
        ("efficientnet_b0", "efficientnet"),
        ("convnext_nano", "convnext"),
        ("tf_efficientnetv2_s", "efficientnet"),
        ("mobilenetv3_small_100", "mobilenet"),
        ("test_resnet", "resnet"),
        ("vit_tiny_patch16_224", "vit"),
        ("inception_v3", "inception"),
    ],
)
def test_the_architecture_is_the_name_without_version_and_size(model, architecture):
    variant = TimmVariant(name="x", family="timm", model=model)
    assert variant.architecture == architecture
