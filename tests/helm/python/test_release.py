"""What a release is made of: one version, licences that are known, bills of materials."""

import json
import re
import shutil
import subprocess
import tomllib

import yaml

from chart import CHART, ROOT
from sandbox import BINARY


def version(root=ROOT):
    return tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]


def copies(root=ROOT):
    """Everything that repeats the version."""
    chart = yaml.safe_load((root / "helm/Chart.yaml").read_text())
    lock = next(one for one in tomllib.loads((root / "Cargo.lock").read_text())["package"] if one["name"] == "llm-proxy")
    npm = json.loads((root / "frontend/package-lock.json").read_text())
    return {
        "chart": chart["version"], "image": chart["appVersion"], "Cargo.lock": lock["version"],
        "Dockerfile": re.search('image.version="([^"]*)"', (root / "Dockerfile").read_text())[1],
        "package.json": json.loads((root / "frontend/package.json").read_text())["version"],
        "package-lock.json": npm["version"], "package-lock.json, its root": npm["packages"][""]["version"],
        "openapi.json": json.loads((root / "frontend/openapi.json").read_text())["info"]["version"],
    }


def test_the_version_stands_in_one_place_and_its_copies_are_right():
    assert set(copies().values()) == {version()}
    told = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(rf"llm-proxy {re.escape(version())} \(commit [0-9a-z]+\)\n", told)


def test_make_version_writes_every_copy(tmp_path):
    for name in ("Makefile", "Cargo.toml", "Cargo.lock", "Dockerfile", "helm/Chart.yaml", "frontend/package.json", "frontend/package-lock.json",
                 "frontend/openapi.json", "src/lib.rs", "src/main.rs", "build.rs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    # Cargo wants the files of the tests that Cargo.toml names.
    for found in re.findall(r'path = "(tests/[^"]+)"', (ROOT / "Cargo.toml").read_text()):
        (tmp_path / found).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / found).touch()
    done = subprocess.run(["make", "version", "VERSION=1.2.3-rc.1"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert version(tmp_path) == "1.2.3-rc.1" and set(copies(tmp_path).values()) == {"1.2.3-rc.1"}
    before = (ROOT / "Cargo.lock").read_text().count("version = ")
    assert (tmp_path / "Cargo.lock").read_text().count("version = ") == before, "other crates were changed"
    refused = subprocess.run(["make", "version", "VERSION=1.2"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "VERSION=x.y.z" in refused.stdout


def test_every_package_of_the_admin_page_has_a_licence_that_is_allowed():
    script = ROOT / "frontend/scripts/packages.mjs"
    done = subprocess.run(["node", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bill = json.loads(subprocess.run(["node", script, "--sbom"], capture_output=True, text=True, check=True).stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    names = {one["name"] for one in bill["components"]}
    assert {"svelte", "uplot", "dompurify", "bits-ui"} <= names
    assert len({one["bom-ref"] for one in bill["components"]}) == len(bill["components"])


def test_every_crate_has_a_licence_that_is_allowed():
    """As cargo-deny reads them in `make licences`, without it: those of this platform, which are here."""
    allowed = set(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
    host = re.search(r"^host: (\S+)$", subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout, re.M)[1]
    asked = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    for package in json.loads(told.stdout)["packages"]:
        expression = package["license"].replace("/", " OR ").replace("  ", " ")
        # `A AND (B OR C)`: every part has an alternative that is allowed.
        parts = [part.replace("(", "").replace(")", "") for part in re.split(r" AND ", expression)]
        assert all(any(one.strip() in allowed for one in part.split(" OR ")) for part in parts), (package["name"], expression)


def test_the_changelog_tells_of_the_release():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## (Unreleased|\[?{re.escape(version())})", text, re.M)
    assert (CHART / "Chart.yaml").read_text().count(version()) == 2
