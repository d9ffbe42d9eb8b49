"""How docstrings become the reference, where Sphinx would have it otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

from docs.site.reference import django_is_set_up, homes, is_made


def setup(app: Sphinx) -> None:
    """Register what is here."""
    django_is_set_up()
    ModuleAnalyzer.analyze = without_overloads(ModuleAnalyzer.analyze)  # type: ignore
    app.connect("autodoc-process-docstring", attributes_have_no_type, priority=400)
    app.connect("autodoc-process-signature", who_makes_it)
    app.connect("missing-reference", by_its_home)


def without_overloads(analyze: Callable[[Any], None]) -> Callable[[Any], None]:
    """A function with twenty arguments is shown once, and not once more for each overload."""

    def analyzed(module: Any) -> None:
        analyze(module)
        module.overloads = {}

    return analyzed


def attributes_have_no_type(_app: Sphinx, what: str, *rest: Any) -> None:
    """Below an attribute stands what it is; napoleon takes what is before a colon for a type."""
    *_, lines = rest
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def who_makes_it(_app: Sphinx, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    """How an object is made is only told of classes whose objects programs make."""
    *_, signature, _returned = rest
    hidden = signature and what in ("class", "exception") and not is_made(name)
    return ("", None) if hidden else None


def by_its_home(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Node | None:
    """A name in a docstring that is written as it is in its module is the public one.

    Names in signatures, lists of arguments, and those of other libraries, need lead nowhere. All
    others are faults where they don't.
    """
    target: str = node["reftarget"]
    for home, name in homes().items():
        if target == home or target.startswith(f"{home}."):
            found = env.domains.python_domain.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"],
                name + target.removeprefix(home), node, shown,
            )  # fmt: skip
            if found is not None:
                return found
    bases = node.parent is not None and node.parent.astext().startswith("Bases:")
    signed = bases or _is_within(node, desc_signature, nodes.field)
    elsewhere = "." in target and not target.startswith(("trioq.", "."))
    return shown if signed or elsewhere else None


def _is_within(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, kinds):
        parent = parent.parent
    return parent is not None
