// What is behind a node or an edge. Everything that somebody sent is text, never markup.

import { grade, millis, percent } from "/graph.js";

export function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function table(columns, rows, empty) {
  if (!rows.length) return html("p", { class: "faint" }, empty);
  const head = html("tr", {}, ...columns.map(([name, kind]) => html("th", { scope: "col", class: kind ?? "" }, name)));
  const body = rows.map(cells => html("tr", {}, ...cells.map((cell, index) => {
    const kind = columns[index][1] ?? "";
    return cell instanceof HTMLTableCellElement ? cell : html("td", { class: kind }, cell);
  })));
  return html("div", { class: "scroll" }, html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)));
}

async function ask(path, query) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? answer.statusText);
  return body;
}

function list(pairs) {
  return html("dl", {}, ...pairs.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, String(value))]));
}

function left(until) {
  const seconds = (new Date(until) - Date.now()) / 1000;
  if (!(seconds > 0)) return "expired";
  return seconds < 7200 ? `${Math.round(seconds / 60)} min left` : `${Math.round(seconds / 3600)} h left`;
}

// `close` takes the panel away; `show` puts it there with this heading and these parts.
function heading(title, close) {
  const button = html("button", { type: "button", "aria-label": "Close" }, "×");
  button.addEventListener("click", close);
  return html("header", {}, html("h2", {}, title), button);
}

export async function ofNode(panel, node, snapshot, close) {
  const parts = [heading(node.id, close)];
  for (const row of node.workloads) {
    const proxy = snapshot.proxies.find(proxy => proxy.workload === row.workload);
    parts.push(html("h3", {}, row.workload), list([
      ["version", row.version || "–"], ["sidecar", row.meshed ? proxy?.connected ? `connected, ${proxy.version}` : "not connected" : "none"],
      ["identity", row.identity || "–"],
      ["certificate", proxy?.leaf_not_after ? left(proxy.leaf_not_after) : "–"],
      ["requests", `${row.rps.toFixed(1)}/s, ${percent(row.success_rate)} succeed`],
      ["latency", `p50 ${millis(row.p50_ms)}, p99 ${millis(row.p99_ms)}`]]));
    for (const [kind, state] of Object.entries(proxy?.resources ?? {}))
      if (state.rejected) parts.push(html("p", { class: "error" }, `rejected ${kind}: ${state.rejected.reason}`));
  }
  const routes = snapshot.stat.routes.filter(route => route.destination === node.name && route.namespace === node.namespace);
  parts.push(html("h3", {}, "Routes in use"), table([["caller", "text"], ["route", "text wrap"], ["backend", "text"], ["rps"], ["success"]],
    routes.map(route => [route.source, route.route || "none", route.backend || "–", route.rps.toFixed(1), success(route)]),
    "Nobody called it in this time."));
  panel.replaceChildren(...parts);
  if (!node.workloads.length) return;
  const policies = html("section", {}, html("h3", {}, "Who may call it"), html("p", { class: "faint" }, "Asking…"));
  panel.append(policies);
  let shown;
  try {
    const reached = await ask("/api/reach", { to: node.id });
    shown = table([["caller", "text wrap"], ["port", "text"], ["may", "text"], ["by", "text wrap"]],
      reached.rows.map(row => [row.from ?? "nobody known", row.port ? String(row.port) : "others", verdict(row.verdict), row.rule ?? row.why]),
      "No port is known.");
  } catch (error) {
    shown = html("p", { class: "error" }, error.message);
  }
  policies.lastChild.replaceWith(shown);
}

const verdict = word => ({ allowed: "yes", denied: "no" })[word] ?? "depends";

function success(row) {
  return html("td", { class: grade(row.success_rate, row.requests) }, percent(row.success_rate));
}

export async function ofEdge(panel, edge, snapshot, close) {
  const row = edge.row;
  const errors = Object.entries(row.errors ?? {}).map(([token, count]) => `${token} (${count})`).join(", ");
  const secured = row.mtls_share === null ? "–" : percent(row.mtls_share);
  const recent = html("section", {}, html("h3", {}, "Failed and slow requests"), html("p", { class: "faint" }, "Asking the sidecars…"));
  panel.replaceChildren(heading(edge.id, close), list([
    ["requests", `${row.requests}, ${row.rps.toFixed(1)}/s`], ["success", percent(row.success_rate)],
    ["latency", `p50 ${millis(row.p50_ms)}, p99 ${millis(row.p99_ms)}`], ["retries", row.retries], ["mutual TLS", secured],
    ["the mesh's own errors", errors || "none"]]), recent);
  if (!row.mesh && row.source === "outside") {
    recent.lastChild.replaceWith(html("p", { class: "faint" }, "Callers outside have no sidecar that remembers."));
    return;
  }
  let shown;
  try {
    const requests = await ask("/api/requests", { from: edge.from, to: edge.to });
    shown = table([["when", "text"], ["request", "text wrap"], ["outcome", "text wrap"], ["took"], ["trace", "text"]],
      requests.map(request => [new Date(request.at_ms).toLocaleTimeString(), `${request.method} ${request.path}`, outcome(request),
        millis(request.total_us / 1000), trace(request, snapshot.jaeger)]),
      "None that the sidecars remember.");
  } catch (error) {
    shown = html("p", { class: "error" }, error.message);
  }
  recent.lastChild.replaceWith(shown);
}

function outcome(request) {
  const status = request.status ? String(request.status) : "no response";
  const attempts = request.attempts.length > 1 ? `, ${request.attempts.length} attempts` : "";
  return `${status}${request.error ? ` ${request.error}` : ""}${request.slow ? ", slow" : ""}${attempts}`;
}

function trace(request, jaeger) {
  if (!/^[0-9a-f]{32}$/.test(request.trace_id)) return "–";
  if (!jaeger) return request.trace_id.slice(0, 8);
  return html("a", { href: `${jaeger}/trace/${request.trace_id}`, target: "_blank", rel: "noreferrer" }, "open in Jaeger");
}
