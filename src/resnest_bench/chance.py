"""Whether a network learned more than which class is the most frequent (floor 0)."""

from scipy.special import bdtrc

from resnest_bench.records import Record, unpack_bits

SIGNIFICANCE = 0.05
ONE_CLASS = "every test image is predicted as"
NOT_ABOVE = "accuracy is not significantly above"


def describe_chance(record: Record) -> str:
    """Why a training's accuracy is no better than chance, in words; '' where it is, or not known.

    Chance is the no-information rate: the accuracy of always answering the most frequent class of
    the test images. Accuracy is above it where a one-sided exact binomial test at 5 % says so, as in
    "P-Value [Acc > NIR]" of `confusionMatrix` in Kuhn's caret (Journal of Statistical Software 28(5),
    2008). The plain comparison would let lucky guesses on few images pass: 52.5 % of 160 where half
    is chance.

    The text holds no figure of the seed, so that seeds with the same remark share one line. Records
    from before the counts were kept say nothing.
    """
    train, data = record.images, record.dataset
    if train is None or data is None:
        return ""
    predicted, actual = train.test_predictions_per_class, data.test_images_per_class
    if predicted and max(predicted) == sum(predicted):
        return f"{ONE_CLASS} {data.classes[predicted.index(sum(predicted))]!r}"
    if not actual:
        return ""
    majority, num_test = max(actual), sum(actual)
    num_correct = int(unpack_bits(train.test_correct, train.num_test).sum())
    if is_above_chance(num_correct, num_test, majority / num_test):
        return ""
    name = data.classes[actual.index(majority)]
    return f"{NOT_ABOVE} the {100 * majority / num_test:.1f} % of always answering {name!r}"


def is_above_chance(num_correct: int, num_test: int, chance: float) -> bool:
    """Whether so many hits or more have a probability of at most 5 % by chance alone."""
    # bdtrc(k, n, p) is P(X > k), and takes no negative k.
    return num_correct > 0 and bool(bdtrc(num_correct - 1, num_test, chance) <= SIGNIFICANCE)


def is_chance_remark(remark: str) -> bool:
    """Return whether the remark of a run says that its accuracy is at chance level."""
    return ONE_CLASS in remark or NOT_ABOVE in remark
