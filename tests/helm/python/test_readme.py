"""Every command of the README's ways to install, from nothing to the first answer."""

import json
import os
import re
import shlex
import signal
import subprocess

from chart import ROOT
from cluster import Cluster
from machine import blocks
from sandbox import BINARY, PostgreSQL, eventually, get


def is_answer(told):
    # Bodies without lines between them; the last one is the answer.
    rest = told[told.rindex('{"status":"ready"') :].strip()
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].lstrip()
    assert answer["model"] == "fast" and answer["choices"][0]["message"]["content"], told


def test_helm(machine):
    machine.cluster = Cluster()
    machine.env["HELM_KUBEAPISERVER"] = machine.cluster.url
    [install] = blocks("On Kubernetes, with Helm")
    told = machine.follow(install, *blocks("First answer"))
    assert "through-the-service" in told
    is_answer(told)


def test_docker(machine):
    run, _ = blocks("With Docker")
    is_answer(machine.follow(run, *blocks("First answer")))


def test_docker_compose(machine):
    _, up = blocks("With Docker")
    is_answer(machine.follow(up, *blocks("First answer")))
    assert "llm_proxy_redis_up 1" in get("/metrics")[1] and "llm_proxy_database_up 1" in get("/metrics")[1]


def test_from_source(machine):
    [build] = blocks("From source")
    is_answer(machine.follow(build, *blocks("First answer")))
    assert ["npm", "run", "build"] in machine.asked


def test_logs_history_and_the_metrics_rules(machine):
    """The pages behind the installation, on one that has changed and has answered."""
    [build] = blocks("From source")
    machine.follow(build, *blocks("First answer"), 'echo "ADMIN_KEY=$ADMIN_KEY" > env')
    [logs], [history] = blocks("Logs"), blocks("History, rollback, feed")
    headers = {"Authorization": "Bearer " + (machine.here / "env").read_text().strip().partition("=")[2]}
    for number in range(7):
        assert get("/admin/v1/credentials", headers=headers, body=json.dumps({"name": f"c{number}"}))[0] == 201
    eventually(lambda: json.loads(get("/admin/v1/logs", headers=headers)[1])["total"] == 1, "the row of the log")
    told = machine.follow(". ./env", "set -x", f"curl() {{ command curl --fail-with-body \"$@\"; echo; }}\n{logs}", history)
    assert '"config_version"' in told or '"version"' in told
    assert (machine.here / "team-a.csv").read_text().startswith("id,")
    assert '"provider_key":"openai"' in told, "nothing explained where a request would go"


def test_several_replicas(machine, module_path):
    [block] = blocks("Several replicas")
    server = PostgreSQL(module_path / "postgres")
    machine.ended.append(server.end)
    server.query("create user llm_proxy password 'password'")
    server.query("create database llm_proxy owner llm_proxy")
    redis = subprocess.Popen(["redis-server", "--port", "16380", "--save", "", "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
    machine.ended.append(lambda: (redis.terminate(), redis.wait()))
    places = {"db.internal": f"127.0.0.1:{server.port}", "?sslmode=require": "", "redis.internal": "127.0.0.1:16380",
              "/var/lib/llm-proxy": str(machine.here), "llm-proxy serve": f"{BINARY} serve & echo $! > pid"}
    for one, other in places.items():
        assert one in block
        block = block.replace(one, other)
    machine.follow(block.rstrip().removesuffix(" & echo $! > pid") + " >serve.log 2>&1 & echo $! > pid")
    pid = int((machine.here / "pid").read_text())
    machine.ended.append(lambda: (os.kill(pid, signal.SIGKILL), eventually(lambda: get("/health/live")[0] == 0, "its port is free")))
    eventually(lambda: get("/health/ready")[0] == 200, "it is ready")
    eventually(lambda: {"llm_proxy_redis_up 1", "llm_proxy_database_up 1"} <= set(get("/metrics")[1].splitlines()), "both are reached")
    eventually(lambda: (machine.here / "snapshot.json").exists(), "the snapshot file")


def test_every_block_of_shell_in_the_readme_is_run_by_some_test():
    text = (ROOT / "README.md").read_text()
    headings = re.split(r"^##+ (.*)$", text, flags=re.M)
    sections = {title for title, body in zip(headings[1::2], headings[2::2]) if "```sh\n" in body}
    # `make demo` is run by tests/integration/demo.rs, `make frontend build` by the page's; Develop names the tests.
    assert sections == {"Try it", "On Kubernetes, with Helm", "With Docker", "From source", "First answer", "The admin page", "Several replicas",
                        "Logs", "History, rollback, feed", "Develop"}


def test_no_block_of_commands_is_left_out():
    text = (ROOT / "README.md").read_text()
    install = re.search(r"^## Install\n.*?(?=^## )", text, re.M | re.S)[0]
    titles = re.findall(r"^### (.*)$", install, re.M)
    assert titles == ["On Kubernetes, with Helm", "With Docker", "From source", "First answer"]
    assert install.count("```sh\n") == sum(len(blocks(title)) for title in titles)


def test_the_makefile_has_the_targets_that_are_named():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/operations.md").read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text)) | {shlex.split(line)[1] for line in re.findall(r"^make [a-z-]+", text, re.M)}
    assert named <= targets
