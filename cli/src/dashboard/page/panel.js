// What is behind a node or an edge. Everything that somebody sent is text, never markup.

import { grade, millis, percent } from "/graph.js";
import { list as noticeList } from "/notices.js";

const REFRESH_MS = 10_000;

export function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A long name is broken where it is divided, and a part that has no end anywhere.
function breakable(text) {
  const parts = text.split(/(?=[/#:.])|(?<=_)/).flatMap(part => part.match(/.{1,16}/gsu) ?? []);
  return parts.flatMap((part, index) => index ? [html("wbr"), part] : [part]);
}

function table(columns, rows, empty) {
  if (!rows.length) return html("p", { class: "faint" }, empty);
  const head = html("tr", {}, ...columns.map(([name, kind]) => html("th", { scope: "col", class: kind ?? "" }, name)));
  const body = rows.map(cells => html("tr", {}, ...cells.map((cell, index) => {
    const kind = columns[index][1] ?? "";
    if (cell instanceof HTMLTableCellElement) return cell;
    return html("td", { class: kind }, ...(typeof cell === "string" && kind.includes("wrap") ? breakable(cell) : [cell]));
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

// A heading, facts that follow each snapshot, and sections that are asked for when it opens and now and then.
export class Panel {
  constructor(place, close) {
    this.place = place;
    this.close = close;
    this.chosen = null;
  }

  // Nothing is shown of what is not there.
  show(chosen, found, snapshot) {
    this.place.hidden = !chosen;
    if (!chosen) { this.chosen = null; this.place.replaceChildren(); return; }
    if (chosen.kind !== this.chosen?.kind || chosen.id !== this.chosen.id) this.open(chosen, found, snapshot);
    const facts = html("div", {}, ...(chosen.kind === "node" ? ofNode(found, snapshot) : ofEdge(found)));
    if (!facts.isEqualNode(this.facts)) { this.facts.replaceWith(facts); this.facts = facts; }
    if (chosen.kind === "edge" && Date.now() - this.asked > REFRESH_MS) this.ask(found, snapshot);
  }

  open(chosen, found, snapshot) {
    this.chosen = chosen;
    const button = html("button", { type: "button", "aria-label": "Close" }, "×");
    button.addEventListener("click", this.close);
    this.facts = html("div");
    this.sections = html("div");
    this.place.replaceChildren(html("header", {}, html("h2", {}, found.id), button), this.facts, this.sections);
    this.place.scrollTop = 0;
    this.ask(found, snapshot);
  }

  // What is open by the time of the answer may be another.
  ask(found, snapshot) {
    this.asked = Date.now();
    if (this.chosen.kind === "edge") this.section("Failed and slow requests", () => requests(found, snapshot.jaeger));
    else {
      this.section("Routes and policies in force", () => policies(found));
      if (found.workloads.length) this.section("Who may call it", () => reach(found));
    }
  }

  async section(title, answer) {
    const known = [...this.sections.children].find(section => section.dataset.title === title);
    const section = known ?? html("section", { "data-title": title }, html("h3", {}, title), html("p", { class: "faint" }, "Asking…"));
    if (!known) this.sections.append(section);
    let shown;
    try {
      shown = await answer();
    } catch (error) {
      shown = html("p", { class: "error" }, error.message);
    }
    const before = section.lastElementChild;
    if (!before.isEqualNode(shown) && !before.contains(document.activeElement)) before.replaceWith(shown);
  }
}

function ofNode(node, snapshot) {
  const parts = [];
  const wrong = snapshot.notices.filter(notice => notice.nodes.includes(node.id));
  if (wrong.length) parts.push(noticeList(wrong));
  for (const row of node.workloads) {
    const proxy = snapshot.proxies.find(proxy => proxy.workload === row.workload);
    parts.push(html("h3", {}, row.workload), list([
      ["version", row.version || "–"], ["sidecar", row.meshed ? proxy?.connected ? `connected, ${proxy.version}` : "not connected" : "none"],
      ["identity", row.identity || "–"],
      ["certificate", proxy?.leaf_not_after ? left(proxy.leaf_not_after) : "–"],
      ["requests", `${row.rps.toFixed(1)}/s, ${percent(row.success_rate)} succeed`],
      ["latency", `p50 ${millis(row.p50_ms)}, p99 ${millis(row.p99_ms)}`]]));
  }
  const routes = snapshot.stat.routes.filter(route => route.destination === node.name && route.namespace === node.namespace);
  parts.push(html("h3", {}, "Routes in use"), table([["caller", "text"], ["route", "text wrap"], ["backend", "text wrap"], ["rps"], ["success"]],
    routes.map(route => [route.source, route.route || "none", route.backend || "–", route.rps.toFixed(1), success(route)]),
    "Nobody called it in this time."));
  return parts;
}

function success(row) {
  return html("td", { class: grade(row.success_rate, row.requests) }, percent(row.success_rate));
}

async function policies(node) {
  const { rows, left_out } = await ask("/api/policies", { to: node.id });
  const shown = rows.map(row => [row.object, row.places.join(", "), row.says]);
  if (left_out) shown.push([`and ${left_out} more`, "", ""]);
  return table([["object", "text wrap"], ["at", "text wrap"], ["says", "text wrap"]], shown, "None: the defaults hold.");
}

const verdict = word => ({ allowed: "yes", denied: "no" })[word] ?? "depends";

// Callers to whom the same happens for the same reason are one line.
async function reach(node) {
  const { rows } = await ask("/api/reach", { to: node.id });
  const groups = new Map();
  for (const row of rows) {
    const by = row.rule ?? row.why, group = JSON.stringify([row.port, row.verdict, by]);
    if (!groups.has(group)) groups.set(group, { ...row, by, callers: [] });
    groups.get(group).callers.push(row.from ?? "whoever has no identity");
  }
  const some = callers => callers.length > 5 ? `${callers.slice(0, 5).join(", ")} and ${callers.length - 5} more` : callers.join(", ");
  return table([["caller", "text wrap"], ["port", "text"], ["may", "text"], ["by", "text wrap"]],
    [...groups.values()].map(group => [some(group.callers), group.port ? String(group.port) : "others", verdict(group.verdict), group.by]),
    "Nobody's calls are judged: it has no sidecar, or no port.");
}

function ofEdge({ row }) {
  const errors = Object.entries(row.errors ?? {}).map(([token, count]) => `${token} (${count})`).join(", ");
  const secured = row.mtls_share === null ? "–" : percent(row.mtls_share);
  return [list([
    ["requests", `${row.requests}, ${row.rps.toFixed(1)}/s`], ["success", percent(row.success_rate)],
    ["latency", `p50 ${millis(row.p50_ms)}, p99 ${millis(row.p99_ms)}`], ["retries", row.retries], ["mutual TLS", secured],
    ["the mesh's own errors", errors || "none"]])];
}

async function requests({ row, from, to }, jaeger) {
  // Who is outside has no sidecar that remembers; the called one's does.
  const found = await ask("/api/requests", { from: row.source === "outside" && !row.source_namespace ? "" : from, to });
  return table([["when", "text"], ["request", "text wrap"], ["outcome", "text wrap"], ["took"], ["trace", "text wrap"]],
    found.map(request => [new Date(request.at_ms).toLocaleTimeString([], { hour12: false }), request.opaque ? "a connection" : `${request.method} ${request.path}`,
      outcome(request), millis(request.total_us / 1000), trace(request, jaeger)]),
    "None that the sidecars remember.");
}

function outcome(request) {
  const attempts = request.attempts.length > 1 ? `${request.attempts.length} attempts` : "";
  const grpc = request.grpc_status ? `grpc-status ${request.grpc_status}` : "";
  const status = grpc || (request.status ? String(request.status) : "no response");
  return [`${status} ${request.error || request.reported || ""}`.trim(), request.slow ? "slow" : "", attempts].filter(Boolean).join(", ");
}

// A link leads somewhere only if a sidecar has a span of it.
function trace(request, jaeger) {
  if (!/^[0-9a-f]{32}$/.test(request.trace_id)) return "none";
  if (!request.sampled) return "not sampled";
  if (!jaeger) return html("span", { title: request.trace_id }, request.trace_id.slice(0, 8));
  return html("a", { href: `${jaeger}/trace/${request.trace_id}`, target: "_blank", rel: "noopener noreferrer" }, "open in Jaeger");
}
