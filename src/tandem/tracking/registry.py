"""The model registry: a version for each model that the pipeline made, and an alias ``champion`` that moves by the gate's rule alone.

A version's source is the model folder in the workspace, which DVC may exchange: the tag ``dvc.md5`` says which content was meant, and
``dvc.lock`` of the commit in ``git.sha`` brings it back. `tandem.tracking.sync` opens the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tandem.evaluation.gate import Candidate, GateSettings, decide
from tandem.evaluation.significance import bootstrap_interval
from tandem.tracking.client import Client, ModelVersion, list_models

__all__ = ["ALIAS", "ROLES", "move", "register", "versions"]

ALIAS = "champion"
ROLES = ("retriever", "reranker", "generator")
FOLDERS = {"retriever": "out/rounds/{}/retriever", "generator": "out/generators/{}/model", "reranker": "out/models/{}"}
TRAINERS = {"retriever": "train_retriever", "generator": "improve_generator", "reranker": "train_reranker"}
VALUES = "gate.json"


def register(client: Client, root: Path, champions: Mapping[str, Any], run_ids: Mapping[str, str]) -> list[str]:
    """Register the pipeline's models and let its champions meet the registered ones.

    A champion of the pipeline takes the alias of its role if there is none yet, or if it beats the registered champion by the rule that the
    pipeline's gate had, on the same dev queries. Champions of other dev queries cannot be met: the alias stays.

    Args:
        client: of the store.
        root: of the project.
        champions: by role ``champion`` (a name, or empty), ``models`` (per-query ``dev`` and ``guard`` values, ``costs`` and ``tags``,
            by name) and ``rule``.
        run_ids: of the runs that made the models, by DVC's name of the stage.

    Returns:
        A sentence for each role that has models.
    """
    digests = _digests(root / "dvc.lock")
    sentences = []
    for role in ROLES:
        entry = champions.get(role, {})
        registered = {name: _version(client, root, role, name, model, digests, run_ids) for name, model in entry.get("models", {}).items()}
        if entry.get("champion") and registered.get(entry["champion"]):
            sentences.append(_meet(client, role, registered[entry["champion"]], entry))
        elif entry.get("champion"):
            sentences.append(f"{role}: {entry['champion']} has no folder of its own in dvc.lock; the alias stays where it was")
        elif registered:
            sentences.append(f"{role}: no champion in this pipeline; the alias stays where it was")
    return sentences


def versions(client: Client) -> list[tuple[str, str, str, str]]:
    """Registered versions, newest first: role, version, name and measure, and ``champion`` where the alias stands."""
    rows = []
    for role in ROLES:
        holder = _holder(client, role)
        for version in sorted(client.search_model_versions(f"name = '{_name(role)}'"), key=lambda v: -int(v.version)):
            details = ", ".join(f"{key} {value}" for key, value in sorted(version.tags.items()) if key in ("model", "dev", "gate"))
            rows.append((role, str(version.version), details, ALIAS if holder and holder.version == version.version else ""))
    return rows


def move(client: Client, role: str, version: str) -> None:
    """Put the alias of a role on a version.

    Raises:
        ValueError: no such role or version.
    """
    if role not in ROLES:
        raise ValueError(f"role: {role!r} found, allowed: {', '.join(ROLES)}")
    known = [v.version for v in client.search_model_versions(f"name = '{_name(role)}'")]
    if version not in map(str, known):
        there = ", ".join(sorted(map(str, known))) or "none, `tandem sync` makes them"
        raise ValueError(f"{_name(role)}: no version {version!r}; there are: {there}")
    client.set_registered_model_alias(_name(role), ALIAS, version)
    client.set_model_version_tag(_name(role), version, "gate", "moved by hand")


def _version(
    client: Client, root: Path, role: str, name: str, model: Mapping[str, Any], digests: Mapping[str, str], run_ids: Mapping[str, str]
) -> ModelVersion | None:
    """The registered version of a model, made where there is none; None where the pipeline's lock does not know the folder."""
    folder = _folder(role, name, model)
    if folder not in digests:
        return None
    if not client.search_registered_models(f"name = '{_name(role)}'"):
        client.create_registered_model(_name(role))
    known = client.search_model_versions(f"name = '{_name(role)}' and tag.`dvc.md5` = '{digests[folder]}'")
    trainers = [f"{TRAINERS[role]}@{name}", f"{TRAINERS[role]}_{name}", "train_generator" if role == "generator" else TRAINERS[role]]
    if folder.startswith("out/models/baselines/"):
        trainers = ["build_baselines"]
    run_id = next((run_ids[stage] for stage in trainers if stage in run_ids), None)
    version = known[0] if known else _create_version(client, root, role, name, model, digests[folder], run_id)
    if run_id:
        _link_logged_model(client, run_id, folder, version)
    return version


