"""The three examinations: of a data set, of a checkpoint or run, of a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seglib.data.datasets import load_dataset
from seglib.doctor.collect import (
    Progress,
    examining,
    measure_data,
    measure_log,
    measure_model,
    silent,
)
from seglib.doctor.diagnoses import DIAGNOSES, LAST_RESORTS
from seglib.doctor.findings import Finding, Passed, Report
from seglib.doctor.measures.file_predictions import file_symptoms
from seglib.doctor.measures.results_file import read_results
from seglib.doctor.measures.weights import weight_symptoms
from seglib.doctor.symptoms import Symptoms

DATA_LIMIT = 100  # images per split
PREDICTION_LIMIT = 8  # images that a model predicts


def examine_dataset(
    spec: str | None,
    split: str | None = None,
    limit: int | None = None,
    progress: Progress = silent,
) -> Report:
    """Examine a data set.

    Args:
        spec: as for `load_dataset`.
        split: "train" or "val"; None examines all that a folder has. Pocket COCO's train split is
            examined only if it is named, since it would have to be drawn first.
        limit: examine only the first `limit` images of each split; 100 by default.
        progress: shows how far the examination has come.
    """
    symptoms = Symptoms()
    measure_data(symptoms, spec, split, limit or DATA_LIMIT, progress)
    return _report(spec or symptoms.dataset or "the data set", symptoms)


def examine_checkpoint(
    name: str,
    settings: Mapping[str, Any] | None = None,
    spec: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    progress: Progress = silent,
    faults: Sequence[tuple[str, str]] = (),
) -> Report:
    """Examine a run of `seglib train`, a model's file, or a shipped checkpoint.

    Args:
        name: a run's folder, a file, or the name of a shipped checkpoint.
        settings: the run's, from its run.json; empty if that cannot be read, None if `name` is
            not a run.
        spec: the data set; None means the run's, or the default one if `name` is not a run.
        split: the split to predict; "val" by default.
        limit: use only the first `limit` images; by default 100 for the data and 8 to predict.
        progress: shows how far the examination has come.
        faults: what the caller could not read, as (file, message).
    """
    symptoms, run = Symptoms(faults=list(faults)), settings or {}
    spec = spec or run.get("dataset")
    measure_log(symptoms, name, settings)
    model = None
    with examining(symptoms, name):
        symptoms.weights, model = weight_symptoms(name, run.get("model"))
    measure_data(symptoms, spec, split, limit or DATA_LIMIT, progress)
    if model is not None and any(s.categories is not None for s in symptoms.splits):
        measure_model(symptoms, model, spec, split, limit or PREDICTION_LIMIT, progress)
    return _report(name, symptoms)


def examine_predictions(
    file: Path,
    spec: str | None,
    split: str | None = None,
    limit: int | None = None,
    progress: Progress = silent,
) -> Report:
    """Examine predictions in COCO's results format.

    Args:
        file: a list of records.
        spec: the data set that was predicted.
        split: "val" by default.
        limit: use only the first `limit` images, of the predictions those with objects.
        progress: shows how far the examination has come.
    """
    symptoms, split = Symptoms(), split or "val"
    measure_data(symptoms, spec, split, limit or DATA_LIMIT, progress)
    with examining(symptoms, file.name):
        results = read_results(file)
        data = load_dataset(spec, split, faults=[])
        symptoms.predictions = file_symptoms(results, data, limit or 2 * PREDICTION_LIMIT)
    return _report(file.name, symptoms)


def _report(subject: str, symptoms: Symptoms) -> Report:
    """Try all diagnoses, and the last resorts only if none of those found anything."""
    findings, passed = list[Finding](), list[str]()
    for diagnoses in (DIAGNOSES, LAST_RESORTS):
        if findings:
            break
        for diagnose in diagnoses:
            result = diagnose(symptoms)
            if isinstance(result, Finding):
                findings.append(result)
            elif isinstance(result, Passed):
                passed.append(result.text)
    findings.sort(key=lambda finding: -finding.certainty)
    return Report(subject, findings, passed)
