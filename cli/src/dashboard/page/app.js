// Follows the stream of snapshots and draws each: the graph, the tables, and the panel of what is chosen.

import { Graph, element, grade, key, millis, model, percent } from "/graph.js";
import { html, ofEdge, ofNode } from "/panel.js";

const HISTORY = 60;
const byId = id => document.getElementById(id);
const summary = byId("summary"), panel = byId("panel"), choice = byId("window");
const history = new Map();
let source, snapshot, mesh, chosen = null, opener = null;

const graph = new Graph(byId("graph"), (kind, id) => choose(kind, id));

function choose(kind, id) {
  opener = document.activeElement;
  chosen = { kind, id };
  location.hash = `${kind}=${encodeURIComponent(id)}`;
  open();
  panel.focus();
}

function open() {
  const found = chosen && (chosen.kind === "node" ? mesh.nodes : mesh.edges).get(chosen.id);
  panel.hidden = !found;
  if (!found) return;
  (chosen.kind === "node" ? ofNode : ofEdge)(panel, found, snapshot, close);
  graph.draw(mesh, chosen.id);
}

function close() {
  chosen = null;
  panel.hidden = true;
  window.history.replaceState(null, "", location.pathname);
  graph.draw(mesh, null);
  opener?.focus();
}

document.addEventListener("keydown", event => { if (event.key === "Escape" && chosen) close(); });
window.addEventListener("resize", () => { if (mesh) graph.draw(mesh, chosen?.id); });
choice.addEventListener("change", () => { history.clear(); follow(); });

function fromHash() {
  const [kind, id] = location.hash.slice(1).split("=");
  if ((kind === "node" || kind === "edge") && id) chosen = { kind, id: decodeURIComponent(id) };
}

function follow() {
  source?.close();
  source = new EventSource(`/api/events?window=${choice.value}`);
  source.onmessage = event => show(JSON.parse(event.data));
  source.addEventListener("away", event => away(JSON.parse(event.data).error));
  source.onerror = () => away("weft does not answer any more; is the command still running?");
}

function away(why) {
  summary.className = "away";
  summary.textContent = snapshot ? `These figures are old: ${why}` : why;
}

function show(next) {
  const first = !mesh;
  snapshot = next;
  mesh = model(snapshot.stat);
  const { workloads, edges } = snapshot.stat;
  const rps = workloads.reduce((sum, row) => sum + row.rps, 0);
  const meshed = workloads.filter(row => row.meshed).length;
  const connected = snapshot.proxies.filter(proxy => proxy.connected).length;
  summary.className = "";
  summary.textContent = `${workloads.length} workloads, ${meshed} meshed, ${connected} sidecars connected, ${rps.toFixed(1)} requests/s`;
  graph.draw(mesh, chosen?.id);
  drawWorkloads(workloads);
  drawEdges(edges);
  drawFindings(snapshot.findings);
  if (first && chosen) open();
  document.body.dataset.shown = "true";
}

// A row is kept as long as what it shows is there.
function rows(table, columns, data, id, cells) {
  if (!table.tHead) {
    table.createTHead().append(html("tr", {}, ...columns.map(([name, kind]) => html("th", { scope: "col", class: kind ?? "" }, name))));
    table.createTBody();
  }
  const body = table.tBodies[0], known = new Map([...body.rows].map(row => [row.dataset.id, row]));
  for (const item of data) {
    const made = known.get(id(item)) ?? html("tr", { "data-id": id(item) });
    known.delete(id(item));
    made.replaceChildren(...cells(item).map((cell, index) => cell instanceof HTMLTableCellElement ? cell : html("td", { class: columns[index][1] ?? "" }, cell)));
    body.append(made);
  }
  for (const gone of known.values()) gone.remove();
}

function golden(row) {
  const cell = (field, text) => html("td", { "data-field": field, "data-value": row[field] ?? "", class: field === "success_rate" ? grade(row.success_rate, row.requests) : "" }, text);
  return [cell("success_rate", percent(row.success_rate)), cell("rps", row.rps.toFixed(1)), cell("p50_ms", millis(row.p50_ms)),
    cell("p99_ms", millis(row.p99_ms)), cell("retries", String(row.retries)), cell("mtls_share", percent(row.mtls_share)), cell("requests", String(row.requests))];
}

const GOLDEN = [["success"], ["rps"], ["p50"], ["p99"], ["retries"], ["mTLS"], ["requests"]];

function drawWorkloads(workloads) {
  rows(byId("workloads"), [["workload", "text"], ["version", "text"], ["last minute", "text"], ...GOLDEN], workloads, row => row.workload, row => {
    const seen = history.get(row.workload) ?? [];
    seen.push(row.rps);
    if (seen.length > HISTORY) seen.shift();
    history.set(row.workload, seen);
    return [key(row.name, row.namespace), row.version || "–", spark(seen, grade(row.success_rate, row.requests)), ...golden(row)];
  });
}

function spark(values, kind) {
  const most = Math.max(...values, 0.001);
  const points = values.map((value, index) => `${(index * 90 / (HISTORY - 1)).toFixed(1)},${(20 - 18 * value / most).toFixed(1)}`).join(" ");
  const drawn = element("svg", { class: `spark ${kind}`, viewBox: "0 0 90 22", role: "img", "aria-label": `at the most ${most.toFixed(1)} a second` }, element("polyline", { points }));
  return html("td", { class: "text" }, drawn);
}

function drawEdges(edges) {
  const id = row => `${key(row.source, row.source_namespace)} → ${key(row.destination, row.namespace)}`;
  rows(byId("edges"), [["edge", "text"], ...GOLDEN], edges, id, row => {
    const button = html("button", { type: "button" }, id(row));
    button.addEventListener("click", () => choose("edge", id(row)));
    return [html("td", { class: "text" }, button), ...golden(row)];
  });
}

function drawFindings(findings) {
  const place = byId("findings"), wrong = findings.filter(finding => finding.severity !== "info");
  place.hidden = !wrong.length;
  const said = wrong.map(finding => html("li", {}, `${finding.code} ${finding.object}: ${finding.message}${finding.file ? ` (${finding.file}:${finding.line})` : ""}. ${finding.hint}`));
  place.replaceChildren(html("h2", {}, "Configuration"), html("ul", {}, ...said));
}

fromHash();
const asked = new URLSearchParams(location.search).get("window");
if ([...choice.options].some(option => option.value === asked)) choice.value = asked;
follow();
