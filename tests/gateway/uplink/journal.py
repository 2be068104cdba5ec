"""A journal that remembers."""

from typing import Any

from gateway.errors import JisrError


class Memory:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.said: list[JisrError] = []
        self.settled: list[str] = []

    def event(self, name: str, **_facts: Any) -> None:
        self.events.append(name)

    def say(self, error: JisrError, subject: str = "") -> None:
        self.said.append(error)

    def settle(self, subject: str) -> None:
        self.settled.append(subject)

    def kinds(self) -> set[str]:
        return {type(error).__name__ for error in self.said}
