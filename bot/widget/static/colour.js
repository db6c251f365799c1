// The merchant's colour, and what can be read on it and beside it: WCAG 2.2, 1.4.3 (text 4.5:1) and 1.4.11 (parts 3:1).

const WHITE = [255, 255, 255];
const BLACK = [0, 0, 0];

const OURS = "#1f5f4a";

/** CSS custom properties for a merchant's colour (any CSS colour; without one, ours) on the given surfaces. */
export function palette(colour, { light, dark }) {
  const accent = channels(CSS.supports("color", colour) ? colour : OURS);
  return {
    "--accent": css(accent),
    "--on-accent": css(contrast(accent, WHITE) >= 4.5 ? WHITE : BLACK),
    "--ink-light": css(legible(accent, channels(light), (channel) => channel * 0.94)),
    "--ink-dark": css(legible(accent, channels(dark), (channel) => Math.min(255, channel * 1.06 + 3))),
  };
}

/** Contrast ratio of two colours, 1 to 21 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio). */
function contrast(one, other) {
  const [dim, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dim + 0.05);
}

/** The colour as red, green, blue from 0 to 255. */
function channels(colour) {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** `colour`, made darker or brighter just as far as it can be read on `surface`, keeping its hue as long as it can. */
function legible(colour, surface, change) {
  let legible = colour;
  while (contrast(legible, surface) < 4.5) legible = legible.map(change);
  return legible;
}

function luminance(colour) {
  const [red, green, blue] = colour.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;
