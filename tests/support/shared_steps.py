"""The same steps by one process and by two, in double precision, where rounding can be told from mistakes.

Run as a script, it is one of two processes: `shared_steps.py RANK PORT RESULTS`.
"""

import sys
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch._C._distributed_c10d import TCPStore
from torch.nn import functional

from resnest_bench.models import build_model
from resnest_bench.specs import RecipeSpec, ResNestVariant
from resnest_bench.training.execution import Execution
from resnest_bench.training.optimizer import freeze_backbone
from resnest_bench.training.processes import Processes
from resnest_bench.training.shared_step import make_shared_step
from resnest_bench.training.step import make_step, set_train_mode

CPU = torch.device("cpu")
EXECUTION = Execution("contiguous", "eager")
# The last two divide unevenly.
BATCHES = [slice(0, 12), slice(12, 21), slice(21, 28)]
SINGLE = "sgd fewer images than processes"
NUM_CLASSES = 3
RECIPE = {"epochs": 1, "batch_size": 12, "learning_rate": 0.05}
OPTIMIZERS = {"sgd": {}, "adamw": {"optimizer": "adamw", "learning_rate": 0.01}}
SETTINGS = {
    "plain": {},
    "accumulated": {"accumulation_steps": 3},
    "clipped": {"clip_grad_norm": 0.1},
    "averaged": {"ema_decay": 0.9},
    "all": {"accumulation_steps": 2, "clip_grad_norm": 0.1, "ema_decay": 0.9},
}
CASES = {
    f"{optimizer} {name}": {**recipe, **setting}
    for optimizer, recipe in OPTIMIZERS.items()
    for name, setting in SETTINGS.items()
} | {
    "sgd mixed": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0},
    "sgd lookahead": {"lookahead_steps": 2},
    "sgd head": {"init": "pretrained", "trainable": "head"},
    "sgd taught": {"teacher": {"train": "d/r", "variant": "T"}},
    "sgd weighted": {"class_weights": "balanced", "label_smoothing": 0.1},
    "muon plain": {"optimizer": "muon"},
    "sgd without batch norm": {},
    SINGLE: {},
}


class GroupNormNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, stride=2), nn.GroupNorm(2, 8)
        self.dropout, self.fc = nn.Dropout2d(0.0), nn.Linear(8, NUM_CLASSES)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.fc(self.dropout(self.norm(self.conv(x_BCHW)).relu()).mean((2, 3)))


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "sgd without batch norm":
        return GroupNormNet().double()
    radix = 0 if name == SINGLE else 2
    variant = ResNestVariant(
        name="A", family="resnest", layers=[1, 1], radix=radix, width=16, stem="deep", stem_width=8
    )
    return build_model(variant, NUM_CLASSES, dropout=0.3).double()


def digits(num: int = BATCHES[-1].stop) -> tuple[Tensor, Tensor]:
    """Real images: digits of scikit-learn at 32x32 pixels, classes 0 to 2."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(n_class=NUM_CLASSES, return_X_y=True)
    images = torch.tensor(images[:num] / 16).view(-1, 1, 8, 8)
    images = functional.interpolate(images, size=32).expand(-1, 3, -1, -1).contiguous()
    return images, torch.tensor(labels[:num])


# The loss is computed in float32, which is here double precision too.
@mock.patch.object(Tensor, "float", Tensor.double)
def run_steps(name: str, processes: Processes | None = None) -> dict[str, Tensor]:
    """Train as the case says; return the network, its average and the sums."""
    recipe = RecipeSpec(**{**RECIPE, **CASES[name]})
    model, options = build(name), {}
    if recipe.trainable == "head":
        freeze_backbone(model)
    if recipe.teacher:
        torch.manual_seed(1)
        options["teacher"] = build(name).eval().requires_grad_(False)
    if recipe.class_weights == "balanced":
        options["class_weights_K"] = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    if processes:
        step = make_shared_step(model, recipe, CPU, EXECUTION, processes, **options)
    else:
        step = make_step(model, recipe, CPU, EXECUTION, **options)
    set_train_mode(step.model, recipe)
    images, labels = digits()
    generator = torch.Generator().manual_seed(7)
    batches = [BATCHES[0], slice(12, 13), slice(13, 21)] if name == SINGLE else BATCHES
    for number, batch in enumerate(batches):
        num = batch.stop - batch.start
        own = step.share(num) if step.share else slice(None)
        own_images, target = images[batch][own], labels[batch][own]
        if recipe.mixup_alpha:
            own_images, target = step.blend(own_images, target, num, NUM_CLASSES, generator)
            target = target.double()
        step(own_images, target, recipe.learning_rate, number, num)
    step.finish()
    state = {f"model.{key}": value for key, value in step.model.state_dict().items()}
    state |= {f"final.{key}": value for key, value in step.final_model.state_dict().items()}
    loss, accuracy = step.sums.means()
    return {**state, "loss": torch.tensor(loss), "accuracy": torch.tensor(accuracy)}


def main(rank: int, port: int, results: Path) -> None:
    torch.set_num_threads(1)
    store = TCPStore("127.0.0.1", port, is_master=rank == 0, world_size=2)
    processes = Processes.connect(rank, 2, CPU, store)
    for number, name in enumerate(CASES):
        state = run_steps(name, processes)
        save_file(
            {key: value.clone().contiguous() for key, value in state.items()},
            results / f"{number}-{rank}.safetensors",
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
