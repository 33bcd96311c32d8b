"""The server under test, as its operator configures it."""

import json
import os
import urllib.request


class Gateway:
    """Configures through the admin API, and removes what it made."""

    def __init__(self):
        self.url = os.environ["LLM_PROXY_URL"]
        self.mock = os.environ["LLM_PROXY_MOCK_URL"]
        self._admin_key = os.environ["LLM_PROXY_ADMIN_KEY"]
        self._made = []

    def admin(self, method, path, body=None):
        """Calls the admin API; gives the JSON of its answer."""
        request = urllib.request.Request(
            f"{self.url}/admin/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._admin_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def provider(self, key, provider_type, mapping, api_base=None):
        """Makes a provider; the mock is behind it unless `api_base` says otherwise."""
        body = {
            "provider_key": key,
            "provider_type": provider_type,
            "api_base": api_base or self.mock,
            "api_key": "sk-mock",
            "model_mapping": mapping,
        }
        self._made.append(f"/providers/{self.admin('POST', '/providers', body)['id']}")

    def credential(self, name, **fields):
        """Makes a credential; gives its plain key."""
        made = self.admin("POST", "/credentials", {"name": name, **fields})
        self._made.append(f"/credentials/{made['id']}")
        return made["key"]

    def requests(self, **labels):
        """How many finished requests have all of these labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        lines = [line for line in lines if line.startswith("llm_proxy_requests_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in wanted))

    def close(self):
        for path in reversed(self._made):
            self.admin("DELETE", path)
