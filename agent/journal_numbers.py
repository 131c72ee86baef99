"""CORE. Which rows of a journal have the number that belongs to their place: a bit may have been flipped in one.

Numbers rise by one from row to row: the writer leaves none out and deletes the oldest alone. A cursor that believed a number far
ahead would pass over every call that comes until then.
"""

from bisect import bisect_left
from collections.abc import Sequence


def in_a_row(numbers: Sequence[int], after: int, last_given: int | None) -> bool:
    """Whether these are the next ones behind `after` (0: from anywhere). last_given: the highest ever given, if known."""
    if not numbers:
        return last_given is None or last_given <= after
    if last_given is not None and numbers[0] > last_given:
        return False
    begin = after + 1 if after else numbers[0]
    return list(numbers) == list(range(begin, begin + len(numbers)))


def fitting(numbers: Sequence[int], last_given: int | None) -> set[int]:
    """Of numbers as they lie, the places of those that rise: as many as there can be. One above `last_given` fits only right
    behind the one before it."""
    lowest, places = list[int](), list[int]()
    """Of all rising rows so long: the lowest end that one has, and its place."""
    before = list[int]()
    for place, number in enumerate(numbers):
        length = bisect_left(lowest, number)
        before.append(places[length - 1] if length else -1)
        lowest[length : length + 1] = [number]
        places[length : length + 1] = [place]
    found, place = list[int](), places[-1] if places else -1
    while place >= 0:
        found.append(place)
        place = before[place]
    found.reverse()
    while last_given is not None and found and numbers[found[-1]] > last_given:
        if len(found) > 1 and numbers[found[-1]] == numbers[found[-2]] + 1:
            break
        found.pop()
    return set(found)
