"""An energy meter of a device that always takes the same power."""

import time


class FakeMeter:
    name = "fake"

    def __init__(self, watts: float) -> None:
        self._watts = watts
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def end(self) -> dict[str, float]:
        return {"package": self._watts * (time.perf_counter() - self._began)}
