// Creating DOM elements from data. Texts from the service become text nodes, never HTML.

const SVG_NAMESPACE = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

/** Create an element. Attributes with a function are listeners (`onclick`); empty children are left out. */
export function makeElement(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

/** Announce a text to users of screen readers. */
export function announce(text) {
  byId('announcer').textContent = text;
}
