// What is wrong, as a short list, and the marks of it on nodes and in their panels. An error and a warning differ by word and shape.

import { html } from "/panel.js";

const SHOWN = 6;

export const MARKS = { error: "■", warning: "▲" };

export function sentence(notice) {
  const more = notice.more ? ` and ${notice.more} more` : "";
  return `${notice.about.join(", ")}${more}: ${notice.what}`;
}

export function list(notices, choose, mesh) {
  return html("ul", { class: "notices" }, ...notices.map(notice => line(notice, choose, mesh)));
}

function line(notice, choose, mesh) {
  const nodes = choose ? notice.nodes.filter(id => mesh.nodes.has(id)).slice(0, 5) : [];
  const buttons = nodes.map(id => {
    const button = html("button", { type: "button", "data-node": id }, id);
    button.addEventListener("click", () => choose("node", id));
    return button;
  });
  return html("li", { class: notice.severity }, html("span", { class: "mark", "aria-hidden": "true" }, MARKS[notice.severity]),
    html("div", {}, html("p", {}, html("strong", {}, notice.severity), " ", ...buttons.flatMap(button => [button, " "]), sentence(notice)),
      ...(notice.fix ? [html("p", { class: "faint" }, `To mend it: ${notice.fix}`)] : [])));
}

export function draw(place, snapshot, mesh, choose) {
  const { notices } = snapshot, left = notices.length + snapshot.notices_left_out - SHOWN;
  place.hidden = !notices.length;
  const made = list(notices.slice(0, SHOWN), choose, mesh);
  if (left > 0) made.append(html("li", { class: "faint" }, `and ${left} more: weft check and weft analyze name them all`));
  // A list that says the same stays, with whatever is focused in it.
  if (!place.lastElementChild?.isEqualNode(made)) place.lastElementChild.replaceWith(made);
}
