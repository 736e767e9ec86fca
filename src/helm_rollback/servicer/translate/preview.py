"""A preview, asked and told."""

from __future__ import annotations

from helm_rollback.application.acceptance import REVISION_MAX
from helm_rollback.application.preview import PreviewQuestion
from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.preview import ObjectChange, Preview, PreviewedHook, PreviewWarning
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer.translate import fields, resources, wishes
from helm_rollback.v1 import preview_pb2 as pb
from helm_rollback.v1.rollback_service_pb2 import PreviewRollbackRequest, PreviewRollbackResponse


def question(request: PreviewRollbackRequest) -> PreviewQuestion:
    """Raises InvalidField or, where several fields are bad, InvalidFields."""
    found = Violations()
    release_id = fields.release_id(request, found)
    target = found.take(lambda: _target(request), None)
    options = found.take(lambda: wishes.helm_options(request.helm_options), HelmOptions())
    found.check()
    return PreviewQuestion(release_id=release_id, target_revision=target, helm_options=options)


def _target(request: PreviewRollbackRequest) -> int | None:
    match request.WhichOneof("target"):
        case "target_revision":
            if not 1 <= request.target_revision <= REVISION_MAX:
                raise InvalidField("target_revision", "must be a revision, 1 or higher")
            return request.target_revision
        case "last_successful":
            if not request.last_successful:
                raise InvalidField("last_successful", "must be true, or left out for a target_revision")
            return None
        case _:
            raise InvalidField("target", "is required: target_revision or last_successful")


def response(preview: Preview) -> PreviewRollbackResponse:
    return PreviewRollbackResponse(
        selection=resources.selection(preview.selection),
        base_revision=preview.base_revision,
        values_diff=preview.values_diff,
        changes=[_change(change) for change in preview.changes],
        hooks=[_hook(hook) for hook in preview.hooks],
        warnings=[_warning(warning) for warning in preview.warnings],
        truncated=preview.truncated,
    )


def _change(value: ObjectChange) -> pb.ObjectChange:
    return pb.ObjectChange(
        api_version=value.api_version,
        kind=value.kind,
        namespace=value.namespace,
        name=value.name,
        action=pb.ObjectChange.Action.Value(value.action),
        diff=value.diff,
        drifted=value.drifted,
    )


def _hook(value: PreviewedHook) -> pb.Hook:
    return pb.Hook(kind=value.kind, name=value.name, events=value.events)


def _warning(value: PreviewWarning) -> pb.Warning:
    return pb.Warning(code=pb.Warning.Code.Value(value.code), message=value.message, kind=value.kind, name=value.name)
