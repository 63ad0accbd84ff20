"""RFC 6902 as far as admission webhooks use it: add, remove and replace."""

import copy


def patched(document, operations):
    """The document with the operations applied, in their order; KeyError or IndexError where one does not fit."""
    document = copy.deepcopy(document)
    for operation in operations:
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in operation["path"].split("/")[1:]]
        parent = document
        for token in tokens[:-1]:
            parent = parent[int(token) if isinstance(parent, list) else token]
        kind, last = operation["op"], tokens[-1]
        if isinstance(parent, list):
            index = len(parent) if last == "-" else int(last)
            if kind == "add":
                parent.insert(index, operation["value"])
                continue
            last = index
        elif kind == "add":
            parent[last] = operation["value"]
            continue
        if kind == "remove":
            del parent[last]
        elif kind == "replace":
            parent[last]  # It has to be there.
            parent[last] = operation["value"]
        else:
            raise ValueError(f"{kind} is not supported")
    return document
