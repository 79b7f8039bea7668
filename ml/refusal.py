"""A refusal: a named guard stopped an arm. It is a result, not a crash."""


class RefusalError(RuntimeError):
    """What a guard raises: its name, and the reason in words, without anything of a patient."""

    def __init__(self, guard: str, reason: str):
        super().__init__(f"{guard}: {reason}")
        self.guard, self.reason = guard, reason
