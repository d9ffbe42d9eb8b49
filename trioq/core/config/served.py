"""Which of the configured queues an engine claims from, where it isn't all of them."""

from __future__ import annotations

from collections.abc import Sequence

from trioq.core.config.rules import meant_or_known
from trioq.core.config.sections import Config, QueueConfig
from trioq.errors import ConfigError


def served(
    config: Config, names: Sequence[str] | None, where: str = "queues"
) -> tuple[QueueConfig, ...]:
    """Those of these names, in their order of priority, which is the configuration's.

    Args:
      names: None: all.
      where: What a fault calls whoever has named them.

    Raises:
      ConfigError: There is no such queue, or none is named.
    """
    if names is None:
        return config.queues
    known = config.queue_names
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        raise ConfigError(
            [f'{where}: no queue "{name}"{meant_or_known(name, known)}' for name in unknown]
        )
    if not names:
        raise ConfigError([f"{where}: an engine that claims from none does nothing; name some"])
    return tuple(queue for queue in config.queues if queue.name in names)
