"""What a service counts of its requests, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter

__all__ = ["Metrics"]

BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""upper ends, in seconds"""


class Metrics:
    """Requests by route and status, their seconds, and how many are under way."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.buckets: Counter[float] = Counter()
        self.seconds = 0.0
        self.in_flight = 0

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests[route, status] += 1
        self.seconds += seconds
        for end in BUCKETS:
            self.buckets[end] += seconds <= end

    def render(self) -> str:
        """All of it as text."""
        total = sum(self.requests.values())
        lines = ["# HELP tandem_requests_total Requests by route and status.", "# TYPE tandem_requests_total counter"]
        lines += [
            f'tandem_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self.requests.items())
        ]
        lines += ["# HELP tandem_request_seconds Seconds of a request.", "# TYPE tandem_request_seconds histogram"]
        lines += [f'tandem_request_seconds_bucket{{le="{end:g}"}} {self.buckets[end]}' for end in BUCKETS]
        lines += [f'tandem_request_seconds_bucket{{le="+Inf"}} {total}', f"tandem_request_seconds_sum {self.seconds:.6f}"]
        lines += [f"tandem_request_seconds_count {total}"]
        lines += ["# HELP tandem_requests_in_flight Requests under way.", "# TYPE tandem_requests_in_flight gauge"]
        return "\n".join([*lines, f"tandem_requests_in_flight {self.in_flight}", ""])
