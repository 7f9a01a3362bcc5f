// Who calls whom, as SVG. Nodes stand in layers, callers before the called; on a narrow page from top to bottom. Elements are
// kept as long as what they show is there, so that focus stays where it is.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 132, HEIGHT = 58, GAP = 112, ROW = 34;
// In a line of a layer; how large it is drawn: no larger than text is read, no smaller than it can be.
const MOST = 10, LARGEST = 1.3, SMALLEST = 0.7;
// Of the window's height.
const SHARE = 0.62;

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
export function model({ stat, notices }) {
  const nodes = new Map(), edges = new Map();
  const node = (name, namespace) => {
    const id = key(name, namespace);
    if (!nodes.has(id)) nodes.set(id, { id, name, namespace, workloads: [], notices: [], requests: 0, failed: 0, rps: 0, calls: 0, p99: null });
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
  for (const notice of notices) for (const id of notice.nodes) nodes.get(id)?.notices.push(notice);
  return { nodes, edges };
}

// The longest way from a caller that nobody calls; ways back, which close a circle, count for nothing.
export function layers(ids, edges) {
  const next = new Map(ids.map(id => [id, []]));
  for (const { from, to } of edges.values()) if (from !== to) next.get(from).push(to);
  const layer = new Map(), state = new Map(), order = [];
  const visit = id => {
    state.set(id, "open");
    for (const to of next.get(id)) if (!state.has(to)) visit(to);
    state.set(id, "done");
    order.unshift(id);
  };
  const called = new Set([...edges.values()].filter(edge => edge.from !== edge.to).map(edge => edge.to));
  const sorted = [...ids].sort((a, b) => called.has(a) - called.has(b) || (a < b ? -1 : 1));
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

// `rows`: layers of what calls or is called. A layer that is too long is broken into several beside each other. `alone`: what has to
// do with nobody, below, as many in a line as fit.
function positions(rows, alone, vertical, width) {
  const at = new Map(), gap = vertical ? 74 : GAP;
  const fit = Math.max(1, Math.floor((width + 14) / (WIDTH + 14)));
  const [along, across, most, tight] = vertical
    ? [HEIGHT + gap, WIDTH + 14, Math.max(3, fit), HEIGHT + 20] : [WIDTH + gap, HEIGHT + ROW, MOST, WIDTH + 24];
  const layers = rows.map(row => Array.from({ length: Math.ceil(row.length / most) }, (_, index) => row.slice(index * most, (index + 1) * most)));
  const widest = Math.max(0, ...layers.flat().map(line => line.length));
  let a = 0;
  for (const lines of layers) {
    lines.forEach((line, number) => line.forEach((id, index) => {
      if (id === null) return;
      const place = a + number * tight, b = (index + (widest - line.length) / 2) * across;
      at.set(id, vertical ? { x: b, y: place } : { x: place, y: b });
    }));
    a += (lines.length - 1) * tight + along;
  }
  const long = Math.max(0, a - gap), wide = Math.max(0, widest * across - (vertical ? 14 : ROW));
  let [w, h] = vertical ? [wide, long] : [long, wide];
  if (!alone.length) return { at, size: [w, h] };
  const columns = Math.min(alone.length, fit), top = h ? h + 40 : 0;
  alone.forEach((id, index) => at.set(id, { x: (index % columns) * (WIDTH + 14), y: top + Math.floor(index / columns) * (HEIGHT + 14) }));
  return { at, size: [Math.max(w, columns * (WIDTH + 14) - 14), top + Math.ceil(alone.length / columns) * (HEIGHT + 14) - 14] };
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
    const room = this.svg.parentElement.clientWidth, vertical = room < 640;
    const concerned = new Set([...mesh.edges.values()].filter(edge => edge.from !== edge.to).flatMap(edge => [edge.from, edge.to]));
    const ids = [...mesh.nodes.keys()], alone = ids.filter(id => !concerned.has(id)).sort();
    const rows = concerned.size ? layers(ids.filter(id => concerned.has(id)), mesh.edges) : [];
    let laid = positions(rows, alone, vertical, room - 20);
    // Drawn small, more of them stand in a line.
    if (laid.size[1] > window.innerHeight * SHARE) laid = positions(rows, alone, vertical, (room - 20) / SMALLEST);
    const { at, size } = laid;
    const [width, height] = [size[0] + 20, size[1] + 28];
    const scale = Math.max(SMALLEST, Math.min(LARGEST, room / width, window.innerHeight * SHARE / height));
    this.svg.setAttribute("viewBox", `-10 -14 ${width} ${height}`);
    // What does not fit is scrolled.
    this.svg.setAttribute("width", Math.floor(width * scale));
    this.svg.setAttribute("height", Math.floor(height * scale));
    let most = 1e-9;
    for (const edge of mesh.edges.values()) most = Math.max(most, edge.row.rps);
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
    // Beside the line, whichever way it runs.
    text.setAttribute("x", middle.x + (vertical ? 30 : 0));
    text.setAttribute("y", middle.y + (vertical ? 4 : -14));
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
        element("text", { class: "name", x: WIDTH / 2, y: 24 }), element("text", { x: WIDTH / 2, y: 44 }),
        element("g", { class: "sign", transform: `translate(${WIDTH - 8} 4)` },
          element("path", {}), element("text", { y: 4.5 }, "!"))]);
      this.shown.set(node.id, made);
    }
    const [, name, figures, sign] = made.children;
    name.textContent = node.name.length > 16 ? `${node.name.slice(0, 15)}…` : node.name;
    const calls = node.calls ? `calls ${node.calls.toFixed(1)}/s` : node.workloads.length ? "idle" : "";
    figures.textContent = node.requests ? `${node.rps.toFixed(1)}/s   ${percent(node.success)}` : calls;
    made.setAttribute("transform", `translate(${x} ${y})`);
    const outside = node.workloads.length ? "" : " outside";
    made.setAttribute("class", `node ${grade(node.success, node.requests)}${outside}${selected === node.id ? " chosen" : ""}`);
    made.dataset.rps = node.rps;
    made.dataset.notices = node.notices.length;
    // A square for what does not work, a triangle for what is odd; the words are in the panel.
    const worst = node.notices.some(notice => notice.severity === "error") ? "error" : "warning";
    sign.setAttribute("class", `sign ${node.notices.length ? worst : "none"}`);
    sign.firstChild.setAttribute("d", worst === "error" ? "M-9 -9 H9 V9 H-9 Z" : "M0 -12 L12 9 H-12 Z");
    const noticed = node.notices.length ? `. ${worst}: ${node.notices[0].what}` : "";
    made.setAttribute("aria-label", `${node.id}: ${node.rps.toFixed(1)} requests a second, ${percent(node.success)} succeed, p99 ${millis(node.p99)}${noticed}`);
  }
}
