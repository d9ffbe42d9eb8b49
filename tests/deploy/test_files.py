"""The files of ``deploy/`` fit the program they deploy, as far as can be told without a cluster."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from trioq.core.config.sections import WorkerConfig
from trioq.observe.metrics import catalogue
from trioq.observe.metrics.catalogue import Metric
from trioq.settings import load
from trioq.web.application import FORM_BYTES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

#: What a query may ask for: each sample of the catalogue, and the label names it has.
SAMPLES = {
    metric.sample_name + suffix: {*metric.labels, *(["le"] if suffix == "_bucket" else [])}
    for metric in vars(catalogue).values()
    if isinstance(metric, Metric)
    for suffix in (["_bucket", "_count", "_sum"] if metric.kind == "histogram" else [""])
}


def parsed(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def alerts() -> list[dict[str, Any]]:
    [group] = parsed("prometheus/alerts.yml")["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def queries() -> Iterator[tuple[str, str]]:
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana/trioq.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for trigger in parsed("kubernetes/keda.yaml")["spec"]["triggers"]:
        yield "keda.yaml", trigger["metadata"]["query"]


@pytest.mark.parametrize(("where", "query"), tuple(queries()))
def test_queries_ask_for_metrics_and_labels_that_exist(where: str, query: str) -> None:
    asked = re.findall(r"trioq_\w+", query)
    assert asked, where
    assert set(asked) <= SAMPLES.keys(), where
    known = {"instance"}.union(*(SAMPLES[name] for name in asked))
    grouped = re.findall(r"(?:by|on) \(([\w, ]+)\)", query)
    labels = {label for group in grouped for label in group.split(", ")}
    labels |= set(re.findall(r"[{,](\w+)[!=]", query))
    assert labels <= known, where


def test_every_alert_has_a_row_and_a_chapter_in_the_runbook() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    chapters = set(re.findall(r"^## (.+)$", runbook, re.M))
    rows = dict(re.findall(r"^\| `(Trioq\w+)` \|.* \| \*(.+)\* \|$", runbook, re.M))
    named = {
        rule["alert"]: re.findall(r'Runbook, "(.+)"', rule["annotations"]["description"])
        for rule in alerts()
    }
    assert {alert: [chapter] for alert, chapter in rows.items()} == named
    assert set(rows.values()) <= chapters


def test_every_alert_is_seen_to_fire_in_a_story() -> None:
    """``test_promtool.py`` has them told, where Prometheus' tools are installed."""
    told = (DEPLOY / "prometheus/alerts_test.yml").read_text()
    assert {rule["alert"] for rule in alerts()} == set(re.findall(r'alertname="(\w+)"', told))


def test_the_container_s_configuration_is_sound() -> None:
    config = load(DEPLOY / "docker/jobqueue.toml")
    compose = parsed("docker/compose.yaml")["services"]
    assert urlsplit(config.redis.url).hostname in compose
    assert _seconds(compose["worker"]["stop_grace_period"]) > config.worker.grace_s
    [scrape] = parsed("prometheus/prometheus.yml")["scrape_configs"]
    assert set(scrape["dns_sd_configs"][0]["names"]) <= compose.keys()


def test_nginx_stands_before_the_page_where_it_is_shown_and_keeps_no_event_back() -> None:
    nginx = (DEPLOY / "nginx/trioq.conf").read_text()
    compose = parsed("docker/compose.yaml")["services"]
    [(host, port)] = re.findall(r"^    server ([\w.]+):(\d+);", nginx, re.M)
    assert compose[host]["command"][-2:] == ["--bind", f"0.0.0.0:{port}"]
    config = load(DEPLOY / "docker/jobqueue.toml")
    assert config.web.users, "a page that other containers reach asks who is there"
    assert not config.web.bind, "engines don't show it beside the one that does"
    [published] = compose["nginx"]["ports"]
    assert published.startswith("127.0.0.1:"), "its password is known to all at first"
    [live] = re.findall(r"location /live/ \{(.+?)\}", nginx, re.S)
    assert "proxy_buffering off;" in live
    [most] = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(most) << 20 >= FORM_BYTES + 4 * config.max_payload_bytes


