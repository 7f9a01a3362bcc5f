// Follows the stream of snapshots and draws each: notices, the graph, the tables, and the panel of what is chosen.
// What somebody reads, has focused or is about to click stays the same element for as long as it says the same.

import { Graph, element, grade, key, millis, model, percent } from "/graph.js";
import { draw as drawNotices } from "/notices.js";
import { Panel, html } from "/panel.js";

const SILENCE_MS = 60_000, AGAIN_MS = 3_000, HISTORY_MS = 60_000;
const byId = id => document.getElementById(id);
const summary = byId("summary"), state = byId("state"), choice = byId("window");
// Of each workload that there is, its last rates.
const lately = new Map();
let source, snapshot, mesh, chosen = null, opener = null, heard = Date.now(), again, since = null;

const graph = new Graph(byId("graph"), choose);
const panel = new Panel(byId("panel"), close);

function choose(kind, id) {
  if (!panel.place.contains(document.activeElement)) opener = document.activeElement;
  chosen = { kind, id };
  window.history.pushState(null, "", `#${kind}=${encodeURIComponent(id)}`);
  draw();
  panel.place.focus();
}

function close() {
  chosen = null;
  window.history.replaceState(null, "", location.pathname + location.search);
  draw();
  if (opener?.isConnected) opener.focus();
}

// A link to a node, back and forward.
function fromHash() {
  const [kind, id] = location.hash.slice(1).split("=");
  chosen = null;
  try {
    if ((kind === "node" || kind === "edge") && id) chosen = { kind, id: decodeURIComponent(id) };
  } catch { /* Not one of ours. */ }
  draw();
}

document.addEventListener("keydown", event => { if (event.key === "Escape" && !panel.place.hidden) close(); });
window.addEventListener("resize", draw);
window.addEventListener("popstate", fromHash);
choice.addEventListener("change", () => { lately.clear(); follow(); });

function follow() {
  clearTimeout(again);
  source?.close();
  source = new EventSource(`/api/events?window=${choice.value}`);
  source.onmessage = event => { heard = Date.now(); show(JSON.parse(event.data)); };
  source.addEventListener("away", event => { heard = Date.now(); away(JSON.parse(event.data).error); });
  source.onerror = () => {
    // A browser comes back to who has gone, not to who has refused.
    if (source.readyState === EventSource.CLOSED) again = setTimeout(follow, AGAIN_MS);
    away("weft does not answer; is the command still running, are too many pages open?");
  };
}

// Somebody who neither speaks nor goes.
setInterval(() => { if (Date.now() - heard > SILENCE_MS) away("nothing has come for a minute"); }, 1000);

function away(why) {
  since ??= new Date().toLocaleTimeString([], { hour12: false });
  summary.className = "away";
  say(summary, snapshot ? `These figures are old, of ${since}: ${why}` : why);
  say(state, snapshot ? "The figures are old." : why);
  document.body.dataset.old = "true";
}

function show(next) {
  snapshot = next;
  mesh = model(snapshot);
  const { workloads, edges } = snapshot.stat;
  const rps = workloads.reduce((sum, row) => sum + row.rps, 0);
  const meshed = workloads.filter(row => row.meshed).length;
  const connected = snapshot.proxies.filter(proxy => proxy.connected).length;
  summary.className = "";
  say(summary, `${workloads.length} workloads, ${meshed} meshed, ${connected} sidecars connected, ${rps.toFixed(1)} requests/s`);
  // Said aloud when it changes, and not with every figure.
  if (since) say(state, "The figures are live again.");
  since = null;
  delete document.body.dataset.old;
  drawNotices(byId("notices"), snapshot, mesh, choose);
  byId("empty").hidden = mesh.nodes.size > 0;
  byId("graph").parentElement.hidden = !mesh.nodes.size;
  draw();
  drawWorkloads(workloads);
  drawEdges(edges);
  document.body.dataset.shown = "true";
}

function draw() {
  if (!mesh) return;
  const found = chosen && (chosen.kind === "node" ? mesh.nodes : mesh.edges).get(chosen.id);
  panel.show(found ? chosen : null, found, snapshot);
  graph.draw(mesh, found ? chosen.id : null);
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// A row, and a cell of it, is kept as long as what it shows is there.
function rows(table, columns, data, id, cells) {
  if (!table.tHead) {
    table.createTHead().append(html("tr", {}, ...columns.map(([name, kind]) => html("th", { scope: "col", class: kind ?? "" }, name))));
    table.createTBody();
  }
  const body = table.tBodies[0], wanted = new Set(data.map(id)), known = new Map();
  for (const row of [...body.rows]) wanted.has(row.dataset.id) ? known.set(row.dataset.id, row) : row.remove();
  let next = body.firstElementChild;
  for (const item of data) {
    const row = known.get(id(item)) ?? html("tr", { "data-id": id(item) });
    cells(item).forEach((cell, index) => {
      const made = cell instanceof HTMLTableCellElement ? cell : html("td", { class: columns[index][1] ?? "" }, cell);
      const shown = row.cells[index];
      if (!shown) row.append(made);
      else if (!shown.isEqualNode(made)) shown.replaceWith(made);
    });
    if (row === next) next = next.nextElementSibling;
    else body.insertBefore(row, next);
  }
}

function golden(row) {
  const cell = (field, text) => html("td", { "data-field": field, "data-value": row[field] ?? "", class: field === "success_rate" ? grade(row.success_rate, row.requests) : "" }, text);
  return [cell("success_rate", percent(row.success_rate)), cell("rps", row.rps.toFixed(1)), cell("p50_ms", millis(row.p50_ms)),
    cell("p99_ms", millis(row.p99_ms)), cell("retries", String(row.retries)), cell("mtls_share", percent(row.mtls_share)), cell("requests", String(row.requests))];
}

const GOLDEN = [["success"], ["rps"], ["p50"], ["p99"], ["retries"], ["mTLS"], ["requests"]];

function drawWorkloads(workloads) {
  const there = new Set(workloads.map(row => row.workload)), most = Math.round(HISTORY_MS / snapshot.every_ms);
  for (const gone of lately.keys()) if (!there.has(gone)) lately.delete(gone);
  rows(byId("workloads"), [["workload", "text"], ["version", "text"], ["last minute", "text"], ...GOLDEN], workloads, row => row.workload, row => {
    const seen = lately.get(row.workload) ?? [];
    seen.push(row.rps);
    if (seen.length > most) seen.shift();
    lately.set(row.workload, seen);
    return [key(row.name, row.namespace), row.version || "–", spark(seen, most, grade(row.success_rate, row.requests)), ...golden(row)];
  });
}

function spark(values, length, kind) {
  const most = Math.max(...values), scale = Math.max(most, 0.001);
  const points = values.map((value, index) => `${(index * 90 / (length - 1)).toFixed(1)},${(20 - 18 * value / scale).toFixed(1)}`).join(" ");
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

fromHash();
const asked = new URLSearchParams(location.search).get("window");
if ([...choice.options].some(option => option.value === asked)) choice.value = asked;
follow();
