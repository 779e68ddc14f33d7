"""Checks the requests in a folder: signatures with the reference implementation of Standard Webhooks, findings against
the published schemas of OCSF. Each file is {"channel", "secret", "headers", "body"} of one request."""

import json
import pathlib
import sys

import jsonschema
import ocsf_json_schema
import standardwebhooks

# The version that is emitted, one since, and the newest there is here.
OCSF_VERSIONS = ["1.4.0", "1.6.0", "1.8.0"]


def schemas():
    for version in OCSF_VERSIONS:
        whole = ocsf_json_schema.get_ocsf_schema(version)
        embedded = ocsf_json_schema.OcsfJsonSchemaEmbedded(whole)
        yield version, embedded.get_class_schema("compliance_finding")


def finding_faults(event, validators):
    for version, validator in validators:
        event["metadata"]["version"] = version
        for error in validator.iter_errors(event):
            yield f"OCSF {version}: {error.json_path}: {error.message[:300]}"
    # What the schema does not say.
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        yield "type_uid does not fit class and activity"
    if event["class_uid"] // 1000 != event["category_uid"]:
        yield "class_uid does not fit the category"


def main(folder):
    validators = [(version, jsonschema.Draft202012Validator(schema)) for version, schema in schemas()]
    faults, signatures, findings = [], 0, 0
    files = sorted(pathlib.Path(folder).glob("*.json"))
    broken = None
    for path in files:
        request = json.loads(path.read_text())
        if "webhook-signature" in request["headers"]:
            standardwebhooks.Webhook(request["secret"]).verify(request["body"], request["headers"])
            signatures += 1
        if request["channel"].startswith("ocsf"):
            event = json.loads(request["body"])
            faults += [f"{path.name}: {fault}" for fault in finding_faults(event, validators)]
            broken = dict(event)
            findings += 1
    # A check that finds nothing wrong with anything is none.
    if broken:
        del broken["finding_info"]
        if not list(validators[0][1].iter_errors(broken)):
            faults.append("a finding without finding_info passes")
    for fault in faults:
        print(fault)
    print(f"{len(files)} requests: {signatures} signatures and {findings} findings checked")
    return 1 if faults or not signatures or not findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
