"""Gates that pass, fail and cannot tell, with plain and hostile names: their JUnit XML is valid by Jenkins' schema and says which of these it is."""

import json
import subprocess
import sys
from pathlib import Path

from lxml import etree

PROGRAM, SCRATCH = sys.argv[1], Path(sys.argv[2])
SCHEMA = etree.XMLSchema(etree.parse("tests/data/junit/junit-10.xsd"))
NAMES = [
    "</script><script>window.broken = 1</script>",
    "\"><img src=x onerror=\"1\">",
    "]]><!-- & &amp; <![CDATA[",
    "bell \u0007 escape \u001b[31m nul \u0000 tab \t line \n return \r",
    "right to left \u202egnp.exe\u202c zero\u200bwidth \ufffe \U0001f4bb",
    "start" + "x" * 10_000 + "end",
]


def line(service, trace, number, parent, name, kind, from_ms, until_ms):
    at = lambda ms: str(1_700_000_000_000_000_000 + trace * 1_000_000_000 + ms * 1_000_000)
    span = {
        "traceId": f"{trace + 1:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": at(from_ms),
        "endTimeUnixNano": at(until_ms),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})


def spans(folder, n_traces, each_ms, first=0):
    """Requests that pass a service of each hostile name."""
    folder.mkdir()
    lines = []
    for trace in range(first, first + n_traces):
        own = each_ms + trace % 3
        lines.append(line("gateway", trace, 1, 0, NAMES[trace % 2], 2, 0, 4 + len(NAMES) * own))
        for index, name in enumerate(NAMES):
            start = 1 + index * own
            lines.append(line("gateway", trace, 10 + index, 1, f"call {name}", 3, start, start + own))
            lines.append(line(f"service {name}", trace, 40 + index, 10 + index, name, 2, start + 1, start + own))
    (folder / "spans.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder)


def gate(name, status, arguments):
    """The JUnit XML of a gate that ends with `status`."""
    file = SCRATCH / f"{name}.xml"
    command = [PROGRAM, "gate", *arguments, "--quiet", "--today", "2026-11-25", "--junit", str(file)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.returncode == status, f"{name}: status {run.returncode}\n{run.stdout}{run.stderr}"
    document = etree.parse(str(file))
    assert SCHEMA.validate(document), f"{name}: {SCHEMA.error_log}"
    suites = document.getroot()
    for suite in suites:
        for kind, element in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]:
            found = len(suite.findall(f"testcase/{element}"))
            assert int(suite.get(kind, 0)) == found, f"{name}: {kind} of {suite.get('name')}"
        assert int(suite.get("tests")) == len(suite.findall("testcase")), name
    failures, errors = (len(suites.findall(f".//{kind}")) for kind in ["failure", "error"])
    assert (failures > 0) == (status == 1) and (errors > 0) == (status == 3), f"{name}: {failures} failures, {errors} errors"
    print(f"JUnit XML of the gate `{name}` is valid")
    return file.read_text()


quick, slow = spans(SCRATCH / "quick", 200, 10), spans(SCRATCH / "slow", 200, 30)
same, few = spans(SCRATCH / "same", 200, 10, 1000), spans(SCRATCH / "few", 5, 10, 1000)
gate("passed", 0, ["datasets/incidents/fault-free", "--baseline", "..+100s", "--inconclusive", "pass"])
gate("failed", 1, ["datasets/incidents/slow-release", "--regression", "2026-11-23T19:22:46.06Z.."])
gate("inconclusive, hostile names", 3, [few, "--baseline-data", quick])
gate("passed, hostile names", 0, [same, "--baseline-data", quick])
xml = gate("failed, hostile names", 1, [slow, "--baseline-data", quick])
assert "&lt;/script&gt;" in xml and "start" + "x" * 100 in xml
# A policy whose edges and reasons are hostile, too.
policy = SCRATCH / "gate.toml"
quoted = [json.dumps(name.replace("\x00", "")) for name in NAMES[:3]]
allow = "".join(f"[[allow]]\nname = \"*\"\nmeasure = \"{measure}\"\nreason = {reason}\nuntil = \"2027-01-01\"\n" for measure, reason in zip(["mean", "typical", "tail"], quoted))
policy.write_text(f"{allow}[[forbid]]\nedge = \"gateway -> service *\"\n")
gate("forbidden and allowed, hostile names", 1, [slow, "--baseline-data", quick, "--policy", str(policy)])

# The schema does refuse what is wrong.
broken = etree.fromstring(xml.encode())
broken[0].append(etree.Element("verdict"))
assert not SCHEMA.validate(broken)
