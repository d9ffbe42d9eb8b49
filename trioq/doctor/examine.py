"""One look after the other: the configuration, the server, the jobs, the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trioq.core.config import Config
from trioq.doctor import files, jobs, keys, server
from trioq.doctor.finding import Finding, fault, ok, warning
from trioq.engine import from_config
from trioq.errors import StoreError, StoreRefused
from trioq.settings import warnings
from trioq.store.checks import explain, not_to_be_asked
from trioq.store.connector import Connector
from trioq.store.inspect import doors, standing, stats, with_abandoned


def examine(config: Config, connector: Connector) -> Iterator[Finding]:
    """Everything there is to say, as it is found; ends early where the server can't be used.

    Takes a few seconds where engines live: it watches their signs of life.
    """
    advice = warnings(config)
    yield from (warning("configuration", line) for line in advice)
    if not advice:
        yield ok("configuration", "nothing is wrong with it")
    store = connector.store("doctor")
    try:
        yield from server.answers(store)
        yield from server.usable(store, has_keeper=connector.is_embedded)
    except StoreError as error:
        yield fault("server", explain(error, connector.description))
        return
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "memory": lambda: server.roomy(store),
        "disk": lambda: server.disk(config),
        "engines": lambda: jobs.engines(
            store, config, with_abandoned(store, stats(store, config.queue_names))
        ),
        "queues": lambda: jobs.queues(config, stats(store, config.queue_names)),
        "schedules": lambda: jobs.schedules(standing(store)),
        "limiter": lambda: jobs.limiter(store, from_config.rate(config)),
        "handlers": lambda: jobs.parked(config, doors(store, stats(store, config.queue_names))),
        "dead": lambda: jobs.dead(stats(store, config.queue_names)),
        "records": lambda: jobs.records(stats(store, config.queue_names)),
        "keys": lambda: keys.leftovers(store, config.queue_names),
    }
    if config.producer is not None:
        scanned = config.resolve(config.producer.scan_dir)
        looks["files"] = lambda: files.directory(store, scanned)
    for check, look in looks.items():
        try:
            yield from look()
        except StoreRefused as error:
            said = explain(error, connector.description)
            yield (
                warning(check, f"not looked at: {said}")
                if not_to_be_asked(error)
                else fault(check, said)
            )
        except StoreError as error:
            yield fault("server", explain(error, connector.description))
            return
