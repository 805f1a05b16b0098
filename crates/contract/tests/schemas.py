"""Checks the OpenAPI and the AsyncAPI document against the examples under `vectors/`.

Both ways: each schema has examples and each example a schema, each member of the one is a member of the other, and what is
refused there is refused here. Prints what is wrong, and ends with 1 if anything is.
"""

import json
import pathlib
import sys

import yaml
from jsonschema import Draft202012Validator

CRATE = pathlib.Path(__file__).parent.parent
VECTORS = CRATE / "vectors"
OPENAPI = yaml.safe_load((CRATE / "openapi.yaml").read_text())
ASYNCAPI = yaml.safe_load((CRATE / "asyncapi.yaml").read_text())

# Of the demonstration, and no part of the contract.
NO_VECTORS = {"ConnectionName", "Every"}
# What a pattern cannot say: the largest id.
BEYOND_PATTERNS = {"k3f9x2.18446744073709551616"}

faults = []


def load(name):
    return json.loads((VECTORS / name).read_text())


def examples(shape):
    return {path.stem: json.loads(path.read_text()) for path in sorted((VECTORS / shape).glob("*.json"))}


def resolve(document, schema):
    while "$ref" in schema:
        schema = document_at(document, schema["$ref"])
    return schema


def document_at(document, pointer):
    for name in pointer.removeprefix("#/").split("/"):
        document = document[name]
    return document


def strict(schema):
    """The same, with `$` only at the very end: Python's also matches before a line end."""
    if isinstance(schema, dict):
        return {
            key: value.removesuffix("$") + r"\Z" if key == "pattern" and isinstance(value, str) else strict(value)
            for key, value in schema.items()
        }
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


def validator(document, schema):
    return Draft202012Validator({**strict(document), **strict(schema)})


# For each object of a schema, by identity: where it is, its members, and those of them that an example has.
seen = {}


def walk(document, schema, value, where):
    """Notes which members an example has, and that each of them is in the schema."""
    schema = resolve(document, schema)
    if "properties" in schema and isinstance(value, dict):
        _, properties, used = seen.setdefault(id(schema), (where, schema["properties"], set()))
        for name, member in value.items():
            if name in properties:
                used.add(name)
                walk(document, properties[name], member, f"{where}.{name}")
            else:
                faults.append(f"{where} has no member {name}, and an example has")
    if "additionalProperties" in schema and isinstance(value, dict) and isinstance(schema["additionalProperties"], dict):
        for member in value.values():
            walk(document, schema["additionalProperties"], member, f"{where}.*")
    if "items" in schema and isinstance(value, list):
        for item in value:
            walk(document, schema["items"], item, f"{where}[]")


def check(document, schema, where, value, valid=True):
    if validator(document, schema).is_valid(value) != valid:
        faults.append(f"{where} {'refuses' if valid else 'accepts'} {json.dumps(value)[:120]}")
    if valid:
        walk(document, schema, value, where)


def camel(shape):
    return "".join(word.capitalize() for word in shape.split("-"))


def check_document(title, document, texts):
    schemas = document["components"]["schemas"]
    with_examples = set()
    refused, tolerated = load("refused.json"), load("tolerated.json")
    for shape in sorted(path.name for path in VECTORS.iterdir() if path.is_dir()):
        name = {"state": "Prices"}.get(shape, camel(shape))
        if name not in schemas:
            continue
        with_examples.add(name)
        ref, where = {"$ref": f"#/components/schemas/{name}"}, f"{title} {name}"
        for value in examples(shape).values():
            check(document, ref, where, value)
        for value in tolerated.get(shape, []):
            if not validator(document, ref).is_valid(value):
                faults.append(f"{where} refuses {json.dumps(value)[:120]}")
        for case in refused.get(shape, []):
            check(document, ref, where, case["json"], valid=False)
    for text, name in texts.items():
        with_examples.add(name)
        ref, where = {"$ref": f"#/components/schemas/{name}"}, f"{title} {name}"
        for value in load(f"text/{text}.json")["valid"]:
            check(document, ref, where, value)
        for value in load(f"text/{text}.json")["invalid"]:
            check(document, ref, where, value, valid=value in BEYOND_PATTERNS)
    for name in sorted(schemas.keys() - with_examples - NO_VECTORS):
        faults.append(f"{title} {name} has no example")


def check_messages():
    messages = ASYNCAPI["components"]["messages"]
    payloads = {name: {"$ref": f"#/components/messages/{name}/payload"} for name in messages}
    with_examples = set()
    for shape in ["server-message", "client-message"]:
        for example in examples(shape).values():
            (name,) = example
            if name not in payloads:
                faults.append(f"asyncapi has no message {name}")
                continue
            with_examples.add(name)
            check(ASYNCAPI, payloads[name], f"asyncapi {name}", example)
        none = [case["json"] for case in load("refused.json")[shape]] + load("ignored.json").get(shape, [])
        for value in none:
            for name, payload in payloads.items():
                check(ASYNCAPI, payload, f"asyncapi {name}", value, valid=False)
    for name in sorted(messages.keys() - with_examples):
        faults.append(f"asyncapi {name} has no example")
    directions = {"follow": "server-message", "publish": "client-message"}
    for operation, shape in directions.items():
        listed = {ref["$ref"].rsplit("/", 1)[1] for ref in ASYNCAPI["operations"][operation]["messages"]}
        if listed != {name for example in examples(shape).values() for name in example}:
            faults.append(f"asyncapi {operation} has other messages than {shape}: {sorted(listed)}")


def check_names():
    names = load("names.json")
    parameters, answered = {}, set()
    for path, item in OPENAPI["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                parameter = resolve(OPENAPI, parameter)
                parameters.setdefault(parameter["in"], set()).add(parameter["name"])
            for response in operation["responses"].values():
                answered |= {name.lower() for name in resolve(OPENAPI, response).get("headers", {})}
    if parameters["query"] != set(names["params"].values()):
        faults.append(f"openapi has the query parameters {sorted(parameters['query'])}")
    headers = {name.lower() for name in parameters["header"]} | (answered & {names["headers"]["preference_applied"]})
    # A header of HTTP itself, for the state.
    if headers - {"if-none-match"} != set(names["headers"].values()):
        faults.append(f"openapi has the headers {sorted(headers)}")
    channel = ASYNCAPI["channels"]["events"]
    binding = channel["bindings"]["ws"]
    if binding["headers"]["properties"]["Sec-WebSocket-Protocol"]["const"] != names["subprotocol"]:
        faults.append("asyncapi has another subprotocol")
    if set(binding["query"]["properties"]) != {names["params"]["after"], names["params"]["connection"]}:
        faults.append("asyncapi has other query parameters")
    if channel["x-close-codes"] != load("close.json"):
        faults.append("asyncapi has other close codes")
    types = set(OPENAPI["components"]["schemas"]["Problem"]["properties"]["type"]["examples"])
    if types != {problem["type"] for problem in examples("problem").values()}:
        faults.append("openapi has other types of problems")


check_document("openapi", OPENAPI, {"cursor": "Cursor", "position": "Position", "kind": "Kind"})
check_document(
    "asyncapi", ASYNCAPI, {"cursor": "Cursor", "position": "Position", "kind": "Kind", "idempotency-key": "Ref"}
)
check_messages()
check_names()
for where, properties, used in seen.values():
    for name in sorted(properties.keys() - used):
        faults.append(f"{where} has a member {name}, and no example has")

for fault in faults:
    print(fault)
sys.exit(bool(faults))
