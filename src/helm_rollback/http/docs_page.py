"""A page for people at `/docs`: every route with its parameters and a line for curl. It needs no other server."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>helm-rollback</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; }
summary { cursor: pointer; }
b { display: inline-block; min-width: 4.5rem; }
</style>
<h1>helm-rollback</h1>
<p>Bodies are the proto3 JSON of the messages in <a href="/openapi.json">openapi.json</a>.</p>
<div id="routes"></div>
<script>
const element = (name, text) => Object.assign(document.createElement(name), { textContent: text ?? "" });
const shown = async () => {
  const { paths } = await (await fetch("/openapi.json")).json();
  for (const [path, verbs] of Object.entries(paths)) for (const [verb, operation] of Object.entries(verbs)) {
    const details = element("details"), summary = element("summary"), code = element("code", path);
    summary.append(element("b", verb.toUpperCase()), code, " " + operation.operationId);
    const list = element("ul");
    for (const one of operation.parameters ?? [])
      list.append(element("li", `${one.name} (${one.in}${one.required ? ", required" : ""})`));
    const body = operation.requestBody ? " -H 'Content-Type: application/json' -d '{}'" : "";
    details.append(summary, list, element("pre", `curl -X ${verb.toUpperCase()}${body} '${location.origin}${path}'`));
    document.getElementById("routes").append(details);
  }
};
shown();
</script>
</html>
"""
