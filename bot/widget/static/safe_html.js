// The service's HTML is sanitised there; it is copied here element by element all the same, keeping a short list of tags.

const KEPT = new Set(["P", "BR", "STRONG", "EM", "UL", "OL", "LI", "CODE", "BLOCKQUOTE"]);
const DROPPED = new Set(["SCRIPT", "STYLE", "TEMPLATE", "IFRAME", "OBJECT", "EMBED", "SVG", "MATH", "NOSCRIPT", "TITLE", "HEAD"]);
const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);

/** The content of `html` as nodes that can do no harm; `newTab` is said of links that leave the shop. */
export function safeNodes(html, newTab) {
  const fragment = document.createDocumentFragment();
  // A document made by DOMParser runs no script and loads nothing.
  copy(new DOMParser().parseFromString(html, "text/html").body, fragment, newTab);
  return fragment;
}

/** Plain text with its web addresses as links. */
export function linkedText(text, newTab) {
  const fragment = document.createDocumentFragment();
  for (const [index, part] of text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]’'])/).entries()) {
    const link = index % 2 ? linkTo(part, newTab) : null;
    if (link) link.prepend(part);
    fragment.append(link ?? part);
  }
  return fragment;
}

function copy(from, to, newTab) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    else if (node.nodeType === Node.ELEMENT_NODE && !DROPPED.has(node.nodeName.toUpperCase())) {
      const kept = keep(node, newTab);
      copy(node, kept ?? to, newTab);
      if (!kept) continue;
      if (kept.nodeName === "A") kept.append(...kept.querySelectorAll(":scope > .aside"));
      to.append(kept);
    }
  }
}

/** An empty element for `node`, or null when only its content is kept. */
function keep(node, newTab) {
  if (node.nodeName === "A") return linkTo(node.getAttribute("href") ?? "", newTab);
  if (/^H[1-6]$/.test(node.nodeName)) return Object.assign(document.createElement("p"), { className: "heading" });
  return KEPT.has(node.nodeName) ? document.createElement(node.nodeName) : null;
}

function linkTo(address, newTab) {
  let target;
  try {
    target = new URL(address, location.href);
  } catch {
    return null;
  }
  if (!SCHEMES.has(target.protocol)) return null;
  const link = document.createElement("a");
  link.href = target.href;
  link.rel = "noopener noreferrer";
  if (target.protocol.startsWith("http") && target.origin !== location.origin) {
    link.target = "_blank";
    link.append(Object.assign(document.createElement("span"), { className: "aside", textContent: ` ${newTab}` }));
  }
  return link;
}
