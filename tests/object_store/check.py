"""Reads bundled incidents from a real S3 server on loopback as a user would, and compares with the files on disk."""

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
import botocore.config

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/suspect-target"))
PROGRAM = os.environ.get("SUSPECT", TARGET / "debug/suspect")
BUCKET = "incident"
SPANS = ROOT / "datasets/incidents/slow-release/spans"
LARGE = 16 << 20  # `MAX_IN_MEMORY` of src/store/fetch.rs


def suspect(*arguments, **environment):
    """Runs the program with nothing else in its environment; status, standard output and error."""
    environment = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "AWS_EC2_METADATA_DISABLED": "true", **environment}
    run = subprocess.run([PROGRAM, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300)
    return run.returncode, run.stdout, run.stderr


def check(what, holds, *shown):
    if not holds:
        sys.exit(f"FAILED: {what}\n" + "\n".join(map(str, shown)))
    print(f"ok: {what}", flush=True)


def same(what, command, here, options=()):
    """The command says of the bucket's folder what it says of the folder on disk, but for its name."""
    disk = suspect(command, here, "--format", "json", *options)
    there = f"s3://{BUCKET}/{here.relative_to(folder)}"
    server = suspect(command, there, "--format", "json", *options, **KEYS)
    renamed = tuple(text.replace(f"s3://{BUCKET}/", f"{folder}/") if isinstance(text, str) else text for text in server)
    check(f"{what}: `suspect {command}` gives the same {len(disk[1]):,} bytes", renamed == disk and disk[0] == 0, disk[0], disk[2], server[0], server[2])


def fails(what, says, *arguments, **environment):
    started = time.monotonic()
    status, stdout, stderr = suspect(*arguments, **environment)
    took = time.monotonic() - started
    missing = [text for text in says if text not in stderr]
    check(f"{what}: status 2 after {took:.1f} s", status == 2 and not stdout and not missing and took < 20, status, stdout, stderr, missing)
    print("    " + stderr.strip().replace("\n\n", "\n").replace("\n", "\n    "))


def make():
    """One incident in several formats, in folders, and a few things that folders hold besides."""
    text = gzip.decompress((SPANS / "traces.otlp.jsonl.gz").read_bytes())
    (folder / "json").mkdir()
    shutil.copy(SPANS / "traces.otlp.jsonl.gz", folder / "json")
    (folder / "proto").mkdir()
    shutil.copy(SPANS / "traces.otlp.binpb.gz", folder / "proto")
    (folder / "parquet").mkdir()
    subprocess.run([PROGRAM, "convert", folder / "json", "-o", folder / "parquet/spans.parquet"], check=True)
    # Many objects in nested folders, packed and not, named as nobody should.
    lines = text.splitlines(keepends=True)
    for index in range(24):
        part = b"".join(lines[index::24])
        inner = folder / "many" / ["a", "a-b", "a/c d", "ü#%25?x"][index % 4]
        inner.mkdir(parents=True, exist_ok=True)
        name = f"part {index}.jsonl"
        (inner / (name + ".gz" if index % 2 else name)).write_bytes(gzip.compress(part) if index % 2 else part)
    (folder / "many/.hidden").write_bytes(b"no spans")
    (folder / "many/readme.txt").write_bytes(b"no spans either")
    (folder / "large").mkdir()
    (folder / "large/text.jsonl").write_bytes(text)
    large = [PROGRAM, "simulate", folder / "large/table.parquet", "--spans", "650000", "--quiet"]
    subprocess.run(large, check=True, stdout=subprocess.DEVNULL)
    (folder / "large/table.parquet.case.json").unlink()
    for file in (folder / "large").iterdir():
        check(f"{file.name} of {file.stat().st_size:,} bytes is too large for memory", file.stat().st_size > LARGE)


def upload(s3):
    s3.create_bucket(Bucket=BUCKET)
    for file in sorted(folder.rglob("*")):
        key = str(file.relative_to(folder))
        if file.is_file() and "/" in key and not key.startswith("tmp/"):
            s3.upload_file(str(file), BUCKET, key)
    # As consoles make folders.
    s3.put_object(Bucket=BUCKET, Key="many/", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="many/a/", Body=b"")


def reads():
    for name in ("json", "proto", "parquet", "many"):
        same(name, "analyze", folder / name)
    same("large text", "inspect", folder / "large/text.jsonl")
    same("large table", "inspect", folder / "large/table.parquet")
    check("no scratch file is left", not list((folder / "tmp").iterdir()))
    same("one object", "analyze", folder / "json/traces.otlp.jsonl.gz")
    same("a pattern", "inspect", folder / "many/*/part [0-9].jsonl*")
    same("a pattern that matches folders", "inspect", folder / "many/a*")
    same("threads", "analyze", folder / "many", ("--threads", "1"))
    trace = re.search(rb'"traceId":"([0-9a-f]{32})"', (folder / "large/text.jsonl").read_bytes())[1].decode()
    there = f"s3://{BUCKET}/parquet/"
    status, stdout, stderr = suspect("trace", trace, there, **KEYS)
    check("trace", (status, stdout) == suspect("trace", trace, folder / "parquet")[:2], stderr)
    check("graph", suspect("graph", there, **KEYS)[:2] == suspect("graph", folder / "parquet")[:2])
    check("convert", suspect("convert", there, "-o", folder / "tmp/again.parquet", **KEYS)[0] == 0)
    check("convert gives the same bytes", (folder / "tmp/again.parquet").read_bytes() == (folder / "parquet/spans.parquet").read_bytes())


def baselines(s3):
    candidate, baseline = f"s3://{BUCKET}/json/", f"s3://{BUCKET}/fault-free/baseline.suspect"
    quiet = ROOT / "datasets/incidents/fault-free/spans"
    profile = folder / "tmp/baseline.suspect"
    check("profile", suspect("profile", quiet / "traces.otlp.jsonl.zst", "-o", profile)[0] == 0)
    s3.upload_file(str(profile), BUCKET, "fault-free/baseline.suspect")
    s3.upload_file(str(quiet / "traces.otlp.jsonl.zst"), BUCKET, "fault-free/spans/traces.otlp.jsonl.zst")
    here = suspect("analyze", folder / "json", "--baseline-data", profile, "--format", "json")
    there = suspect("analyze", candidate, "--baseline-data", baseline, "--format", "json", **KEYS)
    check("a profile as baseline", there[1].replace(candidate, f"{folder}/json/") == here[1] and here[0] == there[0] == 0, here, there[2])
    here = suspect("gate", folder / "json", "--baseline-data", quiet / "traces.otlp.jsonl.zst", "--today", "2026-01-01")
    there = suspect("gate", candidate, "--baseline-data", f"s3://{BUCKET}/fault-free/spans/", "--today", "2026-01-01", **KEYS)
    check(f"gate, status {here[0]}", here[:2] == there[:2], here, there)


def refusals(endpoint):
    address = f"s3://{BUCKET}/json/"
    fails("no such bucket", ["there is no bucket `nowhere`", "AWS_ENDPOINT_URL"], "inspect", "s3://nowhere/json/", **KEYS)
    fails("no such object", ["there is no such object", "none below it"], "inspect", f"s3://{BUCKET}/nothing/here", **KEYS)
    fails("no object that matches", ["there is no such object"], "inspect", f"s3://{BUCKET}/json/*.csv", **KEYS)
    fails("no credentials", ["no credentials", "AWS_ACCESS_KEY_ID"], "inspect", address, AWS_ENDPOINT_URL=endpoint)
    # From here on the server looks at keys.
    reset = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset).close()
    check("the right key", suspect("inspect", address, **KEYS)[0] == 0)
    fails("an unknown key", ["access key", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"], "inspect", address, **{**KEYS, "AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"})
    fails("a wrong secret", ["SignatureDoesNotMatch"], "inspect", address, **{**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"})
    fails("a key without rights", ["access denied", "s3:ListBucket"], "inspect", address, **{**KEYS, **POOR})
    home = folder / "home/.aws"
    home.mkdir(parents=True)
    keys = "aws_access_key_id = {AWS_ACCESS_KEY_ID}\naws_secret_access_key = {AWS_SECRET_ACCESS_KEY}\n".format(**KEYS)
    (home / "credentials").write_text(f"[default]\naws_access_key_id = AKIAUNKNOWN\naws_secret_access_key = x\n[prod]\n{keys}")
    (home / "config").write_text(f"[profile prod]\nregion = us-east-1\nendpoint_url = {endpoint}\n")
    check("a profile of ~/.aws", suspect("inspect", address, AWS_PROFILE="prod")[0] == 0)


def key_of(iam, name, *policies):
    iam.create_user(UserName=name)
    for policy in policies:
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


with tempfile.TemporaryDirectory(prefix="suspect-object-store-") as name, socket.socket() as probe:
    folder = Path(name)
    (folder / "tmp").mkdir()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    endpoint = f"http://127.0.0.1:{port}"
    make()
    log = open(folder / "tmp.log", "w")
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        options = {"endpoint_url": endpoint, "aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
        options["config"] = botocore.config.Config(proxies={}, retries={"max_attempts": 20})
        for _ in range(100):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        s3, iam = boto3.client("s3", **options), boto3.client("iam", **options)
        upload(s3)
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        KEYS = {"AWS_ENDPOINT_URL": endpoint, **key_of(iam, "reader", allow)}
        POOR = key_of(iam, "stranger")
        reads()
        baselines(s3)
        refusals(endpoint)
    finally:
        server.terminate()
        server.wait()
    fails("no server", ["cannot reach", "5 tries", "AWS_ENDPOINT_URL"], "inspect", f"s3://{BUCKET}/json/", **KEYS)
