"""The recipes that every study can name, with their sources (floor 1)."""

from resnest_bench.specs.optimizers import AdamW, Muon
from resnest_bench.specs.recipes import RecipeSpec

TRANSFER_BATCH_SIZE = 128

# paper20 leaves out what the paper leaves out, but for the learning rate, which it does not give:
# 0.1 at batch 256 with a cosine is our choice, the usual one for SGD on these networks.
RECIPES: dict[str, RecipeSpec] = {
    "paper20": RecipeSpec(epochs=20, batch_size=256, learning_rate=0.1, dropout=0.2),
    # arXiv:2004.08955, section 5.1 and its official code, but RandAugment for AutoAugment.
    "resnest": RecipeSpec(
        epochs=270,
        batch_size=256,
        learning_rate=0.1,
        nesterov=True,
        decay_norm_and_bias=False,
        warmup_epochs=5,
        label_smoothing=0.1,
        mixup_alpha=0.2,
        dropout=0.2,
        zero_last_gamma=True,
        crop="pad4",
        flip=True,
        random_augment=True,
    ),
    # The paper's other reading: the official configuration of ResNeSt has 0.025 for each GPU, and
    # one GPU with its "original optimizer settings" can well mean that.
    "lr025": RecipeSpec(epochs=20, batch_size=256, learning_rate=0.025, dropout=0.2),
    # The usual fine-tuning of a network of today, transformers too: the reference implementation of
    # He et al. (arXiv:2111.06377; facebookresearch/mae, FINETUNE.md) for a ViT-Base, with its rate of
    # 5e-4 for 256 images scaled to 64, for few epochs, without mixing or erasing.
    "finetune_adamw": RecipeSpec(
        epochs=10,
        batch_size=64,
        optimizer=AdamW(name="adamw"),
        learning_rate=5e-4 * 64 / 256,
        weight_decay=0.05,
        decay_norm_and_bias=False,
        layer_decay=0.65,
        warmup_epochs=1,
        label_smoothing=0.1,
        crop="random_resized",
        flip=True,
        init="pretrained",
    ),
    # A transformer from scratch on a small dataset: the code of Lee et al. (arXiv:2112.13492;
    # aanna0701/SPT_LSA_ViT). It leaves half of the batches unmixed and repeats augmentations; its
    # stochastic depth of 0.1 belongs to the network (args: {drop_path_rate: 0.1}).
    "vit_small_data": RecipeSpec(
        epochs=100,
        batch_size=128,
        optimizer=AdamW(name="adamw"),
        learning_rate=1e-3,
        weight_decay=0.05,
        decay_norm_and_bias=False,
        warmup_epochs=10,
        label_smoothing=0.1,
        mixup_alpha=1.0,
        cutmix_alpha=1.0,
        crop="pad4",
        flip=True,
        auto_augment="cifar10",
        random_erasing=0.25,
    ),
    # Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU (arXiv:2404.00498), and its code
    # (KellerJordan/cifar10-airbench, legacy/airbench94.py), for the family airbench. On the mean loss of
    # 1,024 images its rate of 11.5, divided by 1 + 1 / (1 - momentum), is 1.5, and its decay 0.0153 / 11.5.
    # Ten epochs for its 9.9; without its Lookahead, and no second view of a test image (docs/methods.md).
    "fast": RecipeSpec(
        epochs=10,
        batch_size=1024,
        learning_rate=1.5,
        norm_bias_learning_rate_factor=64,
        momentum=0.85,
        nesterov=True,
        weight_decay=1.33e-3,
        schedule="linear",
        warmup_epochs=2.3,
        min_learning_rate=0.105,
        label_smoothing=0.2,
        crop="reflect2",
        flip="alternating",
        evaluate_every=10,
    ),
    # The same author's later form with Muon (KellerJordan/cifar10-airbench, airbench94_muon.py): eight epochs of 25
    # batches of 2,000, and its rate, momentum and iterations for convolutions. There, SGD trains head and
    # biases; here Muon trains the head, and its AdamW the biases, at a tenth of the rate (our choice).
    "fast_muon": RecipeSpec(
        epochs=8,
        batch_size=2000,
        optimizer=Muon(
            name="muon",
            momentum=0.6,
            ns_steps=3,
            adjust_lr_fn="original",
            fallback_lr_scale=0.1,
            normalize_kernels=True,
        ),
        learning_rate=0.24,
        weight_decay=0,
        schedule="linear",
        label_smoothing=0.2,
        crop="reflect2",
        flip="alternating",
        evaluate_every=8,
    ),
    "smoke": RecipeSpec(epochs=2, batch_size=64, learning_rate=0.05),
    # The paper's transfer. It names 5e-5, with ten times that for the new head, and weight decay 1e-3;
    # it follows a textbook whose code sums the loss over the batch and uses SGD without momentum.
    # On a mean loss both are converted: the rate times the batch size, the decay divided by it
    # (docs/methods.md, "Fine-tuning").
    "paper_finetune": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-5 * TRANSFER_BATCH_SIZE,
        head_learning_rate_factor=10,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="pretrained",
    ),
    "head_only": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-5 * TRANSFER_BATCH_SIZE,
        head_learning_rate_factor=10,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="pretrained",
        trainable="head",
    ),
    "from_scratch": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-4 * TRANSFER_BATCH_SIZE,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="scratch",
    ),
}
