"""The scripts do what the specification says, whatever is asked of them and however often.

The rules are those of :mod:`trioq.testing.machines.store`; here each call's whole data set is
compared, too. What this one reaches only by chance has a machine of its own: ``test_attempts.py``,
``test_schedule.py``, ``test_ids.py``, ``test_leases.py``.
"""

from __future__ import annotations

import pytest

from props.lockstep import LockStep, as_test
from trioq.testing import machines
from trioq.testing.machines.store import PROMISES

pytestmark = pytest.mark.usefixtures("lockstep_server")


class StoreMachine(LockStep, machines.StoreMachine):
    """Everything at once, on a server."""


TestStore = as_test(StoreMachine, *PROMISES, share=0.6)
