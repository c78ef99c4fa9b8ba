const ROW_PX = 28;
const MARGIN_ROWS = 8;

/** A narrower table leaves these out: the detail has them. Columns of one's own stay. */
const LEAST_PX = { note: 600, age: 400, span: 440 };
const LEAST_STATUS_PX = 300; // where all have failed

function idOf(model, row) {
  return row.slice(0, model.get("n_key")).join("\n");
}

/** Rows that are replaced in place reach the model once, whatever number of views it has. */
function initialize({ model }) {
  const receive = (message) => {
    if (!message || !message.patch) return;
    const rows = model.get("rows").slice();
    for (const [index, row] of message.patch) if (index < rows.length) rows[index] = row;
    model.set("rows", rows); // never saved: Python has them already
  };
  model.on("msg:custom", receive);
  return () => model.off("msg:custom", receive);
}

function render({ model, el }) {
  let shown = []; // indices of the rows that pass the filter
  let cursor = -1; // position in `shown`
  let needle = "";
  let fits = ""; // the columns that there is room for
  const checks = model.get("has_checks");

  const label = make("span", { class: "tnb-tlabel" });
  const only = make("button", { class: "tnb-link", hidden: true, click: checkShown }, "select only these");
  const filter = make("input", {
    type: "search", class: "tnb-filter", placeholder: "filter…", "aria-label": "filter instances",
    input: () => { needle = filter.value.trim().toLowerCase(); cursor = -1; arrange(); },
  });
  const all = make("input", { type: "checkbox", "aria-label": "select all instances", change: () => send({ do: "check", on: all.checked }) });
  const head = make("div", { class: "tnb-thead", role: "row" });
  const body = make("div", { class: "tnb-tbody", role: "rowgroup" });
  const scroller = make("div", {
    class: "tnb-tscroll", role: "grid", tabindex: "0", "aria-label": "instances", scroll: draw, keydown: onKey, click: onClick,
  }, head, body);
  const table = make("div", { class: "tnb-table-w" }, make("div", { class: "tnb-ttop" }, label, make("span", {}, only, " ", filter)), scroller);
  el.append(table);

  function send(message) {
    model.send(message);
    el.dispatchEvent(new CustomEvent("tnb:sent", { bubbles: true }));
  }

  function unchecked() {
    return new Set(model.get("unchecked"));
  }

  function checkShown() {
    send({ do: "check", only: true, ids: shown.map((index) => idOf(model, model.get("rows")[index])) });
  }

  function arrange() {
    const rows = model.get("rows");
    const words = model.get("statuses").map((status) => status[0]);
    const kinds = model.get("columns").map((column) => column.kind);
    const says = (row) => row.some((cell, i) => {
      if (kinds[i] === "age" || kinds[i] === "span") return false;
      return String(kinds[i] === "status" ? words[cell] : cell).toLowerCase().includes(needle);
    });
    shown = [];
    for (let i = 0; i < rows.length; i++) if (!needle || says(rows[i])) shown.push(i);
    const rowsPx = Math.max(1, shown.length) * ROW_PX;
    body.style.height = `${rowsPx}px`;
    scroller.style.setProperty("--tnb-rows", String(Math.max(2, shown.length)));
    scroller.setAttribute("aria-rowcount", String(shown.length));
    only.hidden = !checks || !needle || !shown.length;
    say();
    draw();
  }

  function say() {
    const total = model.get("rows").length;
    let text = model.get("label");
    if (checks && total) {
      const n = total - model.get("unchecked").length;
      text += n === total ? ", all selected" : `, ${NUMBER.format(n)} selected`;
      all.checked = n === total;
      all.indeterminate = n > 0 && n < total;
    }
    if (needle) text += `, ${NUMBER.format(shown.length)} shown`;
    label.textContent = text;
  }

  /** Positions of the columns that there is room for. */
  function visible() {
    const width = table.clientWidth || 800;
    const least = model.get("n_key") > 1 ? { ...LEAST_PX, status: LEAST_STATUS_PX } : LEAST_PX;
    return model.get("columns").map((column, i) => (width >= (least[column.kind] || 0) ? i : -1)).filter((i) => i >= 0);
  }

  function resize() {
    if (String(visible()) !== fits) drawHead();
    draw();
  }

  function drawHead() {
    fits = String(visible());
    const columns = visible().map((i) => model.get("columns")[i]);
    head.replaceChildren(...(checks ? [make("span", { class: "tnb-td tnb-k-check" }, all)] : []),
      ...columns.map((column) => make("span", { class: `tnb-td tnb-k-${column.kind}`, role: "columnheader" }, column.name)));
    const width = { name: "minmax(6em, 2.1fr)", status: "8.6em", age: "5.4em", span: "4.5em", note: "minmax(3.5em, 1.6fr)", text: model.get("n_key") > 1 ? "minmax(3.5em, 1fr)" : "minmax(3.5em, 2fr)" };
    const tracks = columns.map((column) => width[column.kind] || "1fr");
    // A session's name beside an instance's is the longer one, and all of these have failed.
    if (model.get("n_key") > 1) [tracks[0], tracks[2], tracks[3]] = ["minmax(7em, 2.8fr)", "6.2em", "4.8em"];
    scroller.style.setProperty("--tnb-columns", (checks ? "24px " : "") + tracks.join(" "));
  }

  function cellOf(kind, value, statuses) {
    const cell = make("span", { class: `tnb-td tnb-k-${kind}`, role: "gridcell" });
    if (kind === "status") {
      const [word, css, glyph] = statuses[value] || ["?", "unstarted", ""];
      const chip = make("span", { class: `tnb-chip tnb-s-${css}` });
      chip.innerHTML = `<svg class="tnb-glyph" viewBox="-7 -7 14 14" aria-hidden="true">${glyph}</svg>`;
      chip.append(word);
      cell.append(chip);
    } else if (kind === "age") {
      cell.textContent = value > 0 ? ageOf(value) : "";
      if (value > 0) cell.title = momentOf(value);
    } else if (kind === "span") {
      cell.textContent = value >= 0 ? spanOf(value) : "";
    } else {
      // Names begin alike: what does not fit is cut at the left.
      cell.append(kind === "name" ? make("bdi", {}, String(value)) : String(value));
      cell.title = String(value);
    }
    return cell;
  }

  function rowOf(position, off, statuses, kinds) {
    const index = shown[position];
    const row = model.get("rows")[index];
    const id = idOf(model, row);
    const isCurrent = id === model.get("current");
    const line = make("div", {
      class: "tnb-tr" + (isCurrent ? " tnb-on" : "") + (position === cursor ? " tnb-cursor" : ""),
      role: "row", id: `${rowPrefix}${position}`, "aria-rowindex": position + 1, "aria-selected": String(isCurrent), "data-position": position,
      style: `top:${position * ROW_PX}px`,
    });
    if (checks) {
      const box = make("input", { type: "checkbox", tabindex: "-1", "aria-label": `select ${id.split("\n").join(" ")}` });
      box.checked = !off.has(id);
      line.append(make("span", { class: "tnb-td tnb-k-check" }, box));
    }
    for (const i of visible()) line.append(cellOf(kinds[i], row[i], statuses));
    return line;
  }

  const rowPrefix = `tnb-r${Math.random().toString(36).slice(2)}-`;

  function draw() {
    const height = scroller.clientHeight || 300;
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_PX) - MARGIN_ROWS);
    const last = Math.min(shown.length, first + Math.ceil(height / ROW_PX) + 2 * MARGIN_ROWS);
    const off = unchecked();
    const statuses = model.get("statuses");
    const kinds = model.get("columns").map((column) => column.kind);
    const lines = [];
    for (let position = first; position < last; position++) lines.push(rowOf(position, off, statuses, kinds));
    if (!shown.length) lines.push(make("div", { class: "tnb-tr tnb-muted tnb-empty" }, needle ? "no instance matches the filter" : "no instances"));
    body.replaceChildren(...lines);
  }

  function onClick(event) {
    const line = event.target.closest("[data-position]");
    if (!line) return;
    cursor = Number(line.dataset.position);
    const id = idOf(model, model.get("rows")[shown[cursor]]);
    if (event.target.type === "checkbox") send({ do: "check", ids: [id], on: event.target.checked });
    else choose(id);
    draw();
  }

  function choose(id) {
    if (id !== model.get("current")) send({ do: "select", id });
  }

  function onKey(event) {
    if (event.target !== scroller) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW_PX) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
    if (event.key in moves && shown.length) {
      cursor = Math.min(shown.length - 1, Math.max(0, cursor + moves[event.key]));
      const top = cursor * ROW_PX;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + 2 * ROW_PX > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + 2 * ROW_PX - scroller.clientHeight;
      scroller.setAttribute("aria-activedescendant", `${rowPrefix}${cursor}`);
      draw();
    } else if ((event.key === "Enter" || event.key === " ") && cursor >= 0 && cursor < shown.length) {
      const id = idOf(model, model.get("rows")[shown[cursor]]);
      if (event.key === " " && checks) send({ do: "check", ids: [id], on: unchecked().has(id) });
      else choose(id);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const stops = [
    watch(model, ["rows"], arrange),
    watch(model, ["columns"], () => { drawHead(); arrange(); }),
    watch(model, ["current"], draw),
    watch(model, ["unchecked", "label"], () => { say(); draw(); }),
  ];
  const clock = setInterval(draw, 10000);
  const sized = new ResizeObserver(resize);
  sized.observe(scroller);
  drawHead();
  arrange();
  return () => {
    stops.forEach((stop) => stop());
    clearInterval(clock);
    sized.disconnect();
  };
}

export default { initialize, render };
