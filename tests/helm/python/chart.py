"""Renders the chart with the real helm, and finds things in what it renders."""

import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
CHART = ROOT / "helm"
HELM = pathlib.Path(sys.executable).parent / "helm"
OLDEST, NEWEST = "1.30", "1.37"

POSTGRESQL = {"database": {"type": "postgresql", "url": {"value": "postgres://user:password@db/llm_proxy"}}}


class Refused(Exception):
    """Helm did not render; the text is what it said."""


def helm(*arguments, stdin=None, cwd=None):
    """Runs helm, gives what it prints."""
    # Nothing of the user's own configuration counts.
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HELM_CACHE_HOME": "/tmp", "HELM_CONFIG_HOME": "/tmp"}
    done = subprocess.run([HELM, *arguments], input=stdin, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    if done.returncode:
        # The chart's dashboard and rules are links to the project's.
        raise Refused("\n".join(line for line in done.stderr.splitlines() if "symbolic link" not in line))
    return done.stdout


def merged(*parts):
    """Maps laid over each other, as helm does with several files."""
    result = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def at_path(path, value):
    """`at_path("a.b", 1)` is `{"a": {"b": 1}}`."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def render(values=None, release="llm-proxy", version=NEWEST, namespace="team", chart=CHART, flags=()):
    """The manifests of a release."""
    arguments = ["template", release, str(chart), "--namespace", namespace, "--kube-version", f"{version}.0", "-f", "-"]
    # JSON, for PyYAML and Go differ about texts such as 1e6.
    text = helm(*arguments, *flags, stdin=json.dumps(values or {}, ensure_ascii=False))
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def find(manifests, kind, end=""):
    """The one manifest of a kind, whose name ends so if there are several."""
    found = [one for one in manifests if one["kind"] == kind]
    if len(found) > 1 or end:
        found = [one for one in found if one["metadata"]["name"] == f"llm-proxy{end}"]
    assert len(found) == 1, f"{len(found)} of {kind} {end}"
    return found[0]


def dig(value, path):
    """`dig(pod, "spec.containers[0].args")`; None for what is not there. `\\.` is a dot in a name."""
    for name, index in re.findall(r"((?:[^.\[\\]|\\.)+)|\[(\d+)\]", path):
        if index:
            value = value[int(index)] if isinstance(value, list) and len(value) > int(index) else None
        else:
            value = value.get(name.replace("\\.", ".")) if isinstance(value, dict) else None
    return value


def defaults():
    """The values of the chart itself."""
    return yaml.safe_load((CHART / "values.yaml").read_text())


def schema():
    """The schema of values."""
    return json.loads((CHART / "values.schema.json").read_text())
