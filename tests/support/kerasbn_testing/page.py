"""What a page has to be for its readers, asked of a browser that shows it."""

COMPLAINTS = r"""
(() => {
  const found = [];
  document.querySelectorAll("details").forEach(part => { part.open = true; });
  const page = document.scrollingElement;
  if (page.scrollWidth > window.innerWidth + 1) found.push(`the page is ${page.scrollWidth} wide`);

  const parse = colour => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return {rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1};
  };
  const light = rgb => rgb.map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.alpha === 1) return colour.rgb;
    }
    return [255, 255, 255];
  };
  const words = element => [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();
  for (const element of document.body.querySelectorAll("*")) {
    if (!words(element) || ["TITLE", "title"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = element.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(parse(ink).rgb), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(1)}: ${words(element).slice(0, 40)}`);
    if (parseFloat(style.fontSize) < 11) found.push(`letters of ${style.fontSize}: ${words(element).slice(0, 40)}`);
  }

  for (const drawing of document.querySelectorAll("svg")) {
    const frame = drawing.getBoundingClientRect();
    if (frame.width < 10 || frame.height < 5) found.push(`a drawing of ${frame.width} x ${frame.height}`);
    if (drawing.getAttribute("aria-hidden")) continue;
    const named = drawing.getAttribute("role") === "img" && drawing.getAttribute("aria-label");
    if (!named) found.push("a drawing without words");
    const texts = [...drawing.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([label, box], i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1) found.push(`cut off: ${label}`);
      if (box.height < 9) found.push(`drawn letters of ${box.height.toFixed(1)} pixels: ${label}`);
      for (const [other, next] of texts.slice(i + 1)) {
        const across = Math.min(box.right, next.right) - Math.max(box.left, next.left);
        const down = Math.min(box.bottom, next.bottom) - Math.max(box.top, next.top);
        if (across > 1 && down > 3) found.push(`one over the other: ${label} and ${other}`);
      }
    });
    for (const shape of drawing.querySelectorAll("path, circle, rect, line")) {
      const all = [...shape.attributes].map(attribute => attribute.value).join(" ");
      if (/NaN|nan|inf|undefined|None/.test(all)) found.push(`a shape of no number: ${all.slice(0, 60)}`);
      const box = shape.getBoundingClientRect();
      if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2 ||
          box.bottom > frame.bottom + 2) found.push(`outside of the drawing: ${all.slice(0, 60)}`);
    }
  }
  for (const picture of document.images) {
    if (!picture.complete || !picture.naturalWidth) found.push("a picture that does not show");
    if (!picture.alt) found.push("a picture without words");
  }
  const levels = [...document.querySelectorAll("h1, h2, h3")].map(heading => Number(heading.tagName[1]));
  levels.forEach((level, i) => {
    if (level > (levels[i - 1] ?? 0) + 1) found.push(`a heading of level ${level} too deep`);
  });
  return found;
})()
"""
"""An expression that gives every fault found, and opens what is folded."""
