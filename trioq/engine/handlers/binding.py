"""From a payload to a function's arguments, and back.

A payload is a JSON object whose fields are the function's parameters by name. cattrs
structures them from the annotations, strictly: ``"5"`` is not an int. What the
annotations ask for is worked out once, when the handler is registered.
"""

from __future__ import annotations

import difflib
import inspect
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import cattrs
from cattrs.preconf.json import make_converter

from trioq.core.job import Job

#: Types whose values JSON gives us as they are; bool is not an int here.
_NATIVE = (str, bool, int, float)


class BadPayload(Exception):
    """The payload doesn't fit the handler; another attempt is no use."""


def _strict(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise TypeError(f"expected {kind.__name__}, got {value!r:.80}")

    return structure


def _text_kind(kind: Any) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"expected {kind.__name__} as a string, got {value!r:.80}")
        return kind(value)

    return structure


CONVERTER = make_converter(detailed_validation=True, forbid_extra_keys=True)
for _kind in _NATIVE:
    CONVERTER.register_structure_hook(_kind, _strict(_kind))
for _text in (Path, uuid.UUID):
    CONVERTER.register_structure_hook(_text, _text_kind(_text))
    CONVERTER.register_unstructure_hook(_text, str)


@attrs.frozen
class Field:
    """One parameter."""

    name: str
    annotation: Any
    required: bool

    def structure(self, value: Any) -> Any:
        """The value as the annotation wants it; raises what cattrs raises."""
        wanted = self.annotation
        if wanted is Any or (type(value) is wanted and wanted in _NATIVE):
            return value
        return CONVERTER.structure(value, wanted)


@attrs.frozen
class Binding:
    """How a function's payload becomes its arguments."""

    fields: Mapping[str, Field]
    wants_job: bool
    """Whether the first parameter is the job itself."""
    takes_rest: bool
    """Whether the function has ``**kwargs``."""
    signature: inspect.Signature
    """Without the job."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Binding:
        """Work out what a function takes.

        Raises:
          TypeError: A parameter that no field of a JSON object can fill.
        """
        signature = inspect.signature(function)
        hints = get_type_hints(function)
        parameters = list(signature.parameters.values())
        wants_job = bool(parameters) and hints.get(parameters[0].name) is Job
        if wants_job:
            parameters = parameters[1:]
        fields, takes_rest = {}, False
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                what = str(parameter)
                raise TypeError(
                    f"{function.__qualname__}: a payload has names, so {what!r} can't be filled"
                )
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_rest = True
                continue
            annotation = hints.get(parameter.name, Any)
            required = parameter.default is parameter.empty
            fields[parameter.name] = Field(parameter.name, annotation, required)
        without_job = signature.replace(parameters=parameters)
        return cls(fields, wants_job, takes_rest, without_job)

    def bind(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments for this payload.

        Raises:
          BadPayload: All that doesn't fit, each with its field.
        """
        arguments: dict[str, Any] = {}
        faults: list[str] = []
        for name, value in payload.items():
            field = self.fields.get(name)
            if field is None:
                if self.takes_rest:
                    arguments[name] = value
                else:
                    faults.append(f"unexpected: {name}{self._meant(name)}")
                continue
            try:
                arguments[name] = field.structure(value)
            except Exception as error:
                faults.append(f"{name}: {_told(error)}")
        missing = [f.name for f in self.fields.values() if f.required and f.name not in payload]
        faults += [f"missing: {name}" for name in missing]
        if faults:
            raise BadPayload("; ".join(faults))
        return arguments

    def payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The payload of a call, checked as Python checks calls.

        Raises:
          TypeError: The function can't be called like this.
        """
        bound = self.signature.bind(*args, **kwargs).arguments
        for parameter in self.signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                bound |= bound.pop(parameter.name, {})
        unstructured: dict[str, Any] = CONVERTER.unstructure(bound)
        return unstructured

    def _meant(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.fields, 1)
        return f" (did you mean {close[0]}?)" if close else ""


def _told(error: Exception) -> str:
    """A structuring error in one line."""
    lines = cattrs.transform_error(error) if isinstance(error, ExceptionGroup) else [str(error)]
    return "; ".join(lines) or type(error).__name__
