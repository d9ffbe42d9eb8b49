"""From a payload to a function's arguments, and back.

A payload is a JSON object whose fields are the function's parameters by name. What the
annotations ask for is worked out once, when the handler is registered; a run then costs a
comparison of types for each field that JSON gives as it is wanted.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from math import isfinite
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from cattrs import StructureHandlerNotFoundError

from trioq.core.convert import CONVERTER, NATIVE, Hook, Misfit, faults_of, noun
from trioq.core.formats import payload
from trioq.core.job import Job
from trioq.engine.handlers.shape import underlying
from trioq.errors import PayloadRejected

#: A payload in a thousand fields may have a thousand faults; the record shows this many.
SHOWN_FAULTS = 10


class BadPayload(Exception):
    """The payload doesn't fit the handler; another attempt is no use."""

    @classmethod
    def of(cls, faults: list[str]) -> BadPayload:
        """All faults in one line, the first ones of very many."""
        more = len(faults) - SHOWN_FAULTS
        shown = [*faults[:SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else [])]
        return cls("; ".join(shown))


@attrs.frozen
class Field:
    """One parameter."""

    name: str
    annotation: Any
    hook: Hook | None
    """None where any value will do."""
    exact: type | None
    """Values of this type are taken as they are."""

    @classmethod
    def of(cls, parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> Field:
        """What a parameter takes.

        Raises:
          TypeError: It has to be given, and nothing in JSON can become what it asks for.
        """
        annotation = hints.get(parameter.name, Any)
        if annotation in (Any, object):
            return cls(parameter.name, annotation, None, None)
        exact = annotation if annotation in (*NATIVE, dict, list, NoneType) else None
        try:
            hook = CONVERTER.get_structure_hook(annotation)
        except StructureHandlerNotFoundError:
            if parameter.default is parameter.empty:
                raise TypeError(
                    f"{where}: no JSON value can be turned into {parameter.name!r},"
                    f" a {noun(annotation)}"
                ) from None
            hook = functools.partial(_refuse, noun(annotation))
        return cls(parameter.name, annotation, hook, exact)


@attrs.frozen
class Binding:
    """How a function's payload becomes its arguments."""

    where: str
    """The function's name, for messages."""
    fields: Mapping[str, Field]
    rest: Field | None
    """``**kwargs``, if the function has it: takes every field that has no parameter."""
    required: frozenset[str]
    positional: tuple[str, ...]
    """The parameters that may be given by position, in order."""
    job_parameter: str | None
    """The first parameter, if it is the job itself."""
    signature: inspect.Signature
    """Without the job."""
    deps: Any = None
    """Of a parameter that is a ``Job[Deps]``, that; else None."""
    _exact: Mapping[str, type] = attrs.field(init=False)
    """The parameters that take values of a type as they are."""

    @_exact.default
    def _find_exact(self) -> Mapping[str, type]:
        return {name: field.exact for name, field in self.fields.items() if field.exact is not None}

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Binding:
        """Work out what a function takes.

        Raises:
          TypeError: A parameter that no field of a JSON object can fill.
        """
        inner = underlying(function)
        where = getattr(function, "__qualname__", "") or getattr(inner, "__qualname__", "it")
        try:
            signature = inspect.signature(function)
        except ValueError as error:
            raise TypeError(f"{where}: its parameters can't be known: {error}") from error
        hints = _hints_of(inner, where)
        parameters = list(signature.parameters.values())
        job_parameter = deps = None
        if parameters and _is_job(first := hints.get(parameters[0].name)):
            job_parameter = parameters.pop(0).name
            deps = next(iter(get_args(first)), None)
        fields, rest = {}, None
        for parameter in parameters:
            if any(map(_is_job, _of_union(hints.get(parameter.name)))):
                raise TypeError(
                    f"{where}: {parameter.name!r} can't be the job: that is the first parameter,"
                    " annotated as trioq.Job or trioq.Job[…] and nothing else"
                )
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise TypeError(
                    f"{where}: a payload has names, so no field can fill {str(parameter)!r}"
                )
            field = Field.of(parameter, hints, where)
            if parameter.kind is parameter.VAR_KEYWORD:
                rest = field
            else:
                fields[parameter.name] = field
        return cls(
            where,
            fields,
            rest,
            frozenset(n for n in fields if signature.parameters[n].default is inspect._empty),
            tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD),
            job_parameter,
            signature.replace(parameters=parameters),
            None if deps in (Any, NoneType) else deps,
        )

    def check_field(self, name: str, what: str) -> None:
        """Refuse the name of a field that no payload of it can have.

        Args:
          what: Where it stands.

        Raises:
          ValueError: With what may have been meant.
        """
        if name == self.job_parameter or (name not in self.fields and self.rest is None):
            raise ValueError(
                f"{what} names {name!r}, which is no field of a payload of {self.where}"
                f"{self._meant(name)}"
            )

    def fits(self, payload: Mapping[str, Any]) -> bool:
        """Whether its values are surely the arguments as they are; runs nobody's code."""
        exact = self._exact
        for name in payload:
            if exact.get(name) is not type(payload[name]):
                return False
        return len(payload) == len(self.fields) or self.required <= payload.keys()

    def bind(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments for this payload, without the job.

        Raises:
          BadPayload: All that doesn't fit, each with its field.
          MemoryError: Not the payload's fault.
        """
        arguments: dict[str, Any] = {}
        faults: list[str] = []
        for name, value in payload.items():
            field = self.fields.get(name) or self.rest
            if field is None or name == self.job_parameter:
                faults.append(f"unexpected: {name}{self._meant(name)}")
            elif field.hook is None or type(value) is field.exact:
                arguments[name] = value
            else:
                try:
                    arguments[name] = field.hook(value, field.annotation)
                except MemoryError:
                    raise
                except Exception as error:
                    faults += faults_of(error, name)
        if not self.required <= payload.keys():
            faults += [f"missing: {n}" for n in self.fields if n in self.required - payload.keys()]
        if faults:
            raise BadPayload.of(faults)
        return arguments

    def payload(self, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The payload of a call, checked as Python checks calls.

        Raises:
          TypeError: The function can't be called like this.
          PayloadRejected: A value that JSON can't hold.
        """
        given = dict(zip(self.positional, args, strict=False)) | kwargs
        if (
            len(given) != len(args) + len(kwargs)
            or not self.required <= given.keys()
            or self.job_parameter in given
            or (self.rest is None and not given.keys() <= self.fields.keys())
        ):
            self._refuse_call(args, kwargs)
        return {n: v if _is_plain(v) else _to_json(n, v) for n, v in given.items()}

    def _refuse_call(self, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Raise the TypeError that Python would raise."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.where}.call(): {error}") from None
        raise TypeError(f"{self.where}.call(): {self.job_parameter!r} is given by the engine")

    def _meant(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.fields, 1)
        return f" (did you mean {close[0]}?)" if close else ""


def _hints_of(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The parameters' annotations, resolved. What is returned need not be resolvable here."""
    annotations = dict(getattr(function, "__annotations__", {}))
    annotations.pop("return", None)
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return get_type_hints(SimpleNamespace(__annotations__=annotations, __globals__=scope))
    except NameError as error:
        raise TypeError(f"{where}: an annotation can't be resolved: {error}") from error


def _is_job(annotation: Any) -> bool:
    """``Job``, or ``Job[Deps]``."""
    return annotation is Job or get_origin(annotation) is Job


def _of_union(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _refuse(wanted: str, value: Any, _: Any) -> None:
    raise Misfit(f"nothing, as no JSON value can be turned into a {wanted}", value)


def _is_plain(value: Any) -> bool:
    """Whether JSON holds the value as it is."""
    kind = type(value)
    return kind in (str, int, bool, NoneType) or (kind is float and isfinite(value))


def _to_json(name: str, value: Any) -> Any:
    """A value as it will come out of JSON."""
    try:
        field = {name: CONVERTER.unstructure(value)}
        return payload.decode(payload.encode(field, sys.maxsize))[name]
    except RecursionError:
        raise PayloadRejected(f"{name}: it contains itself, or is nested too deeply") from None
    except (PayloadRejected, TypeError, ValueError) as error:
        raise PayloadRejected(f"{name}: {error}") from None
