"""Who tests the tests: things are broken on purpose, and the suite must notice each.

make mutants                      all of them; writes docs/mutants.md
python -m tests.mutants WORD …    those with one of these words in their name
"""
