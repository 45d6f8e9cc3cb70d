// Functions that tests/audit/live.py calls inside a page.
window.audit = {
  // Elements of the page's text that reach beyond the window, outside boxes that scroll.
  overflow() {
    const width = document.documentElement.clientWidth;
    const found = [];
    if (document.documentElement.scrollWidth > width + 1) {
      found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    }
    for (const element of document.querySelectorAll("article *")) {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.right <= width + 1) continue;
      if (element.closest("svg, mjx-assistive-mml") && element.tagName !== "svg") continue;
      if (!inScrollingBox(element, width)) found.push(describe(element));
    }
    return found;
  },

  // Texts whose contrast with what lies behind them is below `least`, by selector.
  faint(selector, least) {
    const found = [];
    for (const element of document.querySelectorAll(selector)) {
      if (!element.textContent.trim() || element.getClientRects().length === 0) continue;
      const ratio = contrast(colour(getComputedStyle(element).color), ground(element));
      if (ratio < least) found.push(`${ratio.toFixed(1)} ${describe(element)}`);
    }
    return found;
  },

  // Figures whose transparent parts would show something else than near-white paper.
  dark_paper() {
    const black = [0, 0, 0, 1];
    return [...document.querySelectorAll("article img")]
      .filter((image) => !image.closest(".no-paper") && image.naturalWidth > 64)
      .filter((image) => contrast(black, ground(image)) < 12)
      .map(describe);
  },

  // Controls in the text that do nothing: range inputs and selects without our script.
  dead_controls() {
    return [...document.querySelectorAll("article input[type=range], article select")]
      .filter((control) => !control.closest(".explorer[data-ready]"))
      .concat([...document.querySelectorAll("article .widget-slider, article .jupyter-button")])
      .map(describe);
  },
};

function inScrollingBox(element, width) {
  for (let box = element.parentElement; box && box.tagName !== "ARTICLE"; box = box.parentElement) {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    if (scrolls && box.getBoundingClientRect().right <= width + 1) return true;
  }
  return false;
}

function describe(element) {
  const html = element.cloneNode(false).outerHTML.replace(/src="data:[^"]*"/, "").slice(0, 110);
  return `${html} ${element.textContent.trim().slice(0, 40)}`.replace(/\s+/g, " ");
}

// [red, green, blue, alpha] in 0…255 and 0…1, of any colour that CSS can name.
function colour(text) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
}

// The colour behind an element: its own background over those of its ancestors.
function ground(element) {
  let seen = [0, 0, 0, 0];
  for (let node = element; node && seen[3] < 1; node = node.parentElement) {
    seen = over(seen, colour(getComputedStyle(node).backgroundColor));
  }
  return over(seen, [255, 255, 255, 1]);
}

function over(top, bottom) {
  const alpha = top[3] + bottom[3] * (1 - top[3]);
  if (alpha === 0) return [0, 0, 0, 0];
  const mix = (i) => (top[i] * top[3] + bottom[i] * bottom[3] * (1 - top[3])) / alpha;
  return [mix(0), mix(1), mix(2), alpha];
}

// WCAG 2.2, success criterion 1.4.3.
function contrast(text, back) {
  const [a, b] = [luminance(over(text, back)), luminance(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}

function luminance([red, green, blue]) {
  const linear = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
