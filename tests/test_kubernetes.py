"""The manifests that Kustomize builds are valid and consistent, and KEDA counts the lists that kombu fills."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from jsonschema import Draft202012Validator

from engine import TOOLS, tool
from servers import missing
from support import UV, run
from variants import TEMPLATE, Answers, Choice, combined, load, pairwise, variant_id

Baked = Callable[[Mapping[str, Choice]], Path]
Manifest = dict[str, Any]

#: Definitions of custom resources; not a part of this repository.
SCHEMAS = Path(os.environ.get("CRD_SCHEMAS") or TEMPLATE.parent / "shared" / "schemas")

#: What is built: base, overlays, and production with the other component.
BASE, STAGING, PRODUCTION, KEDA = BUILDS = ("base", "overlays/staging", "overlays/production", "keda")

#: Every pair of choices.
PAIRS: list[Answers] = [
    *(answers for answers in pairwise() if answers["kubernetes"]),
    {"kubernetes": True, "database": "postgresql", "project_slug": "a_" + 62 * "b"},
]

#: Every combination of choices that decide which files there are; the last build has nearly all of them.
COMBINED: list[Answers] = [
    answers for answers in combined("kubernetes", "broker", "framework", "beat") if answers["kubernetes"]
]

#: The queues of a project.
QUEUES = "src/{{cookiecutter.package_name}}/queues.py"

#: What keeps the priorities of a queue apart, and the levels: asked of the project's own kombu.
LISTS = """
import ast, json, sys
from kombu.transport.redis import Channel
with open(sys.argv[1], encoding="utf-8") as module:
    tree = ast.parse(module.read())
