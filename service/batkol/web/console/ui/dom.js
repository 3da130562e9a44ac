/** Elements, and writing only what is different. Text goes in as text, never as markup. */

import { direction, isolates, isolatesCut } from "../core/isolates.js";

/** Return an element. `attributes` may have `class`, `dataset`, and `on…` listeners; false leaves one out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else if (name === "dataset") {
      Object.assign(node.dataset, value);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children.flat().filter(Boolean));
  return node;
}

/** Write a text where it differs. */
export function write(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

export function setClass(node, name, on) {
  if (node.classList.contains(name) !== Boolean(on)) {
    node.classList.toggle(name, Boolean(on));
  }
}

/**
 * Return the nodes of a text that people said, with isolates where its parts have another direction. `around` is the
 * direction of its paragraph, if it is a piece of one.
 */
export function spoken(text, around = direction(text)) {
  return isolates(text, around).map((part) => (part.ltr ? ltr(part.text) : part.text));
}

/** Return the nodes of a text of two halves: `mark` stands between them, and `after` makes the nodes of the second. */
export function spokenInHalves([before, behind], after, mark = null) {
  let marked = !mark;
  const nodes = isolatesCut(before + behind, before.length).map((part) => {
    const inside = [part.before];
    if (part.after) {
      inside.push(marked ? "" : mark, after(part.after));
      marked = true;
    }
    return part.ltr ? ltr(...inside) : inside;
  });
  return nodes.flat().filter(Boolean);
}

/** Make a block for what people said: its direction is its text's. */
export function speech(tag, attributes, text) {
  return el(tag, { dir: direction(text), ...attributes }, spoken(text));
}

/** A telephone number or another name in Latin letters, whatever is around it. */
export function ltr(...text) {
  return el("bdi", { dir: "ltr" }, ...text.filter(Boolean));
}

/** Run `draw` in the next frame, once, however often this is called. A hidden page draws when it is shown. */
export function inNextFrame(draw) {
  let asked = false;
  return () => {
    if (!asked) {
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        draw();
      });
    }
  };
}
