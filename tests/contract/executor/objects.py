"""The contract of the port `Cluster` for single objects: read as metadata, deleted by their version."""

from __future__ import annotations

import pytest
from contract.executor.stage import Stage

from helm_rollback.application.ports import RecordConflict
from helm_rollback.domain.live_object import LiveObject, Resource


async def config_maps(stage: Stage) -> Resource:
    resource = (await stage.cluster.served_kinds()).resource("v1", "ConfigMap")
    assert resource is not None
    return resource


async def read(stage: Stage, name: str = "extra") -> LiveObject | None:
    resource = await config_maps(stage)
    return await stage.cluster.read_object(stage.release_id, resource, stage.release_id.namespace, name)


class Objects:
    """How any object is read, and deleted."""

    async def test_how_a_kind_is_served(self, stage: Stage) -> None:
        served = await stage.cluster.served_kinds()

        assert await config_maps(stage) == Resource(
            api_version="v1", kind="ConfigMap", plural="configmaps", namespaced=True
        )
        role = served.resource("rbac.authorization.k8s.io/v1", "ClusterRole")
        assert role is not None
        assert (role.plural, role.namespaced) == ("clusterroles", False)

    async def test_a_kind_is_found_in_another_version_of_its_group(self, stage: Stage) -> None:
        served = await stage.cluster.served_kinds()

        found = served.resource("apps/v1beta1", "Deployment")

        assert found is not None
        assert found.api_version == "apps/v1"
        assert served.resource("v1", "Deployment") is None
        assert served.resource("apps/v1", "Widget") is None

    async def test_an_object_is_read_with_what_tells_whose_it_is(self, stage: Stage) -> None:
        await stage.put_config_map("extra", {"app.kubernetes.io/managed-by": "Helm"}, {"a": "1"})

        live = await read(stage)

        assert live is not None
        assert (live.resource, live.namespace, live.name) == (
            await config_maps(stage),
            stage.release_id.namespace,
            "extra",
        )
        assert (live.labels, live.annotations) == ({"app.kubernetes.io/managed-by": "Helm"}, {"a": "1"})
        assert live.uid
        assert not live.is_going

    async def test_without_labels_and_annotations_there_are_none(self, stage: Stage) -> None:
        await stage.put_config_map("extra", {}, {})

        live = await read(stage)

        assert live is not None
        assert (live.labels, live.annotations) == ({}, {})

    async def test_what_is_not_there_is_not_read(self, stage: Stage) -> None:
        assert await read(stage, "nowhere") is None

    async def test_whole_objects_are_listed_by_label_and_not_without_end(self, stage: Stage) -> None:
        for name, tier in (("b", "front"), ("a", "front"), ("c", "back")):
            await stage.put_config_map(name, {"tier": tier}, {})

        async def names(labels: str, *, limit: int = 10) -> list[str]:
            resource, namespace = await config_maps(stage), stage.release_id.namespace
            found = await stage.cluster.list_contents(
                stage.release_id, resource, namespace, labels=labels, fields="metadata.name!=none", limit=limit
            )
            assert all((one["apiVersion"], one["kind"]) == ("v1", "ConfigMap") for one in found)
            return [one["metadata"]["name"] for one in found]

        assert await names("tier=front") == ["a", "b"]
        assert await names("tier=front", limit=1) == ["a"]
        assert await names("tier=none") == []

    async def test_exactly_the_version_that_was_read_is_deleted(self, stage: Stage) -> None:
        await stage.put_config_map("extra", {}, {"a": "1"})
        first = await read(stage)
        await stage.put_config_map("extra", {}, {"a": "2"})
        second = await read(stage)
        assert first is not None
        assert second is not None
        assert (first.uid, first.resource_version == second.resource_version) == (second.uid, False)

        with pytest.raises(RecordConflict):
            await stage.cluster.delete_object(stage.release_id, first)
        await stage.cluster.delete_object(stage.release_id, second)

        assert await read(stage) is None
        await stage.cluster.delete_object(stage.release_id, second)

    async def test_one_made_anew_is_another(self, stage: Stage) -> None:
        await stage.put_config_map("extra", {}, {})
        first = await read(stage)
        assert first is not None
        await stage.cluster.delete_object(stage.release_id, first)
        await stage.put_config_map("extra", {}, {})

        with pytest.raises(RecordConflict):
            await stage.cluster.delete_object(stage.release_id, first)

        assert await read(stage) is not None
