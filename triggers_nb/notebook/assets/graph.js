const ZOOM_STEP = 1.25;

function render({ model, el }) {
  let zoom = 0; // 0: fits the width
  const canvas = make("div", { class: "tnb-gcanvas" });
  const view = make("div", { class: "tnb-gview", tabindex: "0", role: "group", "aria-label": "picture of the session" }, canvas);
  const tools = make("div", { class: "tnb-gtools" },
    make("button", { class: "tnb-tool", title: "smaller", "aria-label": "smaller", click: () => scale(1 / ZOOM_STEP) }, "−"),
    make("button", { class: "tnb-tool", title: "larger", "aria-label": "larger", click: () => scale(ZOOM_STEP) }, "+"),
    make("button", { class: "tnb-tool", title: "fit the width", click: () => { zoom = 0; fit(); } }, "fit"));
  el.append(make("div", { class: "tnb-graph" }, view, tools));

  function natural() {
    const svg = canvas.querySelector("svg");
    return svg ? Number(svg.getAttribute("width")) || 300 : 300;
  }

  function factor() {
    return zoom || Math.min(1, Math.max(0.45, (view.clientWidth - 2) / natural()));
  }

  function scale(by) {
    zoom = Math.min(4, Math.max(0.2, factor() * by));
    fit();
  }

  function fit() {
    const svg = canvas.querySelector("svg");
    if (!svg) return;
    svg.style.width = `${natural() * factor()}px`;
    svg.style.height = "auto";
  }

  function draw() {
    // The markup is ours: every text in it was escaped in Python.
    canvas.innerHTML = model.get("svg");
    for (const node of canvas.querySelectorAll("[data-node]")) {
      const title = node.querySelector("title");
      node.setAttribute("tabindex", "0");
      node.setAttribute("role", "button");
      if (title) node.setAttribute("aria-label", title.textContent);
    }
    mark();
    fit();
  }

  function mark() {
    const current = model.get("current");
    for (const node of canvas.querySelectorAll("[data-node]")) {
      const isOn = current !== "" && node.dataset.node === current;
      node.classList.toggle("tnb-node-on", isOn);
      if (isOn) node.setAttribute("aria-pressed", "true");
      else node.removeAttribute("aria-pressed");
    }
  }

  function choose(target) {
    const node = target.closest("[data-node]");
    if (!node) return false;
    model.send({ do: "node", id: node.dataset.node });
    el.dispatchEvent(new CustomEvent("tnb:sent", { bubbles: true }));
    return true;
  }

  let from = null;
  view.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, view.scrollLeft, view.scrollTop, false]; });
  view.addEventListener("pointermove", (event) => {
    if (!from || !event.buttons) return;
    const [x, y, left, top] = from;
    if (Math.hypot(event.clientX - x, event.clientY - y) > 4) from[4] = true;
    if (from[4]) { view.scrollLeft = left - (event.clientX - x); view.scrollTop = top - (event.clientY - y); }
  });
  view.addEventListener("click", (event) => { if (!from || !from[4]) choose(event.target); from = null; });
  view.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && choose(event.target)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    scale(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP);
  }, { passive: false });

  const stops = [watch(model, ["svg"], draw), watch(model, ["current"], mark)];
  const sized = new ResizeObserver(fit);
  sized.observe(view);
  draw();
  return () => { stops.forEach((stop) => stop()); sized.disconnect(); };
}

export default { render };
