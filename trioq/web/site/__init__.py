"""The page: what is so and what can be done, as HTML that a server has rendered.

    site       templates, static files, problems; and the routes
    page       what a page says of itself
    forms      what a form says; where one goes on afterwards, and what is told there
    actions    the forms' handler, and the question whether one is sure
    live       what moves: one look for all pages that are open
    words      times, numbers and texts for people
    pictures   lines and bars, as SVG
    pages/     one module for each part
    templates/, static/

Everything can be read, and done, without JavaScript; what the one script does is to keep figures
up to date. Every view is a link.
"""

from trioq.web.site.pages import PAGES
from trioq.web.site.site import Site

SITE = Site(PAGES)

__all__ = ["SITE", "Site"]
