"""What a sensor asked for, and how often: a failure is tried again a few times, ever later."""

import time
from dataclasses import dataclass, replace
from typing import Self

ATTEMPTS = 4
_BACKOFF = 60.0  # seconds before the second attempt; doubled before each further one


@dataclass(frozen=True)
class Asked:
    """What a sensor asked for last, and how often; kept in its cursor."""

    what: str = ""
    attempts: int = 0
    not_before: float = 0.0

    @property
    def in_vain(self) -> bool:
        """Whether it was asked for often enough."""
        return self.attempts >= ATTEMPTS

    def once_more(self) -> Self:
        """After one attempt more, with twice the wait before the next."""
        wait = _BACKOFF * 2**self.attempts
        return replace(self, attempts=self.attempts + 1, not_before=time.time() + wait)

    def wait(self) -> float:
        """Seconds before the next attempt; none where the clock was set back since the last."""
        left = self.not_before - time.time()
        longest = _BACKOFF * 2 ** (self.attempts - 1)
        return left if 0 < left <= longest else 0.0
