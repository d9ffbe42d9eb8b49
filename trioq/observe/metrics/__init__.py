"""What Prometheus is told: counters and histograms from events, gauges from what is there.

catalogue   every metric, with its labels and its meaning; docs/metrics.md is drawn from it
series      the numbers, and how they become prometheus-client's families
labels      names and queues as labels, bounded by the configuration
waits       of what a job's wait was made
listener    events to counters and histograms
gauges      an engine's status, and what the sampler saw, at the time of a scrape
"""

from trioq.observe.metrics.listener import Metrics

__all__ = ["Metrics"]
