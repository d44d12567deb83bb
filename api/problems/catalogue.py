"""The catalogue of problems: each code, status, sentence and header once, for `raise` and for the OpenAPI document."""

from api.problems.body_problems import BodyProblems
from api.problems.job_problems import JobProblems
from api.problems.problem import ProblemType
from api.problems.request_problems import RequestProblems


class Problems(RequestProblems, BodyProblems, JobProblems):
    """Every problem type of the API, by name."""


#: Every problem type, in the order in which a request may meet them.
PROBLEMS: tuple[ProblemType, ...] = tuple(
    kind
    for part in (RequestProblems, BodyProblems, JobProblems)
    for kind in vars(part).values()
    if isinstance(kind, ProblemType)
)
