"""All that can be asked; one module for each part of it."""

from trioq.web.api.question import Question
from trioq.web.api.questions import jobs, rules, system

#: Where a path may be taken for a part of another, the longer one comes first.
QUESTIONS: tuple[Question, ...] = (*system.QUESTIONS, *jobs.QUESTIONS, *rules.QUESTIONS)

__all__ = ["QUESTIONS"]
