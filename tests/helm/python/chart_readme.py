#!/usr/bin/env python3
"""Makes helm/README.md of values.yaml: `chart_readme.py` writes it, `--check` tells whether it is as it should be.

A comment that begins with `--` describes the value below it; it may go on in the next lines. Values that are lists or
maps are one row, unless their members have comments of their own.
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[3] / "helm"

HEAD = """# llm-proxy

The chart of [llm-proxy](../README.md): one address for every LLM provider. Kubernetes 1.30 or later, Helm 3.14 or later.

```sh
helm install llm-proxy ./helm
helm test llm-proxy --logs
```

That is one pod with SQLite on a volume, with a generated admin key and encryption key. For a team:

```yaml
database:
  type: postgresql
  url: {existingSecret: llm-proxy-database}      # key db-url: postgres://user:password@host/database?sslmode=require
redis:
  url: {existingSecret: llm-proxy-redis}         # key redis-url: rate limits hold for all pods together
migration: {mode: job}
autoscaling: {enabled: true}
ingress:
  enabled: true
  className: nginx
  annotations:
    nginx.ingress.kubernetes.io/proxy-buffering: "off"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "300"
    nginx.ingress.kubernetes.io/proxy-body-size: 32m
  hosts: [{host: llm.example.com, paths: [{path: /v1, pathType: Prefix}]}]
  tls: [{secretName: llm-example-com, hosts: [llm.example.com]}]
metrics:
  serviceMonitor: {enabled: true}
  prometheusRule: {enabled: true}
  dashboard: {enabled: true}
```

Each secret is given as `value`, then kept in a Secret of the release, or as `existingSecret` and the key in it. With Argo CD
and `helm template`, which cannot ask the cluster, set `generateKeys: false` and give `adminKey` and `encryptionKey`: generated
ones would be new each time, which the cluster refuses. Upgrade with `--reset-then-reuse-values`, not with `--reuse-values`.

What wrong values do is told by [values.schema.json](values.schema.json) before anything is installed. How large pods should
be, backup, upgrade and the meaning of alerts: [docs/operations.md](../docs/operations.md).

## Values

| Value | Default | What |
|---|---|---|
"""


def rows(text):
    """Yields path, default and description of every described value."""
    values = yaml.safe_load(text)
    path, comment = [], []
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("#"):
            words = words.lstrip("# ")
            if words.startswith("-- "):
                comment = [words[3:]]
            elif comment:
                comment.append(words)
            continue
        key = re.match(r"^( *)([A-Za-z][A-Za-z0-9_]*):", line)
        if not key:
            comment = []
            continue
        path[len(key[1]) // 2 :] = [key[2]]
        if comment:
            value = values
            for name in path:
                value = value[name]
            yield ".".join(path), value, " ".join(comment)
        comment = []


def readme():
    """The whole file."""
    lines = []
    for path, value, what in rows((CHART / "values.yaml").read_text()):
        default = json.dumps(value).replace("|", "\\|")
        lines.append(f"| `{path}` | `{default}` | {what.replace('|', chr(92) + '|')} |\n")
    return HEAD + "".join(lines)


def main():
    target = CHART / "README.md"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if target.read_text() == readme() else f"{target} is old: make chart-readme")
    target.write_text(readme())


if __name__ == "__main__":
    main()
