"""python -m trioq"""

from trioq.cli import main

main()
