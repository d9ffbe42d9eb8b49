"""Whatever a record may say, as strategies of Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from trioq.core import valid
from trioq.core.formats.record import TRACE
from trioq.core.job import Options

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))

#: Texts without half surrogate pairs, which Hypothesis makes none of by itself.
NAMES = st.text(min_size=1, max_size=200).filter(valid.NAME.allows)
QUEUES = st.from_regex(valid.QUEUE_PATTERN, fullmatch=True)
IDS = st.text(min_size=1, max_size=500)
TIMES_MS = st.sampled_from([0, 1, 1_764_000_000_000]) | st.integers(0, valid.LATEST_MS)
OPTIONS = st.builds(
    Options,
    st.none() | st.integers(1, valid.LARGEST),
    st.none() | st.integers(1, valid.LONGEST_S) | st.floats(1e-3, valid.LONGEST_S),
    st.none() | st.integers(1, valid.LONGEST_S) | st.floats(1e-3, valid.LONGEST_S),
    st.none() | TIMES_MS,
    st.none() | TIMES_MS,
)
TRACES = st.dictionaries(st.sampled_from(TRACE), PRINTABLE)
