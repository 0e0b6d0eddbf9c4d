# In place of the package: the jobs and files of a config, as far as the graph needs them, unchecked.
import hashlib
from collections import namedtuple
from types import SimpleNamespace

import yaml

UserError = WorkflowError
KINDS = ("train", "latency")
Job = namedtuple("Job", "kind dataset recipe variant seed")


def read_list(entries):
    """A list of the config, or the YAML file that it names."""
    return yaml.safe_load(open(entries)) if isinstance(entries, str) else entries


def json_digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def code_digest(kind):
    return "unknown"


def source_fingerprint(spec, prepared=None):
    return "unknown"


def is_prepared(study, dataset):
    return False


class DataPaths:
    def __init__(self, root):
        self.root = root

    def hub_weights(self, name):
        return self.root / "weights" / f"{name}.safetensors"


class StudyPaths:
    def __init__(self, root):
        self.root, self.study = root, root / "study.json"

    def record(self, job):
        folder = self.root / "records" / job.kind / job.dataset / job.recipe
        return folder / job.variant / f"seed-{job.seed}.json"


def find_block(entry):
    """A block of train, latency, finetune or deploy, with what the config may leave out."""
    block = {
        "kind": "train",
        "variants": "all",
        "rounds": 3,
        "protocol": "default",
        "weights": {},
        **entry,
    }
    block.setdefault("modes", ["onnxruntime", "onnxruntime-int8"])
    block.setdefault("recipes", ["paper_finetune", "head_only", "from_scratch"])
    nothing = {"hub": None, "train": None, "file": None}
    block["weights"] = {
        variant: SimpleNamespace(**nothing | source)
        for variant, source in block["weights"].items()
    }
    return SimpleNamespace(**block)


class StandInStudy:
    digest = "unknown"
    adaptive = None
    # The networks of a search are not known before it runs.
    search = None
    rerun_on_code_change = False

    def __init__(self, config):
        self.study = config["study"]
        self.seeds = config.get("seeds", [0, 1, 2, 3, 4])
        self.data_dir = config.get("data_dir", "data")
        self.own_variants = [
            SimpleNamespace(**entry)
            for entry in read_list(config.get("variants", []))
            if entry["family"] != "imported"
        ]
        self.datasets = {
            name: SimpleNamespace(digest=json_digest(spec), **spec)
            for name, spec in config.get("datasets", {}).items()
        }
        self.own_datasets = {
            name: spec
            for name, spec in self.datasets.items()
            if spec.source != "imported"
        }
        self.train = list(map(find_block, config.get("train", [])))
        self.latency = list(map(find_block, config.get("latency", [])))
        self.finetune = list(map(find_block, config.get("finetune", [])))
        self.deploy = list(map(find_block, config.get("deploy", [])))
        imported = list(map(find_block, read_list(config.get("imported", []))))
        kinds = {kind: [b for b in imported if b.kind == kind] for kind in KINDS}
        self.trained = self.train + kinds["train"]
        self.timed = self.latency + kinds["latency"]
        self.recipes = config.get("recipes", {})
        self.claims = config.get("claims", [])
        tables = {"ablation": None, "tradeoff": None, **config.get("tables", {})}
        self.tables = SimpleNamespace(**tables)
        self.all_recipes = self.all_protocols = {job.recipe for job in self.jobs()}

    def paths(self):
        return StudyPaths(Path("results") / self.study)

    def dataset(self, name):
        return self.datasets[name]

    def prepared(self, name):
        return (
            Path(self.data_dir)
            / "prepared"
            / f"{name}-{self.datasets[name].digest[:12]}"
        )

    def names_in(self, block):
        if block.variants != "all":
            return block.variants
        return [variant.name for variant in self.own_variants]

    def own_jobs(self):
        return self.jobs()

    def imported_jobs(self):
        return []

    def jobs(self):
        return [
            *(
                Job("train", block.dataset, block.recipe, name, seed)
                for block in self.train
                for name in self.names_in(block)
                for seed in self.seeds
            ),
            *(
                Job("latency", block.dataset, block.protocol, name, number)
                for block in self.latency
                for name in self.names_in(block)
                for number in range(block.rounds)
            ),
            *(
                Job("finetune", block.dataset, recipe, name, seed)
                for block in self.finetune
                for recipe in block.recipes
                for name in block.weights
                for seed in self.seeds
            ),
            *(
                Job("deploy", block.dataset, f"{block.recipe}+{mode}", name, seed)
                for block in self.deploy
                for mode in dict.fromkeys(["eager", *block.modes])
                for name in self.names_in(block)
                for seed in self.seeds
            ),
        ]

    def weights(self, job):
        """Where a fine-tuning starts. From scratch too: the recipes are the package's."""
        for block in self.finetune:
            if job.dataset == block.dataset and job.recipe in block.recipes:
                return block.weights.get(job.variant)

    def source_job(self, job):
        if job.kind == "deploy":
            recipe = job.recipe.rpartition("+")[0]
            return Job("train", job.dataset, recipe, job.variant, job.seed)
        weights = self.weights(job)
        if weights and weights.train:
            return Job("train", *weights.train.split("/"), job.variant, job.seed)

    def teacher_job(self, job):
        asked = self.recipes.get(job.recipe, {}).get("teacher")
        if asked:
            teacher = SimpleNamespace(**asked)
            return Job("train", *teacher.train.split("/"), teacher.variant, job.seed)

    def requires_weights(self, job):
        return False


def read_yaml(file):
    return yaml.safe_load(open(file))


def study_from_config(config, origin, files=()):
    return StandInStudy(config)
