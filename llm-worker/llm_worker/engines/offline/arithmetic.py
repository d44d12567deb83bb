"""Arithmetic in words or digits: "what is seven plus five", "12 x 3 - 4". No eval, and only four operations."""

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
#: A recognizer writes these for a lone number, and nothing else makes sense beside an operator.
_HOMOPHONES = {"won": 1, "to": 2, "too": 2, "for": 4, "ate": 8}

# fmt: off
_OPERATORS = {
    "plus": "plus", "+": "plus",
    "minus": "minus", "-": "minus", "−": "minus",
    "times": "times", "multiplied": "times", "x": "times", "×": "times", "*": "times",
    "divided": "divided by", "over": "divided by", "/": "divided by", "÷": "divided by",
}
# fmt: on

#: Words that change the meaning of an expression in ways that this module does not implement.
_UNSUPPORTED = frozenset(
    {"thousand", "million", "billion", "point", "percent", "half", "third", "quarter", "squared", "root", "negative"}
)

#: Without blanks, "555-1234" and "5/3" are a telephone number and a date; with blanks they are expressions.
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]+|[+*×÷]|(?<=\s)[-−/](?=\s)")
_MAX_DIGITS = 9
_MAX_TERMS = 10

Tokens = list[str]


def solve(question: str) -> str | None:
    """The expression in `question` and its result, in a sentence; None if there is none that can be computed."""
    # "1,000" is one number, "sixty-five" two words.
    text = re.sub(r"(?<=\d),(?=\d{3})", "", question.lower())
    tokens = _TOKEN.findall(re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text))
    if _UNSUPPORTED.intersection(tokens):
        return None
    for start in range(len(tokens)):
        terms, operators, rest = _read_expression(tokens[start:])
        if operators:
            # "one two plus three" may mean twelve or two: better no result than a wrong one.
            neighbours = [*tokens[max(0, start - 1) : start], *rest[:1]]
            is_ambiguous = any(_is_number(token) for token in neighbours)
            return None if is_ambiguous or len(terms) > _MAX_TERMS else _sentence(terms, operators)
    return None


def _read_expression(tokens: Tokens) -> tuple[list[Fraction], list[str], Tokens]:
    """The numbers at the start, the operators between them, and the remaining tokens."""
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
    """The number at the start, None without one, and how many tokens it takes."""
    if not tokens:
        return None, 0
    first = tokens[0]
    if first[0].isdigit():
        return (Fraction(first), 1) if len(first) <= _MAX_DIGITS else (None, 0)
    if first in _HOMOPHONES:
        return Fraction(_HOMOPHONES[first]), 1
    value, used = _below_hundred(tokens)
    if used and tokens[used : used + 1] == ["hundred"]:
        value *= 100
        used += 1
        skip = 1 if tokens[used : used + 1] == ["and"] else 0
        rest, rest_used = _below_hundred(tokens[used + skip :])
        if rest_used:
            value += rest
            used += skip + rest_used
    elif used == 1 and first == "a":
        return None, 0
    return (Fraction(value), used) if used else (None, 0)


def _below_hundred(tokens: Tokens) -> tuple[int, int]:
    """The number below a hundred at the start, in words, and how many tokens it takes; 0 of each without one."""
    if tokens and tokens[0] in _LARGE_TENS:
        unit = _SMALL.get(tokens[1], 0) if len(tokens) > 1 and tokens[1] in _UNITS[1:10] else 0
        return _LARGE_TENS[tokens[0]] + unit, 2 if unit else 1
    return (_SMALL[tokens[0]], 1) if tokens and tokens[0] in _SMALL else (0, 0)


def _sentence(terms: list[Fraction], operators: list[str]) -> str:
    result = _evaluate(terms, operators)
    if result is None:
        return "I cannot divide by zero."
    expression = spell(terms[0]) + "".join(
        f" {name} {spell(term)}" for name, term in zip(operators, terms[1:], strict=True)
    )
    about = "" if _round_to_cents(result) == result else "about "
    return f"{expression[0].upper()}{expression[1:]} is {about}{spell(result)}."


def _evaluate(terms: list[Fraction], operators: list[str]) -> Fraction | None:
    """The value, with multiplication and division first; None for a division by zero."""
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


def _round_to_cents(number: Fraction) -> Fraction:
    return Fraction(round(number * 100), 100)


def spell(number: Fraction) -> str:
    """The number in words, with at most two decimals; in digits from a million on."""
    rounded = _round_to_cents(number)
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
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_UNITS[hundreds]} hundred" + (f" and {_spell_whole(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    return f"{_spell_whole(thousands)} thousand" + (f" {_spell_whole(rest)}" if rest else "")
