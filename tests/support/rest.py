"""REST as a client sees it."""

from __future__ import annotations

import httpx2
from support.service import Service

SHOP = "/releases/default.prod.shop"
KEY = "5f0c1f2e-8f3b-4a53-9d0e-0a4b8f1f7a11"


def client_of(service: Service) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=service.http, timeout=20, trust_env=False)


def reason(answer: httpx2.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    assert error["message"]
    return error["code"], error["status"], next((d["reason"] for d in error["details"] if "reason" in d), "")


def violations(answer: httpx2.Response) -> list[str]:
    details = answer.json()["error"]["details"]
    return [one["field"] for detail in details for one in detail.get("fieldViolations", [])]
