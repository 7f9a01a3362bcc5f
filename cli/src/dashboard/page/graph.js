// Who calls whom, as SVG. Nodes stand in layers, callers before the called; on a narrow page from top to bottom. Elements are
// kept as long as what they show is there, so that focus stays where it is.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 132, HEIGHT = 58, GAP = 112, ROW = 34;

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function grade(success, requests) {
  if (!requests || success === null || success === undefined) return "idle";
  return success >= 0.99 ? "good" : success >= 0.95 ? "fair" : "poor";
}

export const percent = share => share === null || share === undefined ? "–" : `${(Math.floor(share * 1000 + 1e-6) / 10).toFixed(1)} %`;
export const millis = value => value === null || value === undefined ? "–" : value < 10 ? `${value.toFixed(1)} ms` : value < 10000 ? `${Math.round(value)} ms` : `${Math.round(value / 1000)} s`;
export const key = (name, namespace) => namespace ? `${name}.${namespace}` : name;

// One node a name and namespace, whatever its versions; what is called or calls and is no workload is one too.
export function model(stat) {
  const nodes = new Map(), edges = new Map();
  const node = (name, namespace) => {
    const id = key(name, namespace);
    if (!nodes.has(id)) nodes.set(id, { id, name, namespace, workloads: [], requests: 0, failed: 0, rps: 0, calls: 0, p99: null });
    return nodes.get(id);
  };
  for (const row of stat.workloads) {
    const one = node(row.name, row.namespace);
    one.workloads.push(row);
    one.requests += row.requests;
    one.rps += row.rps;
    one.failed += row.requests * (1 - (row.success_rate ?? 1));
    if (row.p99_ms !== null) one.p99 = Math.max(one.p99 ?? 0, row.p99_ms);
  }
  for (const one of nodes.values()) one.success = one.requests ? 1 - one.failed / one.requests : null;
  for (const row of stat.edges) {
    const from = node(row.source, row.source_namespace), to = node(row.destination, row.namespace);
    const id = `${from.id} → ${to.id}`;
    from.calls += row.rps;
    edges.set(id, { id, from: from.id, to: to.id, row });
  }
  return { nodes, edges };
}

// The longest way from a caller that nobody calls; ways back, which close a circle, count for nothing.
export function layers({ nodes, edges }) {
  const next = new Map([...nodes.keys()].map(id => [id, []]));
  for (const { from, to } of edges.values()) if (from !== to) next.get(from).push(to);
  const layer = new Map(), state = new Map(), order = [];
  const visit = id => {
    state.set(id, "open");
    for (const to of next.get(id)) if (!state.has(to)) visit(to);
    state.set(id, "done");
    order.unshift(id);
  };
  const called = new Set([...edges.values()].filter(edge => edge.from !== edge.to).map(edge => edge.to));
  const sorted = [...nodes.keys()].sort((a, b) => called.has(a) - called.has(b) || (a < b ? -1 : 1));
  for (const id of sorted) if (!state.has(id)) visit(id);
  const place = new Map(order.map((id, index) => [id, index]));
  for (const id of order) {
    const own = layer.get(id) ?? 0;
    layer.set(id, own);
    for (const to of next.get(id)) if (place.get(to) > place.get(id)) layer.set(to, Math.max(layer.get(to) ?? 0, own + 1));
  }
  const rows = [];
  for (const id of order) (rows[layer.get(id)] ??= []).push(id);
  // An edge that passes a layer is given a place in it, so that it does not run behind a node; three of them at the most.
  const passing = rows.map(() => 0);
  for (const { from, to } of edges.values())
    for (let passed = layer.get(from) + 1; passed < layer.get(to); passed++) passing[passed]++;
  return rows.map((row, index) => [...row, ...Array(Math.min(passing[index], 3)).fill(null)]);
}

function positions(rows, vertical) {
  const at = new Map(), most = Math.max(...rows.map(row => row.length), 1);
  const [along, across] = vertical ? [HEIGHT + 74, WIDTH + 14] : [WIDTH + GAP, HEIGHT + ROW];
  rows.forEach((row, layer) => row.forEach((id, index) => {
    if (id === null) return;
    const a = layer * along, b = (index + (most - row.length) / 2) * across;
    at.set(id, vertical ? { x: b, y: a } : { x: a, y: b });
  }));
  const size = vertical ? [most * across - 14, rows.length * along - 74] : [rows.length * along - GAP, most * across - ROW];
  return { at, size };
}

