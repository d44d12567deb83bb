"""Run every rule on a checkout, by default on the current folder; exit with 1 if one is broken."""

import sys
from pathlib import Path

from support.rules import RULES


def main(root: Path) -> int:
    violations = sorted(violation for rule in RULES for violation in rule(root))
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
