"""Helm's error texts, as Helm 4.3.1 and 3.22 print them, and what they mean."""

from __future__ import annotations

import pytest

from helm_rollback.domain.operation import FailureReason as R
from helm_rollback.helm.failures import classify

WARNING = 'level=WARN msg="Rollback \\"shop\\" failed: no matches for kind"\n'


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (R.EXTERNAL_CHANGE, "release: already exists"),
        (R.EXTERNAL_CHANGE, "release: not found"),
        (R.EXTERNAL_CHANGE, "release has no 7 version"),
        (
            R.EXTERNAL_CHANGE,
            "create: failed to create: helm-rollback fence: this release record is not passed: it is not ours",
        ),
        (R.INTERRUPTED, "helm-rollback fence: the lease of this operation is over, nothing more is written for it"),
        (R.CLUSTER_UNREACHABLE, "kubernetes cluster unreachable: helm-rollback fence: the API server does not answer"),
        (R.INTERNAL, "helm-rollback fence: this release record can not be read, so it is not passed"),
        (R.INTERNAL, "unknown flag: --server-side"),
        (R.INTERNAL, "prepareRollback: Release name is invalid: -x"),
        (R.INTERNAL, "invalid operation: cannot use server-side apply and force replace together"),
        (
            R.CLUSTER_PERMISSION_DENIED,
            "kubernetes cluster unreachable: the server has asked for the client to provide credentials",
        ),
        (R.CLUSTER_PERMISSION_DENIED, "Kubernetes cluster unreachable: Unauthorized"),
        (
            R.CLUSTER_PERMISSION_DENIED,
            'query: failed to query with labels: secrets is forbidden: User "x" cannot list resource "secrets"',
        ),
        (
            R.CLUSTER_UNREACHABLE,
            'kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: '
            "connect: connection refused",
        ),
        (R.CLUSTER_UNREACHABLE, 'Patch "http://fence:***@127.0.0.1:4/api/v1/x": EOF'),
        (R.CLUSTER_UNREACHABLE, "etcdserver: request timed out"),
        (
            R.OBJECT_REJECTED,
            'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
        ),
        (R.OBJECT_REJECTED, 'admission webhook "policy.example" denied the request: no'),
        (R.OBJECT_REJECTED, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        (
            R.OBJECT_REJECTED,
            'configmaps "x" is forbidden: unable to create new content in namespace n because it is being terminated',
        ),
        (
            R.OBJECT_REJECTED,
            'cannot patch "shop" with kind ConfigMap: ConfigMap "shop" is invalid: data: Forbidden: field is immutable '
            "when `immutable` is set",
        ),
        (R.OBJECT_REJECTED, 'ConfigMap "big" is invalid: []: Too long: may not be more than 1048576 bytes'),
        (
            R.RECORD_TOO_LARGE,
            'create: failed to create: Secret "sh.helm.release.v1.shop.v2" is invalid: data: Too long: '
            "may not be more than 1048576 bytes",
        ),
        (R.RECORD_TOO_LARGE, "update: failed to update: etcdserver: request is too large"),
        (
            R.KIND_NOT_SERVED,
            'unable to build kubernetes objects from new release manifest: resource mapping not found for name: "w" '
            'namespace: "" from "": no matches for kind "Widget" in version "example.com/v1"\n'
            "ensure CRDs are installed first",
        ),
        (
            R.KIND_NOT_SERVED,
            "unable to build kubernetes object for pre-rollback hook shop/templates/h.yaml: no matches for kind",
        ),
        (R.HOOK_FAILED, 'warning: Hook pre-rollback shop/templates/h.yaml failed: Job.batch "x" is invalid: spec'),
        (R.HOOK_FAILED, "resource Job/prod/migrate not ready. status: Failed, message: Job Failed. failed: 1/1"),
        (
            R.HOOK_FAILED,
            "resource Job/prod/migrate not ready. status: InProgress, message: x\ncontext deadline exceeded",
        ),
        (R.HOOK_FAILED, "job migrate failed: BackoffLimitExceeded"),
        (R.HOOK_FAILED, "timed out waiting for the condition"),
        (
            R.WAIT_TIMED_OUT,
            "release shop failed: resource Deployment/prod/shop not ready. status: InProgress, "
            "message: Available: 0/1\ncontext deadline exceeded",
        ),
        (R.WAIT_TIMED_OUT, "release shop failed: timed out waiting for the condition"),
        (
            R.APPLY_CONFLICT,
            "conflict occurred while applying object prod/shop /v1, Kind=ConfigMap: Apply failed with 1 conflict: "
            'conflict with "kubectl-edit" using v1: .data.a',
        ),
        (R.APPLY_CONFLICT, 'Operation cannot be fulfilled on configmaps "x": the object has been modified'),
        (R.HELM_FAILED, "something that nobody has seen yet"),
    ],
)
def test_each_text_has_its_reason(reason: R, text: str) -> None:
    assert classify(f"Error: {text}\n", 1) is reason


def test_the_error_decides_not_the_warnings_before_it() -> None:
    assert classify(f"{WARNING}Error: release: already exists\n", 1) is R.EXTERNAL_CHANGE


def test_warnings_decide_where_the_error_says_nothing() -> None:
    assert classify(f"{WARNING}Error: oh\n", 1) is R.KIND_NOT_SERVED
    assert classify(WARNING, 1) is R.KIND_NOT_SERVED


def test_a_helm_that_outlived_its_deadline_timed_out() -> None:
    assert classify("", -9, timed_out=True) is R.WAIT_TIMED_OUT


def test_a_helm_that_somebody_killed_was_interrupted() -> None:
    assert classify("Error: release: not found", -9) is R.INTERRUPTED
