"""The JSON of a directory: read as strictly as Amiko reads it, and written with every digit that was read."""

import json
import re
from typing import Any

# What a reader of Amiko accepts: levels of nesting, and bytes of a number and of a string.
DEEPEST = 128
LONGEST_NUMBER = 400
LONGEST_STRING = 64 << 20

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Float(float):
    """A number with a fraction or an exponent, which remembers the text that it was read from.

    Arithmetic is that of `float`; `text` has every digit.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self):
        return (self.text,)


def _unique(members):
    """An object; the name of a member that is there twice is an error."""
    found = dict(members)
    if len(found) < len(members):
        seen = set()
        for name, _ in members:
            if name in seen:
                raise ValueError(f"expected each name once in an object, found {name[:60]!r} twice")
            seen.add(name)
    return found


def _short(text):
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"expected a number of at most {LONGEST_NUMBER} bytes, found {len(text)}")
    return text


def _integer(text):
    # An integer has no negative zero: its text would be lost.
    return Float(text) if text == "-0" else int(_short(text))


def _float(text):
    return Float(_short(text))


def _no_number(text):
    raise ValueError(f"expected a number, found {text}")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_no_number)


def parse(text):
    """Reads a value; raises `ValueError` for what Amiko's reader refuses."""
    deep = ValueError(f"expected at most {DEEPEST} levels of nesting, found more")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise deep from None
    if text.count("{") + text.count("[") > DEEPEST and _is_deep(value):
        raise deep
    if len(text) > LONGEST_STRING:
        longest = max((len(found.group().encode()) for found in _STRING.finditer(text)), default=0)
        if longest > LONGEST_STRING + 2:
            raise ValueError(f"expected at most {LONGEST_STRING} bytes in a string, found {longest - 2}")
    if _SURROGATE.search(text):
        # One half of a pair is no character.
        try:
            write(value).encode()
        except UnicodeEncodeError:
            raise ValueError("expected a pair of surrogates, found one half of it") from None
    return value


def _is_deep(value):
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def write(value: Any) -> str:
    """The text of a value on one line, as Amiko writes it."""
    pieces = []
    _write(value, pieces.append)
    return "".join(pieces)


def _write(value, add):
    if isinstance(value, str):
        add(_string(value))
    elif value is None:
        add("null")
    elif value is True:
        add("true")
    elif value is False:
        add("false")
    elif isinstance(value, dict):
        separator = "{"
        for name, member in value.items():
            add(separator)
            add(_string(name))
            add(":")
            _write(member, add)
            separator = ","
        add("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for element in value:
            add(separator)
            _write(element, add)
            separator = ","
        add("]" if value else "[]")
    elif isinstance(value, Float):
        add(value.text)
    else:
        add(json.dumps(value, allow_nan=False))


def _string(text):
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(found):
    known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return known.get(found.group(), f"\\u{ord(found.group()):04x}")


def plain(text):
    """A text in one line, with everything escaped that isn't printable: nothing in it can move a cursor."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character):
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    # Spaces of other widths are printable; Python doesn't take them for that.
    if character.isspace() and ord(character) >= 0xA0 and character not in "\u2028\u2029":
        return character
    return known.get(character, f"\\u{{{ord(character):x}}}")
