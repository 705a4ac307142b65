"""Numbers as people say them."""

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, such as "1 photo" and "3 photos"."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def number(value: int) -> str:
    """A number in letters up to ten, such as "four"; in figures above."""
    return NUMBERS[value] if value < len(NUMBERS) else str(value)


def ordinal(place: int) -> str:
    """A place from 1 on, such as "Second"; in figures above ten."""
    return ORDINALS[place - 1] if place <= len(ORDINALS) else f"{place}th"
