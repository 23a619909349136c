"""Numbers of a JSON document as RapidJSON 1.1.0 reads them without its full precision.

An integer is one as long as it fits 64 bits, signed if there is a minus and unsigned if not. Other numbers come within
a few units in the last place of what was written, and not always as the nearest double.
"""

from typing import Final

_TENTH_OF_MAX: Final = 1.7976931348623157e307
_EXACT: Final = 2**53 - 1
_SAFE: Final = 15
"""So many digits are always exact in a double."""
_SIGNIFICANT: Final = 17
_MAX_EXPONENT: Final = 308
_MAX_DIGITS: Final = 311
"""No double has more digits before its point."""


class TooBigError(ValueError):
    """A number that no double can hold."""


def integer_of(text: str) -> int | float:
    """Value of an integer literal. Raises TooBigError."""
    return number_of(text.removeprefix("-"), minus=text.startswith("-"))


def float_of(text: str) -> float:
    """Value of a literal with a point or an exponent. Raises TooBigError."""
    if len(text) <= 16 and "e" not in text and "E" not in text:
        return float(text)  # fifteen digits at most: the nearest double is what RapidJSON finds as well
    mantissa, _, exponent = text.lower().partition("e")
    whole, point, fraction = mantissa.removeprefix("-").partition(".")
    return float(
        number_of(
            whole, fraction if point else None, int(exponent[:4000]) if exponent else None, minus=text.startswith("-")
        )
    )


def number_of(whole: str, fraction: str | None = None, exponent: int | None = None, *, minus: bool) -> int | float:
    """Value of a number from its parts; None where a part is missing. Raises TooBigError."""
    kept = _fitting(whole, 2**63 if minus else 2**64 - 1)
    if kept == len(whole) and fraction is None and exponent is None:
        return -int(whole) if minus else int(whole)
    significand = _big(whole, kept)
    scale = 0
    if fraction is not None:
        significand, scale = _with_fraction(int(whole) if kept == len(whole) else significand, fraction, kept - 1)
    if exponent is not None:
        if exponent > max(9, _MAX_EXPONENT - scale):
            raise TooBigError
        scale += exponent
    value = _scaled(_scaled(significand, -_MAX_EXPONENT), scale + _MAX_EXPONENT) if scale < -_MAX_EXPONENT else None
    value = _scaled(significand, scale) if value is None else value
    return -value if minus else value


def _fitting(digits: str, limit: int) -> int:
    """How many of the first digits make a number within the limit."""
    if len(digits) < 19:
        return len(digits)
    return next(count for count in (20, 19, 18) if count <= len(digits) and int(digits[:count]) <= limit)


def _big(digits: str, kept: int) -> float:
    """Value of an integer, of which the first `kept` digits are exact."""
    if len(digits) > _MAX_DIGITS:
        raise TooBigError
    value = float(int(digits[:kept]))
    for digit in digits[kept:]:
        if value >= _TENTH_OF_MAX:
            raise TooBigError
        value = value * 10 + int(digit)
    return value


def _with_fraction(whole: float, digits: str, significant: int) -> tuple[float, int]:
    """Append the digits after the point: the significand and its power of ten. `significant` digits went before."""
    used = 0
    value = whole
    if isinstance(value, int):
        used = max(0, min(len(digits), _SAFE - len(str(value)) * (value != 0)))
        head = int(digits[:used] or "0")  # what surely stays exact is taken at once, for speed
        significant += used if value else len(str(head)) * (head != 0)
        value = value * 10**used + head
        while used < len(digits) and value <= _EXACT:
            value = value * 10 + int(digits[used])
            used += 1
            significant += value != 0
        value = float(value)
    taken = used
    for digit in digits[used:]:
        if significant >= _SIGNIFICANT:
            break
        value = value * 10.0 + int(digit)
        taken += 1
        significant += value > 0.0
    return value, -taken


def _scaled(value: float, power: int) -> float:
    if power < -_MAX_EXPONENT:
        return 0.0
    return value * float(f"1e{power}") if power >= 0 else value / float(f"1e{-power}")
