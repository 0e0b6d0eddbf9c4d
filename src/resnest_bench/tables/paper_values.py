"""The values that the paper prints: the only results in this package without a record.

CIFAR-10, batch 256, 20 epochs, an NVIDIA T4, no number of runs given. Its "ms" is
1000 / (images per second) in every row but one: a latency was never measured.
"""

from dataclasses import dataclass

DEVICE = "T4"


@dataclass(frozen=True)
class PrintedRow:
    """One printed row: parameters as text, ms per image, images per second, accuracy in %."""

    params: str
    ms_per_image: float
    images_per_second: float
    accuracy_percent: float
    device: str = DEVICE


ABLATION: dict[str, PrintedRow] = {
    "ResNet-14-0s1x64d": PrintedRow("8.03M", 0.1223, 8177, 58.08),
    "ResNet-14-1s1x64d": PrintedRow("8.21M", 0.1311, 7624, 58.68),
    "ResNeSt-14-0s1x64d": PrintedRow("8.06M", 0.1716, 5826, 62.96),
    "ResNeSt-14-1s1x64d": PrintedRow("8.23M", 0.1282, 7797, 61.21),
    "ResNeSt-14-1s1x40d": PrintedRow("5.44M", 0.1435, 6967, 61.22),
    "ResNeSt-14-1s2x64d": PrintedRow("13.63M", 0.1307, 7646, 62.95),
    "ResNeSt-14-2s1x64d": PrintedRow("8.58M", 0.1545, 6471, 62.64),
}

TRADEOFF: dict[str, PrintedRow] = {
    "ResNeSt-14": PrintedRow("8.58M", 0.1808, 5530, 61.68),
    "ResNeSt-32": PrintedRow("16.56M", 0.1761, 5678, 59.04),
    "ResNeSt-50": PrintedRow("25.45M", 0.1894, 5277, 59.45),
    "ResNeSt-101": PrintedRow("46.14M", 0.2670, 3745, 58.18),
    "ResNet-18": PrintedRow("11.18M", 0.1247, 8016, 58.55),
    "EfficientNet-b0": PrintedRow("4.02M", 0.1450, 6668, 50.72),
    "EfficientNet-b1": PrintedRow("6.53M", 0.1692, 5908, 46.57),
    "EfficientNet-b2": PrintedRow("7.72M", 0.1703, 5871, 43.23),
    "EfficientNet-b3": PrintedRow("10.71M", 0.2181, 4584, 41.80),
}

# Hot dogs: ImageNet weights, everything fine-tuned. (variant, recipe) -> printed accuracy in %.
TRANSFER: dict[tuple[str, str], float] = {
    ("ResNeSt-50-ImageNet", "paper_finetune"): 95.0,
    ("ResNet-50-ImageNet", "paper_finetune"): 90.7,
}
