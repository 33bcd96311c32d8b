"""The Dockerfile and the compose file; their steps themselves are run by `make test-image`."""

import json
import re
import subprocess
import sys
import tomllib

import yaml

from chart import ROOT, dig, find, render
from sandbox import image

TOOLS = __import__("pathlib").Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_linter_has_nothing_to_say_of_the_dockerfile():
    done = subprocess.run([TOOLS / "hadolint", "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_base_image_has_a_version():
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.M))
    for name in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M):
        name = re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], name)
        assert name == "scratch" or re.search(r":\d+\.\d+\.\d+-", name), name
    rust = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["rust-version"]
    assert [int(part) for part in defaults["RUST_VERSION"].split(".")[:2]] >= [int(part) for part in rust.split(".")]
    for name, service in COMPOSE["services"].items():
        assert name == "llm-proxy" or re.search(r":v?\d+\.\d+(\.\d+)?", service["image"]), name


def test_the_image_is_what_the_chart_expects():
    pod = dig(find(render(), "Deployment"), "spec.template.spec")
    assert image()["user"] == pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"]
    assert image()["args"] == pod["containers"][0]["args"]
    mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert image()["env"]["DATA_DIR"] in mounted
    assert f"EXPOSE {pod['containers'][0]['ports'][0]['containerPort']}" in DOCKERFILE
    assert f'CMD ["{image()["entry"][0]}", "health"]' in DOCKERFILE
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert f'image.version="{version}"' in DOCKERFILE


def test_the_compose_file_fits_its_schema_and_names_files_that_are_there():
    done = subprocess.run([TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], volume
    ours = COMPOSE["services"]["llm-proxy"]
    assert ours["read_only"] and ours["cap_drop"] == ["ALL"]
    assert int(ours["stop_grace_period"].rstrip("s")) >= 3 + 30 + 10


def test_grafana_and_prometheus_are_told_where_each_other_is():
    scrape = yaml.safe_load((ROOT / "docs/compose/prometheus.yml").read_text())
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == ["llm-proxy:18000"]
    assert scrape["scrape_configs"][0]["job_name"] == "llm-proxy"
    assert {f"/etc/prometheus/{name}" for name in scrape["rule_files"]} <= {
        volume.split(":")[1] for volume in COMPOSE["services"]["prometheus"]["volumes"]}
    source = yaml.safe_load((ROOT / "docs/compose/datasources.yml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090" and source["type"] == "prometheus"
    path = yaml.safe_load((ROOT / "docs/compose/dashboards.yml").read_text())["providers"][0]["options"]["path"]
    assert any(volume.split(":")[1].startswith(path + "/") for volume in COMPOSE["services"]["grafana"]["volumes"])
    json.loads((ROOT / "grafana/llm-proxy.json").read_text())


def test_prometheus_takes_its_configuration_where_the_compose_file_puts_it(tmp_path):
    for volume in COMPOSE["services"]["prometheus"]["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            assert target.startswith("/etc/prometheus/")
            (tmp_path / target.removeprefix("/etc/prometheus/")).write_bytes((ROOT / source).read_bytes())
    [config] = [flag.split("=")[1] for flag in COMPOSE["services"]["prometheus"]["command"] if flag.startswith("--config.file=")]
    done = subprocess.run(["promtool", "check", "config", tmp_path / config.removeprefix("/etc/prometheus/")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "20 rules found" in done.stdout, done.stdout + done.stderr


def test_no_service_has_another_ones_secret():
    given = {name: set(re.findall(r"\$\{(\w+):\?", json.dumps(service))) for name, service in COMPOSE["services"].items()}
    assert given["grafana"] == {"GRAFANA_PASSWORD"} and given["postgres"] == {"POSTGRES_PASSWORD"}
    assert given["llm-proxy"] == {"ADMIN_KEY", "ENCRYPTION_KEY", "POSTGRES_PASSWORD"}


def test_every_alert_is_explained():
    alerts = yaml.safe_load((ROOT / "prometheus/alerts.yml").read_text())
    names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    explained = set(re.findall(r"^\| `(LlmProxy\w+)` \|", (ROOT / "docs/operations.md").read_text(), re.M))
    assert names == explained
