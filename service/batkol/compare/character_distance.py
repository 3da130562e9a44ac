"""The number of characters to change, add or remove that make one text of another.

Hyyrö's form of Myers' algorithm ("A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003):
a column of the table is two whole numbers with a bit for each character, so a call of 3,000 characters takes
milliseconds.
"""

from __future__ import annotations


def character_distance(one: str, other: str) -> int:
    """Return the Levenshtein distance."""
    if not one:
        return len(other)
    every = (1 << len(one)) - 1
    last = 1 << (len(one) - 1)
    places: dict[str, int] = {}
    for at, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << at
    rises, falls, distance = every, 0, len(one)
    for character in other:
        equal = places.get(character, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & every
        up = falls | (~(diagonal | rises) & every)
        down = diagonal & rises
        if up & last:
            distance += 1
        elif down & last:
            distance -= 1
        up = ((up << 1) | 1) & every
        down = (down << 1) & every
        rises = down | (~(diagonal | up) & every)
        falls = up & diagonal
    return distance
