"""From prepared arrays to normalised batches on a device.

A batch depends only on (seed, epoch, step). So a resumed run is equal bit for bit, and every variant sees
the same images with the same augmentation.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from resnest_bench.data.augment import (
    Draws,
    augment_batch,
    center_crop,
    random_box,
    random_resized_crop,
)
from resnest_bench.data.prepared import ChannelValues, PreparedMeta, Split
from resnest_bench.data.splits import AUGMENT_TAG, alternating_flips
from resnest_bench.specs import RecipeSpec

# Uniform images up to this size are kept on the GPU as uint8, so that no batch has to be copied again.
KEEP_ON_DEVICE_BYTES = 1 << 30
# Number of images augmented at once on a GPU, where the time goes into launching kernels.
CHUNK_IMAGES = 1 << 14
PREFETCH_DEPTH = 2
# Takes the size of a batch, and returns which of its images this process computes, (b,) int64.
Share = Callable[[int], np.ndarray]


class BatchLoader:
    """Batches of one part of a dataset: float32 images (B, C, S, S) and int64 labels (B,).

    `recipe` says how training images are augmented; without one, they are prepared as in evaluation.
    `mean_std` replaces the dataset's own mean and standard deviation per channel, from 0 to 1.
    """

    def __init__(
        self,
        split: Split,
        meta: PreparedMeta,
        recipe: RecipeSpec | None,
        device: torch.device,
        mean_std: tuple[ChannelValues, ChannelValues] | None = None,
    ) -> None:
        self.split, self.recipe, self.device = split, recipe, device
        self.side = meta.image_size
        self.mean, std = mean_std or (meta.mean, meta.std)
        self.mean_C11 = torch.tensor(self.mean, device=device).view(-1, 1, 1)
        self.std_C11 = torch.tensor(std, device=device).view(-1, 1, 1)
        self._resident_NHWC: Tensor | None = None
        self._flipped: tuple[tuple[int, int], np.ndarray] | None = None

    @property
    def crop(self) -> str:
        return self.recipe.crop if self.recipe else "none"

    def train_batch(
        self, indices: np.ndarray, seed: int, epoch: int, step: int
    ) -> tuple[Tensor, Tensor]:
        """Return the images at `indices` (B,), augmented as the recipe says; `step` counts within its epoch."""
        return self._augment(self._training_pixels(indices, seed, epoch, step))

    def eval_batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the centre crops of the images at `indices` (B,)."""
        return self._normalise(self._pixels(indices)), self._labels(indices)

    def iterate_train(
        self,
        order: np.ndarray,
        slices: list[slice],
        seed: int,
        epoch: int,
        first: int = 0,
        share: Share | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch from step `first` on: `slices` divides the indices in `order`.

        With `share`, only those images of each batch that it names are made and yielded; they are the
        same as in the whole batch.

        A thread crops and resizes photos, up to two batches ahead; its errors are raised here, and it
        ends when the generator is closed. On a GPU, several batches are augmented at once, which gives
        the same images as one at a time.
        """

        slices = slices[first:]

        def pixels(step: int) -> _Pixels:
            return self._training_pixels(order[slices[step]], seed, epoch, first + step, share)

        if not self.split.uniform or self.crop == "random_resized":
            source = prefetched(pixels, len(slices))
            try:
                yield from map(self._augment, source)
            finally:
                source.close()
            return
        # A thread gains nothing if everything is computed on whole batches.
        for steps in step_chunks(slices, CHUNK_IMAGES if self.device.type == "cuda" else 1):
            parts = [pixels(step) for step in steps]
            images_BCHW, labels_B = self._augment(_joined(parts))
            sizes = [len(indices) for _, indices, _ in parts]
            yield from zip(images_BCHW.split(sizes), labels_B.split(sizes), strict=True)

    def iterate_eval(
        self, batch_size: int, indices: np.ndarray | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the centre crops of all images, or of those at `indices`, in order."""
        if indices is None:
            indices = np.arange(len(self.split))
        for start in range(0, len(indices), batch_size):
            yield self.eval_batch(indices[start : start + batch_size])

    def _training_pixels(
        self, indices: np.ndarray, seed: int, epoch: int, step: int, share: Share | None = None
    ) -> "_Pixels":
        """Random numbers are drawn for the whole batch, whatever the share of it that is made."""
        rng = np.random.default_rng([seed, epoch, step, AUGMENT_TAG])
        own_b = None if share is None else share(len(indices))
        if self.crop == "random_resized":
            images_BHWC = self._random_crops(indices, rng, own_b)
        else:
            images_BHWC = self._pixels(indices if own_b is None else indices[own_b])
        recipe = self.recipe
        draws = Draws.draw(recipe, len(indices), self.side, rng) if recipe else Draws()
        if own_b is not None:
            draws, indices = draws.take(own_b), indices[own_b]
        if recipe and recipe.flip == "alternating":
            mirrored_N = self._flips(seed, epoch)
            draws = dataclasses.replace(draws, mirrored_B=mirrored_N[indices])
        return images_BHWC, indices, draws

    def _random_crops(
        self, indices: np.ndarray, rng: np.random.Generator, own_b: np.ndarray | None
    ) -> Tensor:
        """Crops of the images at `indices`, or of those at `indices[own_b]`: the others are only drawn."""
        wanted = range(len(indices)) if own_b is None else set(own_b.tolist())
        crops: dict[int, Tensor] = {}
        for number, index in enumerate(indices):
            image_HWC = self.split.image(index)
            if number in wanted:
                crops[number] = random_resized_crop(image_HWC, self.side, rng)
            else:
                random_box(image_HWC.shape[0], image_HWC.shape[1], rng)
        return torch.stack([crops[int(n)] for n in (wanted if own_b is None else own_b)])

    def _flips(self, seed: int, epoch: int) -> np.ndarray:
        """Return `alternating_flips` of all images, drawn once per epoch."""
        if self._flipped is None or self._flipped[0] != (seed, epoch):
            flips_N = alternating_flips(len(self.split), seed, epoch)
            self._flipped = ((seed, epoch), flips_N)
        return self._flipped[1]

    def _augment(self, pixels: "_Pixels") -> tuple[Tensor, Tensor]:
        images_BHWC, indices, draws = pixels
        images_BHWC = images_BHWC.to(self.device)
        if self.recipe:
            images_BHWC = augment_batch(images_BHWC, draws, self.recipe, self.mean)
        return self._normalise(images_BHWC), self._labels(indices)

    def _pixels(self, indices: np.ndarray) -> Tensor:
        """Return uint8 images (B, S, S, C): on the device if they are kept there, else on the CPU."""
        if not self.split.uniform:
            crops = [center_crop(self.split.image(i), self.side) for i in indices]
            return torch.from_numpy(np.stack(crops))
        if self.device.type == "cuda" and self.split.images.nbytes < KEEP_ON_DEVICE_BYTES:
            if self._resident_NHWC is None:
                self._resident_NHWC = torch.from_numpy(np.array(self.split.images)).to(self.device)
            return self._resident_NHWC[torch.from_numpy(indices).to(self.device)]
        return torch.from_numpy(np.take(self.split.images, indices, axis=0))

    def _labels(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(self.split.labels[indices]).to(self.device)

    def _normalise(self, images_BHWC: Tensor) -> Tensor:
        # Always contiguous as NCHW: the recipe's memory layout is chosen elsewhere.
        images_BCHW = images_BHWC.to(self.device).permute(0, 3, 1, 2).contiguous()
        return (images_BCHW.float() / 255 - self.mean_C11) / self.std_C11


# uint8 images (B, S, S, C), their indices, and their random draws.
_Pixels = tuple[Tensor, np.ndarray, Draws]


def _joined(parts: list[_Pixels]) -> _Pixels:
    images, indices, draws = zip(*parts, strict=True)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(images), np.concatenate(indices), Draws.concatenate(draws)


def step_chunks(slices: list[slice], num_images: int) -> Iterator[range]:
    """Group consecutive steps into chunks of about `num_images` images and at least one step."""
    first = 0
    for step, part in enumerate(slices):
        if part.stop - slices[first].start >= num_images or step + 1 == len(slices):
            yield range(first, step + 1)
            first = step + 1


def prefetched(make: Callable[[int], _Pixels], num: int) -> Generator[_Pixels, None, None]:
    """Yield `make(0)` to `make(num - 1)` in order; one thread computes them, up to two ahead."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    waiting: deque[Future[_Pixels]] = deque()
    try:
        for index in range(num + PREFETCH_DEPTH):
            if index < num:
                waiting.append(pool.submit(make, index))
            if index >= PREFETCH_DEPTH:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def blend_batch(
    images_BCHW: Tensor,
    labels_B: Tensor,
    num_classes: int,
    recipe: RecipeSpec,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Apply mixup or CutMix as the recipe says; if it has both, a fair coin decides for each batch."""
    use_cutmix = bool(recipe.cutmix_alpha)
    if recipe.mixup_alpha and recipe.cutmix_alpha:
        use_cutmix = bool(torch.randint(2, (), generator=generator, device=generator.device))
    blend = cutmix_batch if use_cutmix else mixup_batch
    alpha = recipe.cutmix_alpha if use_cutmix else recipe.mixup_alpha
    return blend(images_BCHW, labels_B, num_classes, alpha, generator)


def cutmix_batch(
    images_BCHW: Tensor,
    labels_B: Tensor,
    num_classes: int,
    alpha: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """CutMix: paste a rectangle of another image of the batch into each, and mix the labels by area.

    All images of a batch get the same rectangle: its area is 1 - lambda with lambda from Beta(alpha,
    alpha), its centre uniform, and it is clipped at the border. Source: Yun et al., arXiv:1905.04899, section 3.1. Returns
    images, and class probabilities (B, K) float32.
    """
    assert alpha > 0, alpha
    order_B = torch.randperm(len(labels_B), generator=generator, device=generator.device)
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    rng = np.random.default_rng(int(seed))
    height, width = images_BCHW.shape[2:]
    cut = np.sqrt(1 - rng.beta(alpha, alpha))
    rows, columns = (_cut_range(length, cut, rng) for length in (height, width))
    order_B = order_B.to(images_BCHW.device)
    mixed_BCHW = images_BCHW.clone()
    mixed_BCHW[:, :, rows, columns] = images_BCHW[order_B][:, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    targets_BK = one_hot(labels_B, num_classes).float()
    return mixed_BCHW, (1 - pasted) * targets_BK + pasted * targets_BK[order_B]


def _cut_range(length: int, cut: float, rng: np.random.Generator) -> slice:
    """Draw a range of about `cut` times the length with a uniform centre, clipped at the border."""
    centre, size = int(rng.integers(length)), int(length * cut)
    return slice(max(0, centre - size // 2), min(length, centre + size - size // 2))


def mixup_batch(
    images_BCHW: Tensor,
    labels_B: Tensor,
    num_classes: int,
    alpha: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Mixup: blend each image and its label with those of another image of the batch.

    `lambda x_i + (1 - lambda) x_j` with one lambda per batch from Beta(alpha, alpha) and j from a random
    permutation. Source: Zhang et al., mixup, arXiv:1710.09412. Returns images, and class
    probabilities (B, K) float32.
    """
    assert alpha > 0, alpha
    order_B = torch.randperm(len(labels_B), generator=generator, device=generator.device)
    # torch's Beta doesn't accept a generator, so seed numpy's from it.
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    share = float(np.random.default_rng(int(seed)).beta(alpha, alpha))
    order_B = order_B.to(images_BCHW.device)
    targets_BK = one_hot(labels_B, num_classes).float()
    return (
        share * images_BCHW + (1 - share) * images_BCHW[order_B],
        share * targets_BK + (1 - share) * targets_BK[order_B],
    )
