"""Where the known data sets come from, and their licences, as far as their authors state one."""

from typing import NamedTuple

NOT_STATED = "not stated"


class Origin(NamedTuple):
    """A data set's home page and its licence: an SPDX name, or a sentence."""

    url: str
    licence: str = NOT_STATED


# As we know them from the home pages, which can't be read in our tests: the key `license` of a data set
# comes before this table. Most collections of photos state no licence for the photos.
ORIGINS = {
    "cifar10": Origin("https://www.cs.toronto.edu/~kriz/cifar.html"),
    "digits": Origin("https://doi.org/10.24432/C50P49", "CC-BY-4.0"),
    "cifar100": Origin("https://www.cs.toronto.edu/~kriz/cifar.html"),
    "mnist": Origin("http://yann.lecun.com/exdb/mnist/"),
    "fashion_mnist": Origin("https://github.com/zalandoresearch/fashion-mnist", "MIT"),
    "kmnist": Origin("https://github.com/rois-codh/kmnist", "CC-BY-SA-4.0"),
    "svhn": Origin("http://ufldl.stanford.edu/housenumbers/", "for non-commercial use only"),
    "flowers102": Origin("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"),
    "food101": Origin("https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/"),
    "oxford_iiit_pet": Origin("https://www.robots.ox.ac.uk/~vgg/data/pets/", "CC-BY-SA-4.0"),
    "dtd": Origin("https://www.robots.ox.ac.uk/~vgg/data/dtd/", "for research purposes"),
    "fgvc_aircraft": Origin(
        "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        "for non-commercial research purposes",
    ),
    "eurosat": Origin("https://github.com/phelber/EuroSAT", "MIT"),
    "imagenette": Origin("https://github.com/fastai/imagenette", "Apache-2.0"),
    "country211": Origin("https://github.com/openai/CLIP/blob/main/data/country211.md"),
    "medmnist": Origin("https://medmnist.com/"),
}
