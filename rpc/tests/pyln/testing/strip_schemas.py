"""Makes `schemas.json` from the schemas of Core Lightning: types, members and what is required, no texts.

    python3 strip_schemas.py CHECKOUT/doc/schemas METHOD...

A schema holds for every version of Core Lightning that it was not changed in; take them all from one checkout.
"""

import json
import pathlib
import sys

TEXTS = {"description", "title", "comment", "examples", "author", "see_also", "resources", "errors", "categories",
         "added", "deprecated", "$schema", "return_value_notes", "usage", "reliability", "randomization", "notes"}


def stripped(value, is_members=False):
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if is_members or name not in TEXTS}
        return {name: stripped(inner, name == "properties" and not is_members) for name, inner in kept.items()}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def main(source, *methods):
    schemas = []
    for method in sorted(methods):
        schema = json.loads((pathlib.Path(source) / f"{method}.json").read_text())
        kept = {part: stripped(schema[part]) for part in ("request", "response") if part in schema}
        schemas.append(f"{json.dumps(method)}:{json.dumps(kept, separators=(',', ':'))}")
    (pathlib.Path(__file__).parent / "schemas.json").write_text("{\n" + ",\n".join(schemas) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
