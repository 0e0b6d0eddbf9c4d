from resnest_bench.charts.labels import GAP, LETTER_WIDTH, LINE_HEIGHT, place_labels


def boxes(xs, ys, texts, places):
    found = []
    for x, y, text, place in zip(xs, ys, texts, places, strict=True):
        if place is None:
            continue
        align, dy = place
        width = LETTER_WIDTH * len(text)
        left = {"left": x + GAP, "right": x - GAP - width, "center": x - width / 2}[align]
        found.append((left, y + dy - LINE_HEIGHT / 2, left + width, y + dy + LINE_HEIGHT / 2))
    return found


def test_a_label_alone_stands_at_the_right():
    assert place_labels([100.0], [100.0], ["name"], 560, 380)[0][0] == "left"


def test_at_the_right_edge_it_stands_at_the_left():
    assert place_labels([550.0], [100.0], ["ResNeSt-14"], 560, 380)[0][0] == "right"


def test_no_two_labels_overlap_and_none_leaves_the_plane():
    xs = [100.0 + 9 * (k % 5) for k in range(20)]
    ys = [100.0 + 9 * (k // 5) for k in range(20)]
    texts = [f"ResNeSt-14-{k}s1x64d" for k in range(20)]
    places = place_labels(xs, ys, texts, 560, 380)
    placed = boxes(xs, ys, texts, places)
    assert 2 <= len(placed) < 20, "there is room for some, not for all"
    for i, a in enumerate(placed):
        assert a[0] >= 0 <= a[1]
        assert a[2] <= 560
        for b in placed[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_the_first_in_the_list_gets_its_place():
    crowd = place_labels(
        [50.0, 50.0, 50.0, 50.0], [50.0, 50.0, 50.0, 50.0], ["a" * 8] * 4, 120, 100
    )
    assert crowd[0] is not None
