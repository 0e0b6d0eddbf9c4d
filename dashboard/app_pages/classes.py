"""Which classes does a network confuse, where do two networks differ, and what does each measure say?"""

import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import class_differences_chart, confusion_chart
from resnest_bench.comparisons.differences import find_trainings, main_trainings
from resnest_bench.comparisons.per_class import (
    MAX_IMAGES,
    class_differences,
    count_disputed,
    disputed_images,
    make_class_tables,
)
from resnest_bench.frames.predictions import NOT_KEPT, ClassPredictions
from resnest_bench.paths import Experiment
from resnest_bench.report.per_class import (
    per_class_caption,
    per_class_notes,
    scores_caption,
    scores_display,
)
from resnest_bench.tables.per_class import confusion_table, per_class_table
from resnest_bench.tables.selection import list_experiments
from resnest_bench.words import count_noun

# Two matrices of more classes are one above the other.
MAX_BESIDE = 10
NOTHING = make_class_tables(None)["class_differences"]
MEASURES = {"precision": "precision", "recall": "recall", "f1": "F1"}
LABELS = {
    "num_images": "test images",
    "n": "n (seeds)",
    **{f"{name}_mean_percent": f"{text} (%)" for name, text in MEASURES.items()},
    **{f"{name}_low_percent": f"{text}: 95 % from" for name, text in MEASURES.items()},
    **{f"{name}_high_percent": f"{text}: to" for name, text in MEASURES.items()},
}
DIFFERENCES = {
    "class": None,
    "num_images": "test images",
    "difference_points": "difference in recall (points)",
    "low_points": "95 % from",
    "high_points": "95 % to",
    "n": "n (paired seeds)",
    "holm_p": "p (Holm)",
    "status": None,
}
DISPUTED = {
    "right": "right in most seeds",
    "wrong": "wrong in most seeds",
    "image": "test image",
    "file": "file",
    "class": "class",
    "mistaken_for": "mistaken for",
    "right_seeds": "right: seeds",
    "right_n": "of",
    "wrong_seeds": "wrong: seeds that are right",
    "wrong_n": "of ",
}


def choose_experiment(first: data.Loaded) -> Experiment:
    places, _ = list_experiments(first.study)
    main = main_trainings(first.study)
    if main:
        places.sort(key=lambda place: place != main.experiment)
    place = views.pick_experiment("Trained or fine-tuned", places, "training")
    assert place is not None
    return place


def choose_networks(one: data.Loaded, place: Experiment) -> list[str]:
    """The network to look at and, if there are two, the one to compare it with."""
    found = data.class_predictions(one, place)
    names = list(data.rank_by_accuracy(one, place, found.variants)) if found else []
    if len(names) < 2:
        return names
    left, right = st.columns(2)
    ours = address.pick_one("Network", names, "network", draw=left.selectbox)
    others = [name for name in names if name != ours]
    return [ours, address.pick_one("Compared with", others, "other", draw=right.selectbox)]


def show(one: data.Loaded, place: Experiment, names: list[str]) -> None:
    name = one.name.replace("/", "_")
    show_measures(one, place, name)
    trainings = find_trainings(one.study, place)
    found = data.class_predictions(one, place)
    views.show_caption(per_class_caption(found, trainings, one.study))
    for note in per_class_notes(found):
        st.caption(f"- {views.plain(note)}")
    if found is None or not found.variants:
        views.chart(class_differences_chart(NOTHING), f"confusion_{name}")
        st.caption(
            "Trainings keep the predicted class and the probabilities of each test image since they are part "
            "of a record. To have them here, delete a record and run the study again."
        )
        return
    # Next to another study, a network may be missing here.
    names = [variant for variant in names if variant in found.variants] or [found.variants[0]]
    table = confusion_table(found)
    columns = st.columns(len(names)) if len(found.classes) <= MAX_BESIDE else [st.container()] * 2
    for column, variant in zip(columns, names, strict=False):
        with column:
            views.chart(confusion_chart(table, variant), f"confusion_{name}_{variant}")
    show_classes(found, name)
    if len(names) > 1:
        show_pair(one, place, found, names[0], names[1])


def show_measures(one: data.Loaded, place: Experiment, name: str) -> None:
    scores = data.scores(one, place)
    views.show_caption(scores_caption(scores, find_trainings(one.study, place), one.study))
    if not len(scores):
        return
    st.dataframe(scores_display(scores), hide_index=True, width="stretch", key=f"measures_{name}")
    if not {"balanced_accuracy", "macro_f1"} & set(scores["metric"]):
        st.caption(f"Other measures are missing: {NOT_KEPT}.")
    with st.expander("All values of the measures, unrounded"):
        views.table(scores, f"scores_{name}")


def show_classes(found: ClassPredictions, name: str) -> None:
    with st.expander("Precision, recall and F1 of each class"):
        table = per_class_table(found)
        views.table(table[["variant", "class", *LABELS]], f"per_class_{name}", LABELS, "Classes")


def show_pair(
    one: data.Loaded, place: Experiment, found: ClassPredictions, ours: str, base: str
) -> None:
    name = one.name.replace("/", "_")
    rows = class_differences(found, [(ours, base)])
    views.chart(class_differences_chart(rows), f"class_differences_{name}")
    labels = {column: text for column, text in DIFFERENCES.items() if text}
    with st.expander("The differences as a table"):
        views.table(rows[list(DIFFERENCES)], f"class_differences_table_{name}", labels, "Classes")
    st.subheader("Images that one gets right and the other wrong")
    for right, wrong in ((ours, base), (base, ours)):
        count = count_noun(count_disputed(found, right, wrong), "image")
        text = f"{count}: right in most seeds of {right}, wrong in most of {wrong}"
        st.markdown(f"- {views.plain(text)}")
    names = one.results.image_names(place, found)
    images = disputed_images(found, ours, base, names)
    if names is None:
        images = images.drop(columns="file")
    shown = {column: text for column, text in DISPUTED.items() if column in images}
    views.table(images[list(shown)], f"disputed_{name}", shown, "Images")
    st.caption(
        f"The clearest {MAX_IMAGES} in each direction. A number is the image's place among the test images, "
        "from 0."
    )


st.header("Per class")
first = picker.loaded_study()
if not list_experiments(first.study)[0]:
    st.info("This study trains no network, so there are no predictions.")
    st.stop()
place = choose_experiment(first)
names = choose_networks(first, place)
for one in picker.side_by_side():
    show(one, place, names)
