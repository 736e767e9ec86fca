"""A fuzzer that reads nothing but /openapi.json finds no fault, and no answer that the document does not describe."""

from __future__ import annotations

import asyncio
import sys

import pytest
from support.service import Service
from support.world import World

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
SECONDS = 300


@pytest.mark.timeout(SECONDS + 30)
async def test_the_service_is_as_its_document_says(world: World, service: Service) -> None:
    world.release()
    await service.until_observed(world.cluster)
    fuzzer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.http.removesuffix('/api/v1/helm')}/openapi.json"),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples", "5"),
        *("--seed", "1", "--generation-deterministic"),
        *("--exclude-path-regex", "/stream$"),  # those have no end
        *("--request-timeout", "10", "--continue-on-failure", "--no-color", "--warnings", "off"),
        cwd=world.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        told, _ = await fuzzer.communicate()

    assert fuzzer.returncode == 0, told.decode()
