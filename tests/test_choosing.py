"""Images are chosen by what they contain; objects of one class that touch are found."""

from seglib.data import easy_to_follow, find_image, touching_pairs
from seglib.structures import Target
from tests.modelling import boxes_target
from tests.toy_dataset import ToyDataset


def squares(*corners: tuple[int, int], labels: list[int], crowd: tuple[int, ...] = ()) -> Target:
    """Squares of 2 x 2 pixels in an image of 10 x 10, by (row, column) of their first pixel."""
    boxes = [[column, row, column + 2, row + 2] for row, column in corners]
    iscrowd = [number in crowd for number in range(len(corners))]
    return boxes_target((10, 10), boxes, labels, iscrowd=iscrowd)


def test_neighbours_of_one_class_touch_even_at_a_corner():
    row = squares((0, 0), (0, 2), (2, 4), labels=[1, 1, 1])
    assert touching_pairs(row).tolist() == [[0, 1], [1, 2]]


def test_a_gap_of_one_pixel_another_class_or_a_crowd_does_not_count():
    assert touching_pairs(squares((0, 0), (0, 3), labels=[1, 1])).tolist() == []
    assert touching_pairs(squares((0, 0), (0, 2), labels=[1, 2])).tolist() == []
    assert touching_pairs(squares((0, 0), (0, 2), labels=[1, 1], crowd=(1,))).tolist() == []


def test_overlapping_objects_touch_and_an_empty_target_has_no_pairs():
    assert touching_pairs(squares((0, 0), (1, 1), labels=[3, 3])).tolist() == [[0, 1]]
    assert touching_pairs(squares(labels=[])).shape == (0, 2)


def test_the_best_image_is_found_and_ties_go_to_the_first():
    toy = ToyDataset(5)
    areas = [float(toy[i][1].masks.sum()) for i in range(5)]
    largest = find_image(toy, lambda target: float(target.masks.sum()))
    assert largest == max(range(5), key=areas.__getitem__)
    assert find_image(toy, lambda target: 1.0) == 0
    assert find_image(toy, lambda target: float(target.masks.sum()), limit=1) == 0


def test_an_image_is_easy_with_large_objects_of_one_class_apart():
    apart = squares((0, 0), (4, 4), labels=[1, 1])
    assert easy_to_follow(apart, small=2) == 2 + 0.5 * 2  # two objects of 4 pixels, both of class 1
    assert easy_to_follow(apart, small=4) == -0.5 * 2 + 0.5 * 2  # now both are small
    overlapping = squares((0, 0), (0, 0), labels=[1, 1])
    assert easy_to_follow(overlapping, small=2) == 3 - 4  # each is covered by the other
    assert easy_to_follow(squares(labels=[]), small=2) == 0
    assert easy_to_follow(squares((0, 0), labels=[1], crowd=(0,)), small=2) == 0
