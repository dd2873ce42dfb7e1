// Makes elements. Text is always text: nothing here reads markup.

/** An element with attributes and children; functions are listeners, false and null are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A name, which may go on in the next line after its punctuation. */
export function breakable(name) {
  return name.split(/(?<=[-_.:/=])/).flatMap((piece, at) => (at ? [h("wbr"), piece] : [piece]));
}

/** Changes a text only when it is another one. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const $ = (selector, from = document) => from.querySelector(selector);
export const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
