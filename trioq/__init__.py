"""trioq: a structured-concurrency job queue on trio and Redis or Valkey."""
