"""Looks for what is wrong with a configuration, its server and its jobs. Changes nothing.

for finding in trioq.doctor.examine(config, connector):
    print(finding.verdict, finding.said)
"""

from trioq.doctor.attention import attention
from trioq.doctor.examine import examine
from trioq.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "attention", "examine"]
