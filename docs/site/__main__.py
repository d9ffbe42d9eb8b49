"""``python -m docs.site [FOLDER]``: build it, or tell what is wrong with it."""

import sys
from pathlib import Path

from docs.site.build import SITE, build

site = Path(sys.argv[1]) if len(sys.argv) > 1 else SITE
if faults := build(site):
    sys.exit("\n".join(faults))
print(site / "index.html")
