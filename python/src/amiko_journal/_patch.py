"""The patches of a journal: JSON Patch (RFC 6902) with `add`, `replace` and `remove`."""

import copy


def segments(path):
    """The segments of a JSON Pointer (RFC 6901)."""
    if path == "":
        return []
    if not path.startswith("/"):
        raise ValueError(f"expected a path that begins with a slash, found {path!r}")
    return [segment.replace("~1", "/").replace("~0", "~") for segment in path[1:].split("/")]


def apply(document, patch):
    """Applies a patch to a document, in place.

    The document gets copies of the values in the patch. Raises `ValueError` if an operation doesn't fit; those before it
    have been applied then.
    """
    for operation in patch:
        value = copy.deepcopy(operation["value"]) if operation["op"] != "remove" else None
        apply_operation(document, operation["op"], operation["path"], value)


def apply_operation(document, op, path, value):
    """Applies one operation; the value becomes a part of the document."""
    names = segments(path)
    if not names:
        # A dict stays the one that the caller has.
        if op == "remove" or not isinstance(value, dict):
            raise ValueError(f"expected another document or a path inside of it, found {op} of all of it")
        document.clear()
        document.update(value)
        return
    *parents, last = names
    parent = document
    for name in parents:
        parent = parent[_place(parent, name, path)]
    if op == "add" and isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1, path), value)
    elif op == "add" and isinstance(parent, dict):
        parent[last] = value
    elif op == "replace":
        parent[_place(parent, last, path)] = value
    elif op == "remove":
        del parent[_place(parent, last, path)]
    else:
        raise ValueError(f"expected a place for a value, found none at {path!r}")


def _place(parent, name, path):
    """The key or the index of what is there."""
    if isinstance(parent, list):
        return _index(name, len(parent), path)
    if not isinstance(parent, dict) or name not in parent:
        raise ValueError(f"expected something at {path!r} to change, found nothing")
    return name


def _index(name, length, path):
    canonical = name == "0" or (name.isascii() and name.isdigit() and name[0] != "0")
    if not canonical or int(name) >= length:
        raise ValueError(f"expected an index below {length} in {path!r}, found {name!r}")
    return int(name)
