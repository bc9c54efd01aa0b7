"""A check that fails by an exception nobody expected is no answer, and takes no other answer with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from kerasbn.errors import KerasBNError

Answer = TypeVar("Answer")


@dataclass
class Checks:
    """Runs the checks of one comparison.

    Attributes:
        failures: What could not be judged, and why; one line each.
    """

    failures: list[str] = field(default_factory=list)

    def run(self, what: str, check: Callable[[], Answer], otherwise: Answer) -> Answer:
        """The check's answer, or another where it fails; what is wrong with the input is raised as it is.

        Args:
            what: What is checked, as the beginning of a sentence.
            check: Gives the answer.
            otherwise: What to go on with.
        """
        try:
            return check()
        except (KerasBNError, MemoryError):
            raise
        except Exception as error:  # a fault of ours, or of a framework: no verdict about the model
            said = next(iter(str(error).strip().splitlines()), "")
            self.failures.append(f"{what}: {type(error).__name__}: {said}".removesuffix(": "))
            return otherwise
