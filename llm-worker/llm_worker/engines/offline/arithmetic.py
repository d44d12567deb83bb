"""Sums in words or digits: "what is seven plus five", "12 x 3 - 4". No eval, and nothing beyond four operations."""

import re
from fractions import Fraction

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {"a": 1}
_LARGE_TENS = {word: 10 * value for value, word in enumerate(_TENS, start=2)}
# A recognizer hears these for a lone number, and nothing else makes sense beside an operator.
_HOMOPHONES = {"won": 1, "to": 2, "too": 2, "for": 4, "ate": 8}

_OPERATORS = {"plus": "plus", "+": "plus", "minus": "minus", "-": "minus", "−": "minus", "times": "times", "*": "times"}
_OPERATORS |= {"x": "times", "×": "times", "multiplied": "times", "divided": "divided by", "over": "divided by"}
_OPERATORS |= {"/": "divided by", "÷": "divided by"}

# Where one of these is said, what this file understands of the sum is not what was asked.
_BEYOND = frozenset(
    {"thousand", "million", "billion", "point", "percent", "half", "third", "quarter", "squared", "root", "negative"}
)

# Written tight, "555-1234" and "5/3" are a telephone number and a date; with blanks around them they are sums.
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]+|[+*×÷]|(?<=\s)[-−/](?=\s)")
_MAX_DIGITS = 9
_MAX_TERMS = 10

Tokens = list[str]


def solve(question: str) -> str | None:
    """The sum and its result as a spoken sentence; None if nothing is asked that can be worked out here."""
    # "1,000" is one number, "sixty-five" two words.
    text = re.sub(r"(?<=\d),(?=\d{3})", "", question.lower())
    tokens = _TOKEN.findall(re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text))
    if _BEYOND.intersection(tokens):
        return None
    for start in range(len(tokens)):
        terms, operators, rest = _read_sum(tokens[start:])
        if operators:
            # "one two plus three" may mean twelve or two: better no result than a wrong one.
            torn = any(_is_number(token) for token in [*tokens[max(0, start - 1) : start], *rest[:1]])
            return None if torn or len(terms) > _MAX_TERMS else _sentence(terms, operators)
    return None


def _read_sum(tokens: Tokens) -> tuple[list[Fraction], list[str], Tokens]:
    """The numbers and the operators between them at the start, and the tokens after them."""
    terms: list[Fraction] = []
    operators: list[str] = []
    while True:
        number, used = _read_number(tokens)
        if number is None:
            return terms, operators[:-1], tokens
        terms.append(number)
        tokens = tokens[used:]
        if not tokens or tokens[0] not in _OPERATORS:
            return terms, operators, tokens
        operators.append(_OPERATORS[tokens[0]])
        tokens = tokens[2:] if tokens[1:2] == ["by"] else tokens[1:]


def _is_number(token: str) -> bool:
    return token[0].isdigit() or token in _LARGE_TENS or token in _UNITS or token == "hundred"


def _read_number(tokens: Tokens) -> tuple[Fraction | None, int]:
    """The number at the start and how many tokens it takes."""
    if not tokens:
        return None, 0
    first = tokens[0]
    if first[0].isdigit():
        return (Fraction(first), 1) if len(first) <= _MAX_DIGITS else (None, 0)
    if first in _HOMOPHONES:
        return Fraction(_HOMOPHONES[first]), 1
    value, used = _below_hundred(tokens)
    if used and tokens[used : used + 1] == ["hundred"]:
        value, used = 100 * value, used + 1
        skip = 1 if tokens[used : used + 1] == ["and"] else 0
        rest, more = _below_hundred(tokens[used + skip :])
        if more:
            value, used = value + rest, used + skip + more
    elif used == 1 and first == "a":
        return None, 0
    return (Fraction(value), used) if used else (None, 0)


def _below_hundred(tokens: Tokens) -> tuple[int, int]:
    if tokens and tokens[0] in _LARGE_TENS:
        unit = _SMALL.get(tokens[1], 0) if len(tokens) > 1 and tokens[1] in _UNITS[1:10] else 0
        return _LARGE_TENS[tokens[0]] + unit, 2 if unit else 1
    return (_SMALL[tokens[0]], 1) if tokens and tokens[0] in _SMALL else (0, 0)


def _sentence(terms: list[Fraction], operators: list[str]) -> str:
    result = _evaluate(terms, operators)
    if result is None:
        return "I cannot divide by zero."
    asked = spell(terms[0]) + "".join(f" {name} {spell(term)}" for name, term in zip(operators, terms[1:], strict=True))
    about = "" if _decimals(result) == result else "about "
    return f"{asked[0].upper()}{asked[1:]} is {about}{spell(result)}."


def _evaluate(terms: list[Fraction], operators: list[str]) -> Fraction | None:
    """The value, multiplying and dividing first; None for a division by zero."""
    summands = [terms[0]]
    for name, term in zip(operators, terms[1:], strict=True):
        if name == "times":
            summands[-1] *= term
        elif name == "divided by":
            if term == 0:
                return None
            summands[-1] /= term
        else:
            summands.append(term if name == "plus" else -term)
    return sum(summands, Fraction(0))


def _decimals(number: Fraction) -> Fraction:
    return Fraction(round(number * 100), 100)


def spell(number: Fraction) -> str:
    """The number in words, with at most two decimals; from a million on in digits."""
    rounded = _decimals(number)
    if rounded < 0:
        return f"minus {spell(-rounded)}"
    whole, cents = divmod(int(rounded * 100), 100)
    if whole >= 1_000_000:
        return str(whole) + (f".{cents:02}".rstrip("0") if cents else "")
    digits = f"{cents:02}".rstrip("0") if cents else ""
    return _spell_whole(whole) + (" point " + " ".join(_UNITS[int(digit)] for digit in digits) if digits else "")


def _spell_whole(number: int) -> str:
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_UNITS[unit]}" if unit else "")
    size, name, joint = (100, "hundred", " and ") if number < 1000 else (1000, "thousand", " ")
    count, rest = divmod(number, size)
    return f"{_spell_whole(count)} {name}" + (f"{joint}{_spell_whole(rest)}" if rest else "")
