"""A number that Helm uses twice, since its record was deleted by hand: both revisions stay in the ledger."""

from support.calls import state
from support.charts import job
from support.undone import Undone

from helm_rollback.v1.release_pb2 import Revision
from helm_rollback.v1.release_service_pb2 import ListRevisionsRequest

pytest_plugins = ["support.undone_fixtures"]


def test_a_pending_record_that_was_deleted_is_replaced_by_the_next_of_its_number(shop: Undone) -> None:
    shop.install("1.0.0")
    hanging = shop.chart("2.0.0", hang=job(hooks=["pre-upgrade"]))

    with shop.service.follow(shop.release_id, deployed=1) as stream:
        with shop.helm.killed_after("upgrade", "shop", hanging):
            shop.until(2, Revision.PENDING_UPGRADE)
        shop.cluster.client.delete(shop.secret_path(2))
        shop.upgrade("3.0.0")
        stream.until_told("revision 2 PENDING_UPGRADE → DEPLOYED")

    assert stream.told == [
        "revision 2 → PENDING_UPGRADE",
        "record 2 removed",
        "revision 2 → PENDING_UPGRADE",
        "revision 1 DEPLOYED → SUPERSEDED",
        "revision 2 PENDING_UPGRADE → DEPLOYED",
    ]
    listed = shop.revisions
    assert [(revision.revision, revision.chart_version) for revision in listed] == [
        (2, "3.0.0"),
        (2, "2.0.0"),
        (1, "1.0.0"),
    ]
    assert [revision.HasField("replaced_time") for revision in listed] == [False, True, False]
    assert [revision.stored_by_helm for revision in listed] == [True, False, True]
    assert not listed[1].HasField("deployed_time")
    assert (shop.release.incarnation, shop.revision(2).chart_version) == (1, "3.0.0")


def test_a_number_that_a_rollback_uses_again_is_the_rollbacks(shop: Undone) -> None:
    """The newest record is gone, so the one before is current, and the next number is the one that was."""
    shop.install("1.0.0")
    shop.upgrade("2.0.0")
    shop.until(2, Revision.DEPLOYED)
    shop.cluster.client.delete(shop.secret_path(2))
    shop.until(1, Revision.SUPERSEDED)

    operation = shop.roll_back(1)

    assert (state(operation), operation.base_revision, operation.result_revision) == ("SUCCEEDED", 1, 2)
    assert shop.live_version == "1.0.0"
    request = ListRevisionsRequest(release_id=shop.release_id, successful_only=True)
    listed = shop.service.releases.ListRevisions(request).revisions
    assert [(revision.revision, revision.chart_version) for revision in listed] == [
        (2, "1.0.0"),
        (2, "2.0.0"),
        (1, "1.0.0"),
    ]
    assert listed[0].operation_id == operation.operation_id
    assert listed[1].HasField("replaced_time")
