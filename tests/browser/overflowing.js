(surface) => [...surface.querySelectorAll('*')].filter((element) => {
  const style = getComputedStyle(element);
  if (style.overflowX === 'auto' || style.overflowX === 'scroll' || style.overflowX === 'hidden') return false;
  if (element.closest('.tnb-gview, .tnb-tscroll, .tnb-pre, .tnb-trace, .tnb-glyph')) return false;
  return element.getBoundingClientRect().right > surface.getBoundingClientRect().right + 1;
}).map((element) => element.className || element.tagName)
