"""What is secret, as `classes.json` says: the same is hidden as `amiko` hides."""

import os
import re

from ._errors import DamagedError
from ._text import parse

HIDDEN = "(secret)"
# In the name of a type that has a secret in it.
_SECRET = "secret "
# A file that is longer isn't one of ours.
_LARGEST = 16 << 20
# What is remembered of a command that acts once: its reply is secret, whatever it is.
_ANSWER = "Answer"


class Secrets:
    """The names of the fields that are hidden; none if there is nothing to hide."""

    def __init__(self, names):
        self._names = names

    @classmethod
    def none(cls):
        """Shows everything."""
        return cls(None)

    @classmethod
    def of(cls, directory):
        """What the programs that wrote a directory have said; none if none has."""
        path = os.path.join(directory, "classes.json")
        try:
            with open(path, "rb") as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return None
        wrong = "something else: remove the file, and the next start writes it anew"
        if len(content) > _LARGEST:
            raise DamagedError(path, 1, 0, f"at most {_LARGEST} bytes", "more")
        try:
            said = parse(content.decode())
        except ValueError as error:
            raise DamagedError(path, 1, 0, "JSON", f"{error}") from None
        members = said if isinstance(said, dict) else {}
        secrets, classes = members.get("secrets"), members.get("classes")
        is_form = isinstance(secrets, list) and all(isinstance(name, str) for name in secrets)
        if not is_form or not isinstance(classes, dict) or not all(isinstance(fields, dict) for fields in classes.values()):
            raise DamagedError(path, 1, 0, "an object with `secrets` and `classes`", wrong)
        return cls(_names(secrets, classes))

    def hide_document(self, document):
        """Hides each secret in a document, in place."""
        if self._names is not None:
            # What frames a document has names of its own.
            for name, value in document.items():
                document[name] = self._below(value)
        return document

    def hide_cause(self, cause):
        """The cause of a record, without its secrets."""
        return cause if self._names is None else self._below(cause)

    def hide_patch(self, patch):
        """The patch of a record, without its secrets. An operation inside of one becomes one that replaces it."""
        return patch if self._names is None else [self._operation(operation) for operation in patch]

    def _operation(self, operation):
        path = operation["path"]
        shown = self._shown(path)
        if len(shown) < len(path):
            return {"op": "replace", "path": shown, "value": HIDDEN}
        if "value" not in operation:
            return operation
        inside = any(self._is_secret(name) for name in _segments(path)[2:])
        if inside:
            value = HIDDEN
        elif path == "":
            value = self.hide_document(operation["value"])
        else:
            value = self._below(operation["value"])
        return {**operation, "value": value}

    def _shown(self, path):
        """As much of a path as isn't inside of a secret."""
        parts = path.split("/")
        for at, name in enumerate(_segments(path)):
            # The first one is empty, and the second a part of the document, which has a name of its own.
            if at > 1 and self._is_secret(name):
                return "/".join(parts[: at + 1])
        return path

    def _is_secret(self, name):
        return not _is_number(name) and name in self._names

    def _below(self, value):
        if isinstance(value, list):
            return [self._below(element) for element in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("_class")
        is_object = isinstance(kind, str) and next(iter(value)) == "_class"
        return {
            name: HIDDEN if self._hides(name, is_object, is_object and kind == _ANSWER) else self._below(member)
            for name, member in value.items()
        }

    def _hides(self, name, is_object, is_answer):
        at_position = is_object and _is_number(name) and name in self._names
        return self._is_secret(name) or at_position or (is_answer and name == "reply")


def _segments(path):
    return [segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/")]


def _is_number(name):
    return name.isascii() and name.isdigit()


def _type(said):
    """The type of a field, of the forms in which it may be said."""
    found = said.get("type") if isinstance(said, dict) else said
    return found if isinstance(found, str) else ""


def _names(secrets, classes):
    """All that are hidden. A number is no name: a class with a secret at a position is hidden as a whole wherever it is a field."""
    fields = [(name, field, _type(said)) for name, members in classes.items() for field, said in members.items()]
    names = set(secrets) | {field for _, field, kind in fields if _SECRET in kind}
    hidden = set()
    for name, field, kind in fields:
        if _is_number(field) and _SECRET in kind:
            hidden.add(name)
            # The class of a variant is that of the enum, where it is a field.
            if "::" in name:
                hidden.add(name.rpartition("::")[0])
    if hidden:
        called = re.compile("class (?:" + "|".join(map(re.escape, sorted(hidden))) + r")(?![\w:])")
        for name, field, kind in fields:
            if not kind.startswith(f"class {name}::") and called.search(kind) and not _is_number(field):
                names.add(field)
    return names
