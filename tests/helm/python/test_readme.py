"""Every command of the README's ways to install, from nothing to the first answer."""

import json
import re
import shlex

from chart import ROOT
from cluster import Cluster
from machine import blocks
from sandbox import get


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