(names,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "QueueName")
queues = [row.value.value for row in names.body if isinstance(row, ast.Assign)]
channel = object.__new__(Channel)
print(json.dumps({queue: [channel._q_for_pri(queue, step) for step in channel.priority_steps] for queue in queues}))
"""


@pytest.fixture(scope="module")
def baked(baked_part: Callable[..., Baked]) -> Baked:
    """Return a function that gives the files that the tests look at."""
    return baked_part("Dockerfile", "Procfile", "deploy/kubernetes", "pyproject.toml", QUEUES)


def kubectl() -> str:
    """Return the path of kubectl; without it, skip the test, or fail it in CI."""
    return (not TOOLS and shutil.which("kubectl")) or tool("kubectl")


def build(project: Path, folder: Path, name: str) -> list[Manifest]:
    """Return the manifests that Kustomize builds from a copy of a project's files, with example secrets."""
    copy = folder / name
    shutil.copytree(project / "deploy" / "kubernetes", copy)
    for example in copy.glob("overlays/*/.env.example"):
        shutil.copy(example, example.with_name(".env"))
    path = copy / (PRODUCTION if name == KEDA else name)
    if name == KEDA:
        file = path / "kustomization.yaml"
        text = file.read_text("utf-8")
        assert "  - ../../components/hpa\n" in text, "one line chooses how workers scale"
        text = text.replace("components/hpa", "components/keda")
        monitoring = "  # - ../../components/monitoring\n"
        assert (monitoring in text) == (copy / "components" / "monitoring").exists(), "one line adds metrics and alerts"
        file.write_text(text.replace(monitoring, monitoring.replace("# ", "")), "utf-8")
    result = subprocess.run([kubectl(), "kustomize", str(path)], capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "a warning, such as of a field that is deprecated"
    return list(yaml.load_all(result.stdout, yaml.CSafeLoader))


@cache
def contents(path: str, version: str) -> Any:
    """Return a schema of kubernetes-validate, which would read it for every manifest."""
    return json.loads((Path(kubernetes_validate.__file__).parent / path).read_text("utf-8"))


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Let kubernetes-validate read each of its schemas once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", contents)
        yield


def strict(schema: Any) -> Any:
    """Return a schema of a custom resource that refuses what it does not know."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        result["additionalProperties"] = False
    return result


@cache
def custom(api_version: str, kind: str) -> Draft202012Validator:
    """Return what validates a custom resource; without definitions, skip the test, or fail it in CI."""
    if not SCHEMAS.is_dir():
        missing("definitions of custom resources", "CRD_SCHEMAS names a folder with those of KEDA and of Prometheus")
    for file in SCHEMAS.glob("*.yaml"):
        definition = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)["spec"]
        for version in definition["versions"]:
            if (f"{definition['group']}/{version['name']}", definition["names"]["kind"]) == (api_version, kind):
                return Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))
    return Draft202012Validator({"not": {}})  # nobody knows it


@cache
def invalid(text: str) -> list[str]:
    """Return what is wrong with one manifest, given as JSON: many variants have the same."""
    manifest = json.loads(text)
    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        errors = custom(manifest["apiVersion"], manifest["kind"]).iter_errors(manifest)
        return [f"{error.json_path}: {error.message}" for error in errors]
    except kubernetes_validate.ValidationError as error:
        return [f"{error.json_path}: {error.message}"]
    return []


def labels(manifest: Manifest) -> dict[str, str]:
    """Return the labels of an object or of a template of pods."""
    result: dict[str, str] = manifest["metadata"].get("labels", {})
    return result


def component(manifest: Manifest) -> str:
    """Return the label by which selectors find pods."""
    return labels(manifest).get("app.kubernetes.io/component", "")


def of(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def selectors(value: Any, key: str = "") -> Iterator[dict[str, str]]:
    """Yield the labels of all selectors of pods in a manifest that select some."""
    if isinstance(value, dict):
        if key in {"selector", "labelSelector", "podSelector"} and value:
            yield value.get("matchLabels", value)
        else:
            for name, item in value.items():
                yield from selectors(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from selectors(item)


def insecure(pod: Manifest) -> Iterator[str]:
    """Yield what the level `restricted` of the Pod Security Standards, or a read-only root, would lack."""
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") != 10001:
        yield "may run as root, or not as the user of the image"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False or "serviceAccountName" not in pod:
        yield "gets a token"
    if any(set(volume) - {"name", "emptyDir"} for volume in pod.get("volumes", [])):
        yield "mounts what is not its own"
    for container in pod["containers"]:
        expected = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        if container.get("securityContext") != expected:
            yield "has a container with rights"
        if {mount["mountPath"] for mount in container.get("volumeMounts", [])} != {"/data", "/tmp"}:  # noqa: S108
            yield "has nowhere to write"


def pods(manifests: list[Manifest]) -> Iterator[str]:
    """Yield what is wrong with the pods: security, grace, probes, resources."""
    grace = load()["_time_budget"]["shutdown_grace"]
    for manifest in of(manifests, "Deployment", "Job"):
        name, pod = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
        yield from (f"{name} {reason}" for reason in insecure(pod))
        if pod.get("terminationGracePeriodSeconds") != grace:
            yield f"{name} does not have the shutdown grace"
        if pod.get("enableServiceLinks") is not False:
            yield f"{name} gets variables of the Service web"
        (container,) = pod["containers"]
        kind = name.removeprefix("worker-")
        if kind in load()["_resources"]:
            row = load()["_resources"][kind]
            if container["resources"]["limits"] != {"cpu": str(row["cpus"]), "memory": f"{row['memory']}Mi"}:
                yield f"{name} has other limits than the table"
        probes = {key: probe for key, probe in container.items() if key.endswith("Probe")}
        alive = {"startupProbe", "livenessProbe"}
        if name == "web":
            asked = {probe["httpGet"]["path"] for probe in probes.values() if "httpGet" in probe}
            if set(probes) != {*alive, "readinessProbe"} or asked != {"/health/live", "/health/ready"}:
                yield f"{name} has other probes"
        elif name == "exporter":
            if any(probe["tcpSocket"] != {"port": "metrics"} for probe in probes.values()) or set(probes) != alive:
                yield f"{name} has other probes"
        elif manifest["kind"] == "Deployment" and (
            set(probes) != alive or any(probe["exec"]["command"] != ["/app/deploy/alive"] for probe in probes.values())
        ):
            yield f"{name} has other probes"


def strategies(manifests: list[Manifest], answers: Mapping[str, Choice]) -> Iterator[str]:
    """Yield processes that would run too seldom or too often."""
    scaled = {
        manifest["spec"]["scaleTargetRef"]["name"]
        for manifest in of(manifests, "HorizontalPodAutoscaler", "ScaledObject")
    }
    budgets = {component(manifest) for manifest in of(manifests, "PodDisruptionBudget")}
    for manifest in of(manifests, "Deployment"):
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        is_one = name == "beat" and answers.get("beat", "file") != "redbeat"
        if is_one and (spec.get("replicas"), spec.get("strategy")) != (1, {"type": "Recreate"}):
            yield "two beats may run"
        if name == "exporter" and spec.get("replicas") != 1:
            yield "everything is exported more than once"
        if not is_one and name not in {"exporter", *budgets}:
            yield f"{name} has no PodDisruptionBudget"
        if name in scaled and "replicas" in spec:
            yield f"{name} is scaled, and its replicas are set as well"
        if name != "beat" and spec["strategy"] != {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}:
            yield f"{name} is not replaced one by one"
    for manifest in of(manifests, "PodDisruptionBudget"):
        if manifest["spec"]["maxUnavailable"] != 1:
            yield f"{manifest['metadata']['name']} may lose more than one pod"
    for name in scaled - {manifest["metadata"]["name"] for manifest in of(manifests, "Deployment")}:
        yield f"{name} is scaled and does not exist"


def links(manifests: list[Manifest]) -> Iterator[str]:
    """Yield selectors that miss their pods, and references to objects that do not exist."""
    templates = {
        manifest["metadata"]["name"]: labels(manifest["spec"]["template"])
        for manifest in of(manifests, "Deployment", "Job")
    }
    for manifest in manifests:
        for selector in selectors(manifest.get("spec", {})):
            found = [name for name, pod in templates.items() if selector.items() <= pod.items()]
            if found != [component(manifest) or "".join(found)]:
                yield f"{manifest['kind']} {manifest['metadata']['name']} selects {found}"
        # README: settings and migration are what has no such label.
        is_setting = not {"Deployment", "PodDisruptionBudget", "Service", "HorizontalPodAutoscaler", "ScaledObject"} & {
            manifest["kind"]
        }
        if is_setting == bool(component(manifest)):
            yield f"{manifest['kind']} {manifest['metadata']['name']} is applied at the wrong time"
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    for manifest in of(manifests, "Deployment", "Job"):
        pod = manifest["spec"]["template"]["spec"]
        if ("ServiceAccount", pod["serviceAccountName"]) not in names:
            yield "there is no such ServiceAccount"


def references(manifests: list[Manifest]) -> Iterator[str]:
    """Yield names of ConfigMaps and Secrets that do not exist: those of an overlay have a hash."""
    names = {kind: {item["metadata"]["name"] for item in of(manifests, kind)} for kind in ("ConfigMap", "Secret")}
    keys = {item["metadata"]["name"]: item["data"] for item in of(manifests, "ConfigMap", "Secret")}
    for manifest in of(manifests, "Deployment", "Job"):
        for source in manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"]:
            (kind, reference) = next(iter(source.items()))
            if reference["name"] not in names["Secret" if kind == "secretRef" else "ConfigMap"]:
                yield f"{manifest['metadata']['name']} names {reference['name']}, which does not exist"
    for manifest in of(manifests, "TriggerAuthentication"):
        for reference in manifest["spec"]["secretTargetRef"]:
            if reference["key"] not in keys.get(reference["name"], {}):
                yield f"KEDA looks for {reference['key']} in {reference['name']}, where it is not"


def workers(manifests: list[Manifest], project: Path) -> Iterator[str]:
    """Yield where the workers are not those of the Procfile."""
    lines = (project / "Procfile").read_text("utf-8")
    fleet = dict(re.findall(r"(?m)^(\w+): celery .* worker .*--queues (\S+)", lines))
    deployed = {}
    for manifest in of(manifests, "Deployment"):
        arguments = manifest["spec"]["template"]["spec"]["containers"][0]["args"]
        if "worker" in arguments:
            name = arguments[arguments.index("--hostname") + 1].removesuffix("@%h")
            deployed[name] = arguments[arguments.index("--queues") + 1]
            if manifest["metadata"]["name"] != f"worker-{name}":
                yield f"{manifest['metadata']['name']} is called {name}"
            if not arguments[arguments.index("--concurrency") + 1].isdecimal():
                yield f"{name} would count the processors of its node"
    if deployed != fleet:
        yield f"the workers are {deployed}, in the Procfile {fleet}"
    exporter = {"exporter"} if (project / "deploy/kubernetes/base/exporter.yaml").exists() else set()
    processes = set(re.findall(r"(?m)^(\w+):", lines)) - set(fleet) | exporter
    others = {manifest["metadata"]["name"] for manifest in of(manifests, "Deployment")} - {
        f"worker-{name}" for name in fleet
    }
    if others != processes:
        yield f"beside the workers there are {others} instead of {processes}"


def network(manifests: list[Manifest], project: Path) -> Iterator[str]:
    """Yield connections that are blocked or allowed by mistake."""
    policies = {manifest["metadata"]["name"]: manifest["spec"] for manifest in of(manifests, "NetworkPolicy")}
    if policies["default-deny"] != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        yield "not everything is denied by default"
    ports = {port["port"] for rule in policies["servers"]["egress"] for port in rule["ports"]}
    examples = (project / "deploy/kubernetes/overlays/production/.env.example").read_text("utf-8")
    for port in map(int, re.findall(r"HOST:(\d+)", examples)):
        if port not in ports:
            yield f"no pod reaches port {port}, which a URL names"
    reached = {name for name, policy in policies.items() if policy.get("ingress")} - {"metrics"}
    if reached != {manifest["metadata"]["name"] for manifest in of(manifests, "Service")}:
        yield "something else than web and the metrics is reached"
    exported = [manifest for manifest in of(manifests, "Deployment") if manifest["metadata"]["name"] == "exporter"]
    if bool(exported) != ("metrics" in policies):
        yield "Prometheus reaches no metrics"
    for rule in policies["metrics"]["ingress"] if "metrics" in policies else ():
        if rule["from"] != [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]:
            yield "somebody else than Prometheus reads the metrics"


def monitoring(manifests: list[Manifest]) -> Iterator[str]:
    """Yield processes that Prometheus does not read, and where it would find nothing."""
    endpoints = [row for monitor in of(manifests, "PodMonitor") for row in monitor["spec"]["podMetricsEndpoints"]]
    read = {row["port"] for row in endpoints}
    offered = {"http", "metrics"} if read else set()
    for manifest in of(manifests, "Deployment"):
        name = manifest["metadata"]["name"]
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container.get("ports", [])}
        has_metrics = "APP_METRICS_PORT" in {variable["name"] for variable in container.get("env", [])}
        if has_metrics != ("metrics" in ports) or (has_metrics and name == "web"):
            yield f"{name} does not offer its metrics at the port of that name"
        if read and len(ports & read) != 1:
            yield f"Prometheus reads {name} {len(ports & read)} times"
    if read - offered or bool(read) != bool(of(manifests, "PrometheusRule")):
        yield "Prometheus has metrics or alerts, but not both"


def keda(manifests: list[Manifest], answers: Mapping[str, Choice]) -> Iterator[str]:
    """Yield where KEDA does not count the queues of a worker."""
    consumed = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]["containers"][0]["args"]
        for manifest in of(manifests, "Deployment")
    }
    for manifest in of(manifests, "ScaledObject"):
        spec, name = manifest["spec"], manifest["metadata"]["name"]
        arguments = consumed[spec["scaleTargetRef"]["name"]]
        queues = arguments[arguments.index("--queues") + 1].split(",")
        triggers = [trigger["metadata"] for trigger in spec["triggers"]]
        if answers.get("broker") == "rabbitmq":
            counted = [trigger["queueName"] for trigger in triggers]
            is_right = counted == queues and {trigger["protocol"] for trigger in triggers} == {"amqp"}
        else:
            steps = ["", "\x06\x163", "\x06\x166", "\x06\x169"]  # a test asks kombu
            is_right = [trigger["listName"] for trigger in triggers] == [
                queue + step for queue in queues for step in steps
            ]
        if not is_right:
            yield f"KEDA counts something else for {name}"
        modifiers = spec["advanced"]["scalingModifiers"]
        if modifiers["formula"].split(" + ") != [trigger["name"] for trigger in spec["triggers"]]:
            yield f"the formula of {name} is not the sum of its triggers"
        if int(modifiers["target"]) != 5 * int(arguments[arguments.index("--concurrency") + 1]):
            yield f"the target of {name} is not its concurrency's"


def problems(project: Path, answers: Mapping[str, Choice], name: str, manifests: list[Manifest]) -> list[str]:
    """Return all that is wrong with what was built."""
    found = [
        f"{manifest['kind']} {manifest['metadata']['name']}: {reason}"
        for manifest in manifests
        for reason in invalid(json.dumps(manifest, sort_keys=True))
    ]
    found += [*pods(manifests), *strategies(manifests, answers), *links(manifests)]
    found += [*workers(manifests, project), *network(manifests, project), *keda(manifests, answers)]
    found += monitoring(manifests)
    (namespace,) = of(manifests, "Namespace")
    if labels(namespace).get("pod-security.kubernetes.io/enforce") != "restricted":
        found.append("the namespace admits any pod")
    if not re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", namespace["metadata"]["name"]):
        found.append("the namespace has no valid name")
    if name == BASE:
        example = (project / "deploy/kubernetes/overlays/production/.env.example").read_text("utf-8")
        secrets = re.findall("(?m)^([A-Z_]+)=", example)
        text = json.dumps(manifests)
        found += [f"{secret} is in the base" for secret in secrets if f'"{secret}"' in text]
        found += ["a Secret is in the base"] if of(manifests, "Secret") else []
    else:
        found += references(manifests)
    return found


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        *(pytest.param(answers, BUILDS, id=variant_id(answers)) for answers in PAIRS),
        *(pytest.param(answers, (KEDA,), id=f"{variant_id(answers)},keda") for answers in COMBINED),
    ],
)
def test_all_that_kustomize_builds_is_right(
    answers: Answers, names: tuple[str, ...], baked: Baked, tmp_path: Path
) -> None:
    project = baked(answers)
    for name in names:
        manifests = build(project, tmp_path, name)
        assert problems(project, answers, name, manifests) == [], name
        assert bool(of(manifests, "HorizontalPodAutoscaler")) == (name == PRODUCTION)
        assert bool(of(manifests, "ScaledObject")) == (name == KEDA)


def test_keda_counts_the_lists_that_kombu_fills(baked: Baked, tmp_path: Path) -> None:
    project = baked({"kubernetes": True})
    (queues,) = project.glob("src/*/queues.py")
    dependencies = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    wanted = [name for name in dependencies if name.startswith(("kombu", "packaging", "redis"))]
    needs = [word for name in wanted for word in ("--with", name)]
    command = [*UV, "run", "--quiet", "--no-project", "--python", sys.executable, *needs, "python", "-c", LISTS]
    lists: dict[str, list[str]] = json.loads(run([*command, str(queues)], tmp_path))
    counted = [
        trigger["metadata"]["listName"]
        for manifest in of(build(project, tmp_path, KEDA), "ScaledObject")
        for trigger in manifest["spec"]["triggers"]
    ]
    assert sorted(counted) == sorted(name for names in lists.values() for name in names)


def test_probe_user_and_folders_are_those_of_the_image(baked: Baked) -> None:
    text = (baked({"kubernetes": True}) / "Dockerfile").read_text("utf-8")
    assert "/app/deploy/alive" in text
    assert re.search(r"(?m)^USER 10001\b", text)
    assert re.search(r"(?m)^WORKDIR /data$", text)
    assert "ENTRYPOINT" not in text, "`args` would be its arguments"


RABBITMQ: Answers = {"kubernetes": True, "broker": "rabbitmq", "framework": "fastapi", "database": "postgresql"}

#: What breaks a project's files: the file, a change, what is built then, and what is said.
BROKEN: dict[str, tuple[str, str, str, str, str]] = {
    "schema": ("base/workers.yaml", "maxSurge: 1", "maxSurges: 1", BASE, "'maxSurges' was unexpected"),
    "type": ("base/pods.yaml", "runAsUser: 10001", "runAsUser: app", BASE, "'app' is not of type"),
    "unread": (
        "components/monitoring/pods.yaml",
        "port: metrics",
        "port: figures",
        KEDA,
        "Prometheus reads worker-io 0 times",
    ),
    "no port": ("base/metrics.yaml", "name: metrics", "name: figures", BASE, "beat does not offer its metrics"),
    "custom": ("components/keda/workers.yaml", "minReplicaCount", "minReplicas", KEDA, "'minReplicas' was unexpected"),
    "root": ("base/pods.yaml", "runAsNonRoot: true", "runAsNonRoot: false", BASE, "worker-io may run as root"),
    "writes": ("base/pods.yaml", "readOnlyRootFilesystem: true", "privileged: true", BASE, "web has a container with"),
    "grace": ("base/pods.yaml", "Seconds: 330", "Seconds: 30", BASE, "beat does not have the shutdown grace"),
    "links": ("base/pods.yaml", "enableServiceLinks: false", "hostname: x", BASE, "gets variables of the Service"),
    "probe": (
        "base/heartbeat.yaml",
        "command: [/app/deploy/alive]",
        "command: [x]",
        BASE,
        "worker-io has other probes",
    ),
    "limits": ("base/workers.yaml", "memory: 1024Mi", "memory: 1Gi", BASE, "worker-critical has other limits"),
    "selector": (
        "base/web.yaml",
        "spec:\n  selector:\n    app.kubernetes.io/component: web",
        "spec:\n  selector:\n    app.kubernetes.io/component: beat",
        BASE,
        "Service web selects ['beat']",
    ),
    "no budget": (
        "base/web.yaml",
        "kind: PodDisruptionBudget",
        "kind: LimitRange",
        BASE,
        "web has no PodDisruptionBudget",
    ),
    "budget": ("base/web.yaml", "maxUnavailable: 1\n", "maxUnavailable: 2\n", BASE, "web may lose more than one"),
    "beats": ("base/beat.yaml", "replicas: 1", "replicas: 2", BASE, "two beats may run"),
    "replicas": (
        "overlays/production/kustomization.yaml",
        "- name: web\n",
        "- name: worker-io\n",
        PRODUCTION,
        "worker-io is scaled, and its replicas are set",
    ),
    "queue": ("base/workers.yaml", "- default,bulk", "- default", BASE, "the workers are"),
    "port": ("base/network.yaml", "        - port: 5671\n", "", BASE, "no pod reaches port 5671"),
    "open": ("base/network.yaml", "[Ingress, Egress]", "[Ingress]", BASE, "not everything is denied"),
    "time": (
        "base/migrate.yaml",
        "  name: migrate\n",
        "  name: migrate\n  labels: {app.kubernetes.io/component: x}\n",
        BASE,
        "wrong time",
    ),
    "namespace": ("base/namespace.yaml", "restricted", "baseline", BASE, "the namespace admits any pod"),
    "secret": (
        "base/metrics.yaml",
        "          env:\n",
        "          env:\n            - name: DATABASE_URL\n",
        BASE,
        "is in the base",
    ),
    "exporters": ("base/exporter.yaml", "replicas: 1", "replicas: 2", BASE, "everything is exported more than once"),
    "exporter's probe": ("base/exporter.yaml", "port: metrics", "port: 1", BASE, "exporter has other probes"),
    "metrics": ("base/network.yaml", "  name: metrics\n", "  name: others\n", BASE, "Prometheus reaches no metrics"),
    "spy": ("base/network.yaml", "name: monitoring", "name: default", BASE, "somebody else than Prometheus"),
    "hash": (
        "components/keda/names.yaml",
        "kind: Secret",
        "kind: ConfigMap",
        KEDA,
        "KEDA looks for CELERY_BROKER_URL in",
    ),
    "counted": ("components/keda/workers.yaml", "queueName: bulk", "queueName: io", KEDA, "KEDA counts something else"),
    "formula": ("components/keda/workers.yaml", "default + bulk", "default", KEDA, "is not the sum of its triggers"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_each_check_finds_a_broken_file(broken: str, baked: Baked, tmp_path: Path) -> None:
    path, old, new, name, sentence = BROKEN[broken]
    project = shutil.copytree(baked(RABBITMQ), tmp_path / "project")
    file = project / "deploy" / "kubernetes" / path
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    found = problems(project, RABBITMQ, name, build(project, tmp_path / "built", name))
    assert any(sentence in problem for problem in found), found


def test_a_list_that_kombu_does_not_fill_is_found(baked: Baked, tmp_path: Path) -> None:
    answers: Answers = {"kubernetes": True}
    project = shutil.copytree(baked(answers), tmp_path / "project")
    file = project / "deploy/kubernetes/components/keda/workers.yaml"
    text = file.read_text("utf-8")
    assert '"io\\x06\\x169"' in text
    file.write_text(text.replace('"io\\x06\\x169"', '"io:9"'), "utf-8")
    found = problems(project, answers, KEDA, build(project, tmp_path / "built", KEDA))
    assert found == ["KEDA counts something else for worker-io"]
