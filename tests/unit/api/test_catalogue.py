"""The catalogue of problems: each is complete, defined once, and raised with the parameters of its sentence."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.problems.catalogue import PROBLEMS, Problems
from api.problems.domain_errors import problem_of
from api.problems.problem import Problem, ProblemType
from shared.errors import CascadeError, EngineCrashed, QueueFull, QueueUnavailable

API = Path(__file__).parents[3] / "api"


def parse_modules() -> Iterator[tuple[Path, ast.Module]]:
    """The modules of the API outside the catalogue's folder."""
    for path in sorted(API.rglob("*.py")):
        if path.parent.name != "problems":
            yield path, ast.parse(path.read_text())


def parameters_of(kind: ProblemType) -> set[str]:
    """The names in braces of a problem's sentence and headers."""
    templates = [kind.sentence, *kind.headers.values()] if kind.error is None else [*kind.headers.values()]
    return {name for template in templates for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.code)
def test_a_problem_is_complete(kind: ProblemType) -> None:
    """Each problem has an error status, a sentence, a reason and an example of exactly its parameters."""
    assert 400 <= kind.status < 600
    assert kind.when.endswith(".")
    assert set(kind.example) == parameters_of(kind)
    assert Problem(kind, **kind.example).detail.endswith(".")


def test_a_code_is_defined_once() -> None:
    """No two problems share a code or a sentence."""
    assert len({kind.code for kind in PROBLEMS}) == len(PROBLEMS)
    assert len({kind.sentence for kind in PROBLEMS}) == len(PROBLEMS)


def test_the_catalogue_lists_every_problem() -> None:
    """PROBLEMS has every member of Problems, whichever part defines it."""
    assert {getattr(Problems, name).code for name in dir(Problems) if name.isupper()} == {
        kind.code for kind in PROBLEMS
    }


def test_codes_and_sentences_stand_in_the_catalogue_alone() -> None:
    """No other module of the API repeats the code or the sentence of a problem."""
    catalogued = {text for kind in PROBLEMS for text in (kind.code, kind.sentence)}
    for path, module in parse_modules():
        literals = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant)}
        assert not literals & catalogued, path


def test_a_problem_is_raised_with_its_parameters() -> None:
    """Each `Problem(Problems.X, …)` passes the parameters of the sentence and the headers, and no others."""
    raised = set()
    for path, module in parse_modules():
        for call in ast.walk(module):
            match call:
                case ast.Call(ast.Name("Problem"), [ast.Attribute(ast.Name("Problems"), name)], keywords):
                    kind = getattr(Problems, name)
                    assert {keyword.arg for keyword in keywords} == parameters_of(kind), (path, call.lineno)
                    raised.add(kind.code)
    assert len(raised) > 30, "the search finds the calls"


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (QueueFull(retry_after_s=7.2), 503, {"Retry-After": "8"}),
        (QueueUnavailable(), 503, {"Retry-After": "5"}),
        (EngineCrashed("A {brace} is no parameter."), 500, {}),
    ],
)
def test_a_domain_error_becomes_a_problem(error: CascadeError, status: int, headers: dict[str, str]) -> None:
    """A domain error keeps its code and message; the catalogue adds the status and the headers."""
    problem = problem_of(error)
    assert (problem.status, problem.code, problem.detail) == (status, error.code, error.public_message)
    assert problem.headers == headers