def _create_version(
    client: Client, root: Path, role: str, name: str, model: Mapping[str, Any], digest: str, run_id: str | None
) -> ModelVersion:
    """Register a model as a new version, its per-query values kept with the run that made it."""
    folder = _folder(role, name, model)
    tags = {"model": name, "dvc.md5": digest, **_origin(client, root, run_id)}
    tags |= {key: str(value) for key, value in model.get("tags", {}).items()}
    if model.get("dev"):
        low, high = bootstrap_interval(list(model["dev"].values()))
        tags["dev.interval"] = f"{low:.4f} to {high:.4f}"
    values = {key: model.get(key, {}) for key in ("dev", "guard", "costs")}
    if run_id:
        client.log_dict(run_id, values, VALUES)
    return client.create_model_version(_name(role), source=str(root / folder), run_id=run_id, tags=tags)


def _folder(role: str, name: str, model: Mapping[str, Any]) -> str:
    """Where a model lies, from the project's root."""
    return str(model.get("folder") or FOLDERS[role].format(name))


def _link_logged_model(client: Client, run_id: str, folder: str, version: ModelVersion) -> None:
    """Name a version at the logged model of the same folder, as MLflow's pages look for it."""
    experiment = client.get_run(run_id).info.experiment_id
    for model in list_models(client, experiment, f"source_run_id = '{run_id}'"):
        if model.tags.get("path") == folder:
            link = [{"name": version.name, "version": int(version.version)}]
            client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": json.dumps(link)})


def _origin(client: Client, root: Path, run_id: str | None) -> dict[str, str]:
    """The commit that the model's run names, and the digest of the data."""
    manifest = root / "out/data/manifest.json"
    data = {"data.sha256": json.loads(manifest.read_text(encoding="utf8"))["sha256"]} if manifest.is_file() else {}
    revision = client.get_run(run_id).data.tags.get("git.sha") if run_id else None
    return {**data, **({"git.sha": revision} if revision else {})}


def _meet(client: Client, role: str, challenger: ModelVersion, entry: Mapping[str, Any]) -> str:
    """Let the pipeline's champion meet the registered one; the outcome is a tag of its version, and a sentence."""
    name, holder = _name(role), _holder(client, role)
    if holder and holder.version == challenger.version:
        return f"{role}: {entry['champion']} (version {challenger.version}) is champion"
    values = entry["models"][entry["champion"]]
    moved, reason, verdict = True, "there was no champion", "is champion now"
    if holder:
        before = _values(client, holder)
        rival = Candidate(entry["champion"], values["dev"], values["guard"], values["costs"])
        decision = decide(Candidate(f"version {holder.version}", **before), rival, GateSettings.model_validate(entry["rule"]))
        moved, reason = decision.moved, decision.reason
        verdict = verdict if moved else f"is not champion, version {holder.version} stays"
    if moved:
        client.set_registered_model_alias(name, ALIAS, challenger.version)
    client.set_model_version_tag(name, challenger.version, "gate", f"{'moved' if moved else 'stays out'}: {reason}")
    return f"{role}: {entry['champion']} (version {challenger.version}) {verdict}: {reason}"


def _values(client: Client, version: ModelVersion) -> dict[str, Any]:
    """Per-query values of a registered version; empty where its run or artifact is gone, so that nothing can be compared with it."""
    try:
        path = client.download_artifacts(version.run_id, VALUES)
    except Exception:  # noqa: BLE001 - stores differ in what they raise for what is not there
        return {"dev": {}}
    values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf8"))
    return values


def _holder(client: Client, role: str) -> ModelVersion | None:
    """The version that has the alias, or None."""
    models = client.search_registered_models(f"name = '{_name(role)}'")
    version = models[0].aliases.get(ALIAS) if models else None
    return client.get_model_version(_name(role), version) if version else None


def _digests(lock: Path) -> dict[str, str]:
    """What DVC last wrote to each output."""
    if not lock.exists():
        return {}
    stages = YAML(typ="safe").load(lock.read_text(encoding="utf8")).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}


def _name(role: str) -> str:
    return f"tandem-{role}"
