"""The pages for operators: the metrics that there are, alerts that can fire, and files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from mailapps.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
MONITOR = (ROOT / "docs" / "how-to" / "monitor.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
PARTS = ("_bucket", "_sum", "_count")


def listed() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return the rows of the table of metrics."""
    rows = re.findall(r"^\| `(mailcore_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", MONITOR, flags=re.MULTILINE)
    return [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), told) for name, kind, labels, told in rows]


def test_the_table_of_metrics_is_the_catalogue() -> None:
    """Every metric stands there with its labels, in the same order, and none that there is not."""
    assert listed() == [(one.name, one.kind, one.labels, one.help) for one in CATALOGUE]


def test_whatever_the_page_names_is_a_metric() -> None:
    """An alert on a metric that was renamed would never fire."""
    named = {re.sub(f"({'|'.join(PARTS)})$", "", name) for name in re.findall(r"\bmailcore_[a-z_]+", MONITOR)}

    assert named <= {one.name for one in CATALOGUE}


def test_an_alert_asks_for_labels_that_its_metric_has() -> None:
    """A label with a typing error matches nothing, in silence."""
    known = {one.name: one.labels for one in CATALOGUE}
    asked = re.findall(r"\b(mailcore_[a-z_]+?)(?:_bucket)?\{(\w+)=", MONITOR)

    assert asked
    assert [(name, label) for name, label in asked if label not in known[name]] == []


def test_the_rules_are_yaml_with_a_name_and_an_expression_each() -> None:
    """Prometheus would refuse the file as a whole."""
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", MONITOR, flags=re.DOTALL)]
    rules = [rule for block in blocks for group in block.get("groups", ()) for rule in group["rules"]]

    assert len(rules) > 5
    assert all({"alert", "expr"} <= set(rule) for rule in rules)


def test_the_files_of_the_page_are_there() -> None:
    """Whoever follows it finds what it speaks of."""
    named = set(re.findall(r"\bdeploy/(?!secrets)[\w./-]*\w", DEPLOY))
    units = {f"mailcore-{name}.service" for name in ("api", "scheduler", "worker@")}

    assert named
    assert [name for name in named if not (ROOT / name).exists() and "*" not in name] == []
    assert {path.name for path in (ROOT / "deploy" / "systemd").iterdir()} == units
