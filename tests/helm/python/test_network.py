"""Who may reach whom: the NetworkPolicy, read as a cluster would read it."""

import ipaddress
import re

import pytest

from chart import POSTGRESQL, ROOT, dig, find, merged, render


def lets_out(policy, port, address=None, protocol="TCP", is_pod=False):
    """Whether a rule lets the pod connect; of a network that knows no address blocks of pods where `is_pod`."""
    for rule in policy["spec"]["egress"]:
        ports = rule.get("ports")
        if ports and not any(one["port"] == port and one.get("protocol", "TCP") == protocol for one in ports):
            continue
        if "to" not in rule:
            return True
        for peer in rule["to"]:
            if is_pod:
                if peer.get("namespaceSelector") == {} and "podSelector" not in peer:
                    return True
            elif "ipBlock" in peer:
                block = peer["ipBlock"]
                target = ipaddress.ip_address(address)
                if target in ipaddress.ip_network(block["cidr"]) and not any(target in ipaddress.ip_network(one) for one in block.get("except", [])):
                    return True
    return False


POLICY = find(render(merged(POSTGRESQL)), "NetworkPolicy")


@pytest.mark.parametrize("port, address", [(443, "104.18.1.1"), (443, "2606:4700::1"), (5432, "10.3.2.1"), (6379, "10.3.2.1"), (4318, "192.168.1.1"), (8000, "fd12::1")])
def test_providers_databases_and_collectors_are_reached(port, address):
    assert lets_out(POLICY, port, address)


@pytest.mark.parametrize("port", [5432, 6379, 4318, 3000, 18001])
def test_what_runs_in_the_cluster_is_reached_also_where_pods_have_no_address_block(port):
    assert lets_out(POLICY, port, is_pod=True)


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_names_are_resolved_also_on_openshift_and_by_a_cache_on_the_node(protocol):
    narrow = find(render({"networkPolicy": {"egress": [{"ports": [{"port": 443}]}]}}), "NetworkPolicy")
    for policy in (POLICY, narrow):
        assert lets_out(policy, 53, "169.254.20.10", protocol) and lets_out(policy, 5353, "10.0.0.1", protocol)
    assert not lets_out(narrow, 5432, "10.0.0.1")


def metadata_addresses():
    """Those that the proxy itself refuses."""
    text = (ROOT / "src/config/address.rs").read_text().split("#[cfg(test)]")[0]
    v4 = [".".join(re.findall(r"\d+", found)) for found in re.findall(r"Ipv4Addr::new\(([\d, ]+)\)", text)]
    v6 = [":".join(f"{int(part, 0):x}" for part in found.split(",")) for found in re.findall(r"Ipv6Addr::new\(([\da-fx, ]+)\)", text)]
    assert len(v4) >= 4 and len(v6) >= 3
    return [*v4, *v6, "169.254.170.2", "fe80::1"]


@pytest.mark.parametrize("address", metadata_addresses())
def test_metadata_services_are_out_of_reach_unless_they_shall_be_providers(address):
    assert not lets_out(POLICY, 80, address)
    assert lets_out(find(render({"settings": {"ALLOW_LINK_LOCAL_PROVIDERS": True}}), "NetworkPolicy"), 80, address)


def test_everybody_may_connect_to_the_port_and_to_no_other():
    [rule] = POLICY["spec"]["ingress"]
    assert rule == {"ports": [{"port": "http", "protocol": "TCP"}]}
    narrow = find(render({"networkPolicy": {"ingressFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}}), "NetworkPolicy")
    [rule] = narrow["spec"]["ingress"]
    assert [dig(peer, "podSelector.matchLabels.app\\.kubernetes\\.io/component") for peer in rule["from"]] == [None, "test"]