function curve(from, to, vertical) {
  const [a, b] = vertical
    ? [{ x: from.x + WIDTH / 2, y: from.y + HEIGHT }, { x: to.x + WIDTH / 2, y: to.y }]
    : [{ x: from.x + WIDTH, y: from.y + HEIGHT / 2 }, { x: to.x, y: to.y + HEIGHT / 2 }];
  const bend = vertical ? Math.max(Math.abs(b.y - a.y) / 2, 30) : Math.max(Math.abs(b.x - a.x) / 2, 30);
  const [c, d] = vertical ? [{ x: a.x, y: a.y + bend }, { x: b.x, y: b.y - bend }] : [{ x: a.x + bend, y: a.y }, { x: b.x - bend, y: b.y }];
  return { path: `M${a.x} ${a.y} C${c.x} ${c.y} ${d.x} ${d.y} ${b.x} ${b.y}`,
    middle: { x: (a.x + 3 * c.x + 3 * d.x + b.x) / 8, y: (a.y + 3 * c.y + 3 * d.y + b.y) / 8 } };
}

export class Graph {
  constructor(svg, chosen) {
    this.svg = svg;
    this.chosen = chosen;
    this.shown = new Map();
    this.edges = svg.appendChild(element("g"));
    this.nodes = svg.appendChild(element("g"));
  }

  button(id, kind, parent, children) {
    const made = element("g", { tabindex: "0", role: "button", "data-id": id }, ...children);
    made.addEventListener("click", () => this.chosen(kind, id));
    made.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.chosen(kind, id); }
    });
    parent.append(made);
    return made;
  }

  draw(mesh, selected) {
    const vertical = this.svg.clientWidth < 640;
    const { at, size } = positions(layers(mesh), vertical);
    this.svg.setAttribute("viewBox", `-10 -14 ${size[0] + 20} ${size[1] + 28}`);
    // A small mesh is not drawn larger than text is read.
    this.svg.style.maxWidth = `${(size[0] + 20) * 1.3}px`;
    const most = Math.max(...[...mesh.edges.values()].map(edge => edge.row.rps), 1e-9);
    const kept = new Set();
    for (const edge of mesh.edges.values()) { this.edge(edge, at, vertical, most, selected); kept.add(edge.id); }
    for (const node of mesh.nodes.values()) { this.node(node, at.get(node.id), selected); kept.add(node.id); }
    for (const [id, made] of this.shown) if (!kept.has(id)) { made.remove(); this.shown.delete(id); }
  }

  edge({ id, from, to, row }, at, vertical, most, selected) {
    let made = this.shown.get(id);
    if (!made) {
      const lock = element("g", { class: "lock" }, element("circle", { class: "halo", r: 9 }), element("use"));
      made = this.button(id, "edge", this.edges, [element("path", { class: "hit" }), element("path", { class: "line" }), lock, element("text")]);
      this.shown.set(id, made);
    }
    const { path, middle } = curve(at.get(from), at.get(to), vertical);
    const [hit, line, lock, text] = made.children;
    hit.setAttribute("d", path);
    line.setAttribute("d", path);
    line.setAttribute("stroke-width", (1.2 + 7 * Math.sqrt(row.rps / most)).toFixed(2));
    const encrypted = row.mtls_share === 1;
    lock.setAttribute("transform", `translate(${middle.x} ${middle.y})`);
    lock.lastChild.setAttribute("href", encrypted ? "#locked" : "#open");
    text.setAttribute("x", middle.x);
    text.setAttribute("y", middle.y - 14);
    text.textContent = row.requests ? `${row.rps.toFixed(1)}/s` : "";
    made.setAttribute("class", `edge ${grade(row.success_rate, row.requests)}${selected === id ? " chosen" : ""}`);
    made.dataset.rps = row.rps;
    made.dataset.success = row.success_rate ?? "";
    made.dataset.mtls = row.mtls_share ?? "";
    const secured = row.mtls_share === null ? "" : encrypted ? ", mutual TLS" : ", not all mutual TLS";
    made.setAttribute("aria-label", `${from} calls ${to}: ${row.rps.toFixed(1)} requests a second, ${percent(row.success_rate)} succeed${secured}`);
  }

  node(node, { x, y }, selected) {
    let made = this.shown.get(node.id);
    if (!made) {
      made = this.button(node.id, "node", this.nodes, [
        element("rect", { width: WIDTH, height: HEIGHT, rx: 10 }),
        element("text", { class: "name", x: WIDTH / 2, y: 24 }), element("text", { x: WIDTH / 2, y: 44 })]);
      this.shown.set(node.id, made);
    }
    const [, name, figures] = made.children;
    name.textContent = node.name.length > 16 ? `${node.name.slice(0, 15)}…` : node.name;
    const calls = node.calls ? `calls ${node.calls.toFixed(1)}/s` : node.workloads.length ? "idle" : "";
    figures.textContent = node.requests ? `${node.rps.toFixed(1)}/s   ${percent(node.success)}` : calls;
    made.setAttribute("transform", `translate(${x} ${y})`);
    const outside = node.workloads.length ? "" : " outside";
    made.setAttribute("class", `node ${grade(node.success, node.requests)}${outside}${selected === node.id ? " chosen" : ""}`);
    made.dataset.rps = node.rps;
    made.setAttribute("aria-label", `${node.id}: ${node.rps.toFixed(1)} requests a second, ${percent(node.success)} succeed, p99 ${millis(node.p99)}`);
  }
}