def dockerfile() -> list[str]:
    """Its instructions, a line each."""
    text = (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_copies_what_there_is_and_what_is_not_ignored() -> None:
    copied = [name for line in dockerfile() if line.startswith("COPY ") and "--from" not in line
              for name in line.split()[1:-1]]  # fmt: skip
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "a virtual environment of hundreds of megabytes isn't sent along"
    assert {line[1:] for line in ignored if line.startswith("!")} == {*copied} - {"./"}


def test_the_image_runs_as_a_user_without_rights_who_has_a_number() -> None:
    (user,) = (line.split()[1] for line in dockerfile() if line.startswith("USER "))
    assert user.isdigit(), "Kubernetes' runAsNonRoot can't check a name"
    assert int(user) > 0
    deployment = list(yaml.safe_load_all((DEPLOY / "kubernetes/trioq.yaml").read_text()))[1]
    assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == int(user)
    assert any(f"useradd --uid {user} " in line for line in dockerfile())


def test_a_container_is_not_unhealthy_because_redis_is_away() -> None:
    """What restarts unhealthy containers would else end handlers that could go on."""
    (check,) = (line for line in dockerfile() if line.startswith("HEALTHCHECK"))
    code = json.loads(check[check.index("[") :])[2]
    assert "/healthz" in code
    ast.parse(code)
    config = load(DEPLOY / "docker/jobqueue.toml")
    (exposed,) = (line.split()[1] for line in dockerfile() if line.startswith("EXPOSE"))
    assert config.observability.bind.endswith(f":{exposed}")
    assert f":{exposed}/" in code


def test_where_nothing_can_be_written_there_is_a_directory_for_temporary_files() -> None:
    """Handlers and commands may need one; Python raises where it finds none."""
    services = parsed("docker/compose.yaml")["services"]
    ours = [service for service in services.values() if "build" in service]
    assert [service["tmpfs"] for service in ours if service["read_only"]] == 3 * [["/tmp"]]
    deployment = list(yaml.safe_load_all((DEPLOY / "kubernetes/trioq.yaml").read_text()))[1]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_kubernetes_waits_for_the_grace_period(tmp_path: Path) -> None:
    config_map, deployment, _ = yaml.safe_load_all((DEPLOY / "kubernetes/trioq.yaml").read_text())
    path = tmp_path / "jobqueue.toml"
    path.write_text(config_map["data"]["jobqueue.toml"])
    config = load(path)
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["terminationGracePeriodSeconds"] > config.worker.grace_s + 10
    assert container["ports"][0]["containerPort"] == int(config.observability.bind.split(":")[1])
    probes = (container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness"))
    assert tuple(probes) == ("/healthz", "/readyz")


def test_what_scales_engines_does_it_before_all_their_workers_are_busy() -> None:
    _, deployment, _ = yaml.safe_load_all((DEPLOY / "kubernetes/trioq.yaml").read_text())
    scaled = parsed("kubernetes/keda.yaml")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["minReplicaCount"] >= 1, "without engines nobody tells how many are wanted"
    by_age, by_use = scaled["triggers"]
    assert "oldest_runnable" in by_age["metadata"]["query"]
    assert 0 < int(by_use["metadata"]["threshold"]) < WorkerConfig().count
    for trigger in (by_age, by_use):
        assert trigger["metadata"]["ignoreNullValues"] == "false", "no number isn't nothing to do"


def test_systemd_waits_for_the_grace_period_and_kills_whole_families() -> None:
    for name in ("trioq", "trioq-processes"):
        _waits_and_kills((DEPLOY / f"systemd/{name}.service").read_text())


def _waits_and_kills(unit: str) -> None:
    [stop_s] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
    assert int(stop_s) > 10 + 5, "the default grace, and what settling may take"
    assert "KillMode=mixed" in unit
    assert "RestartPreventExitStatus=2" in unit, "a wrong configuration isn't tried again"


def test_all_that_systemd_runs_may_do_as_little() -> None:
    engine, *others = [
        set((DEPLOY / f"systemd/{name}.service").read_text().splitlines())
        for name in ("trioq", "trioq-processes", "trioq-web")
    ]
    hardened = {line for line in engine if re.match("(Protect|Private|Restrict|Lock|NoNew)", line)}
    assert len(hardened) == 8
    assert all(hardened <= other for other in others)


def test_the_workflow_runs_what_this_machine_runs() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["test"]["steps"]
    assert {"run": "bash .ci/run", "timeout-minutes": 20} in steps
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python.removeprefix(">=") in text


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
