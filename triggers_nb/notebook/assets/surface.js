const SILENT_S = 10;

/** Views of this window that are gone: one that goes with its notebook cannot tell the kernel any more; the next one does. */
const GONE = (window[Symbol.for("triggers-nb gone views")] ||= new Set());

async function childOf(model, name, place) {
  const reference = model.get(name);
  if (!reference) return;
  const child = await model.widget_manager.get_model(String(reference).replace("IPY_MODEL_", ""));
  const view = await model.widget_manager.create_view(child);
  place.replaceChildren(view.el);
}

async function render({ model, el }) {
  const kind = model.get("kind");
  const view = Math.random().toString(36).slice(2);
  let sent = 0; // requests of this view that have not been answered
  let sentAt = 0;
  let handled = model.get("handled");
  let isGone = false; // the kernel

  const stops = [];

  const root = make("div", { "data-lm-suppress-shortcuts": "true", class: `tnb tnb-surface tnb-live tnb-${kind}` });
  const bar = make("header", { class: "tnb-bar" });
  const error = make("div", { class: "tnb-error", role: "alert" });
  const refused = make("div", { class: "tnb-refusal", role: "note" });
  const live = make("span", { class: "tnb-state", role: "status" });
  const pause = make("button", { class: "tnb-button", click: () => send({ do: model.get("live").state === "paused" ? "resume" : "pause" }) }, "Pause");
  const tabs = make("div", { class: "tnb-tabs", role: "tablist", "aria-label": "actions" });
  const detail = make("div", { class: "tnb-detail" });
  const last = make("footer", { class: "tnb-last" });
  const table = make("div", { class: "tnb-place" });
  const graph = make("div", { class: "tnb-place" });
  const sheet = sheetOf(model, send);
  const right = make("div", { class: "tnb-right" }, detail, tabs, sheet.root);

  function send(message) {
    model.send(message);
    noteSent();
  }

  function noteSent() {
    sent += 1;
    sentAt = sentAt || Date.now();
  }

  function showBar() {
    const about = model.get("bar");
    const chips = make("span", { class: "tnb-counts" });
    chips.innerHTML = about.chips || "";
    bar.replaceChildren(make("b", { class: "tnb-title" }, about.title), make("span", { class: "tnb-muted tnb-about" }, about.about),
      ...(about.env ? [make("span", { class: "tnb-tag" }, about.env)] : []), live, make("span", { class: "tnb-ends" }, chips, pause));
    refused.hidden = !about.refused && !about.gone;
    refused.textContent = about.gone ? "This session does not exist (any more)." : about.refused;
  }

  function showLive() {
    const now = model.get("live");
    const quiet = (Date.now() - now.at) / 1000;
    const isWaiting = sent > 0 && Date.now() - sentAt > 600;
    let state = isGone ? "gone" : now.state;
    let text = { live: "live", paused: "paused", lost: "storage not reached", stopped: "stopped", waiting: "starting", gone: "the kernel has ended: run the cell again" }[state] || state;
    if (state === "live" && quiet > SILENT_S) { state = "silent"; text = `no word from the kernel for ${ageOf(now.at)}`; }
    else if (state === "live" || state === "lost") text += `, ${ageOf(now.at)} ago`;
    if (isWaiting && !isGone) text += " · waiting for the kernel…";
    live.className = `tnb-state tnb-is-${state}`;
    if (live.textContent !== text) live.textContent = text;
    live.title = now.note || momentOf(now.at);
    pause.textContent = now.state === "paused" ? "Resume" : "Pause";
    pause.hidden = isGone || now.state === "stopped";
  }

  /** A kernel that was shut down or restarted knows nothing of this widget any more. */
  function look() {
    const kernel = model.widget_manager.kernel; // JupyterLab's and Notebook's; elsewhere its silence has to do
    if (kernel !== undefined && (!kernel || kernel.isDisposed || ["dead", "terminating", "restarting", "autorestarting"].includes(kernel.status))) end();
    showLive();
  }

  function end() {
    if (isGone) return;
    isGone = true;
    root.classList.add("tnb-dead");
    showLive();
    showTabs();
  }

  function showTabs() {
    const open = model.get("sheet").kind;
    const focused = tabs.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
    tabs.replaceChildren(...model.get("tabs").map((tab) => make("button", {
      class: "tnb-tab", role: "tab", "data-kind": tab.kind, "aria-selected": String(tab.kind === open),
      "aria-disabled": isGone || tab.refused ? "true" : undefined, title: isGone ? "the kernel has ended" : tab.refused || tab.title,
      click: () => { if (!isGone && !tab.refused) send({ do: "open", id: tab.kind }); },
    }, tab.label)));
    if (focused) tabs.querySelector(`[data-kind="${focused}"]`)?.focus({ preventScroll: true });
  }

  function showLast() {
    const done = model.get("last");
    last.hidden = !done.python;
    if (!done.python) return;
    const copy = make("button", { class: "tnb-link", click: () => navigator.clipboard?.writeText(done.python).then(() => { copy.textContent = "Copied"; }) }, "Copy");
    const wrong = (done.wrong || []).map((line) => make("div", { class: "tnb-wrong" }, line));
    if (done.n_more) wrong.push(make("div", { class: "tnb-wrong" }, `… and ${plural(done.n_more, "more")}`));
    last.replaceChildren(make("span", { class: "tnb-muted" }, "last action"), make("code", { class: "tnb-python", tabindex: "0" }, done.python),
      make("span", { class: done.is_clean ? "tnb-muted" : "tnb-wrong" }, done.said, " · "), copy, ...wrong);
  }

  function showError() {
    error.textContent = model.get("error");
    error.hidden = !model.get("error");
  }

  function showDetail() {
    const folded = new Set([...detail.querySelectorAll("details.tnb-fold")].filter((each) => !each.open).map((each) => each.firstChild.textContent));
    const isSame = detail.dataset.head === headOf(model.get("detail"));
    detail.innerHTML = model.get("detail");
    detail.dataset.head = headOf(model.get("detail"));
    if (isSame) for (const each of detail.querySelectorAll("details.tnb-fold")) if (folded.has(each.firstChild.textContent)) each.open = false;
  }

  function headOf(html) {
    return html.slice(0, html.indexOf("</div>"));
  }

  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button && root.contains(button)) send({ do: button.dataset.do, id: button.dataset.id });
  });
  root.addEventListener("tnb:sent", noteSent);
  // A notebook takes single keys for its own commands: those typed here stay here (see also the attribute of `root`).
  root.addEventListener("keydown", (event) => event.stopPropagation());

  if (kind === "panel") buildPanel();
  else buildTriage();
  el.append(root);
  stops.push(
    watch(model, ["bar"], showBar), watch(model, ["live"], showLive), watch(model, ["last"], showLast),
    watch(model, ["error"], showError), watch(model, ["detail"], showDetail), watch(model, ["tabs", "sheet"], showTabs),
    watch(model, ["sheet"], sheet.show), watch(model, ["progress"], sheet.showProgress), watch(model, ["handled"], noteHandled),
  );
  for (const show of [showBar, showLive, showLast, showError, showDetail, showTabs, sheet.show]) show();
  const clock = setInterval(look, 1000);
  const leave = () => model.send({ do: "left", view });
  const comeBack = (event) => { if (event.persisted) appear(); };
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", comeBack);
  model.on("comm_live_update", end);
  appear();
  await Promise.all([childOf(model, "table", table), ...(kind === "panel" ? [childOf(model, "graph", graph)] : [])]);

  function appear() {
    model.send({ do: "seen", view, gone: [...GONE] });
  }

  function noteHandled() {
    sent = Math.max(0, sent - (model.get("handled") - handled));
    handled = model.get("handled");
    sentAt = sent ? Date.now() : 0;
    if (!sent) sheet.settle();
    showLive();
  }

  function buildPanel() {
    const levels = make("div", { class: "tnb-levels", role: "tablist", "aria-label": "picture" });
    const slider = make("input", { type: "range", min: "1", max: "1", "aria-label": "event whose moment is shown", input: () => seek(Number(slider.value)) });
    const said = make("span", { class: "tnb-said" });
    const now = make("button", { class: "tnb-link", click: () => send({ do: "seek", seq: Number(slider.max) }) }, "back to now");
    const history = make("div", { class: "tnb-history" }, slider, said, now);
    let timer = 0;

    function seek(seq) {
      said.textContent = `event ${seq} …`;
      clearTimeout(timer);
      timer = setTimeout(() => send({ do: "seek", seq }), 120);
    }

    function showHistory() {
      const past = model.get("history");
      history.hidden = past.last === undefined;
      slider.min = past.first; slider.max = past.last;
      if (document.activeElement !== slider || !timer) slider.value = past.value;
      said.textContent = past.said || "";
      const isPast = past.value !== past.last;
      now.hidden = !isPast;
      root.classList.toggle("tnb-past", isPast);
    }

    function showLevels() {
      const words = { task: "tasks", instance: "instances", timeline: "timeline" };
      levels.replaceChildren(...Object.entries(words).map(([id, word]) => make("button", {
        class: "tnb-level", role: "tab", "aria-selected": String(id === model.get("level")), click: () => send({ do: "level", id }),
      }, word)));
    }

    root.append(bar, refused, error, make("div", { class: "tnb-top" }, levels, history), graph,
      make("div", { class: "tnb-columns" }, make("div", { class: "tnb-left" }, table), right), last);
    stops.push(watch(model, ["history"], showHistory), watch(model, ["level"], showLevels));
    showHistory();
    showLevels();
  }

  function buildTriage() {
    const groups = make("div", { class: "tnb-groups", role: "listbox", "aria-label": "groups of failures by cause", keydown: onKey });
    const order = make("select", { "aria-label": "order of the groups", change: () => send({ do: "order", id: order.value }) },
      make("option", { value: "count" }, "count"), make("option", { value: "latest" }, "latest"));
    const title = make("span", {});

    function onKey(event) {
      const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      const next = step && event.target.closest(".tnb-group")?.[step];
      if (next) { next.focus(); event.preventDefault(); }
    }

    function showGroups() {
      const list = model.get("groups");
      const had = groups.contains(document.activeElement) ? document.activeElement.dataset.id : null;
      title.textContent = `${plural(list.length, "group")} by cause`;
      order.value = model.get("order");
      groups.replaceChildren(...list.map(groupOf));
      if (!list.length) groups.append(make("p", { class: "tnb-muted tnb-none" }, "Nothing has failed."));
      if (had) [...groups.children].find((each) => each.dataset.id === had)?.focus({ preventScroll: true });
    }

    function groupOf(group) {
      const isOn = group.id === model.get("group");
      const chip = make("span", { class: "tnb-chip tnb-s-failed" }, "✗ ", NUMBER.format(group.n));
      return make("button", { class: `tnb-group${isOn ? " tnb-on" : ""}`, role: "option", "aria-selected": String(isOn), "data-id": group.id,
        title: group.latest ? `latest ${momentOf(group.latest)}` : "", click: () => send({ do: "group", id: group.id }) },
        make("span", { class: "tnb-ghead" }, make("span", {}, make("b", {}, group.type), " in ", make("code", {}, group.task)), chip),
        make("span", { class: "tnb-muted tnb-gmessage" }, group.message), make("span", { class: "tnb-muted" }, group.said));
    }

    root.append(bar, refused, error, make("div", { class: "tnb-columns" },
      make("div", { class: "tnb-side" }, make("div", { class: "tnb-ttop" }, title, order), groups), make("div", { class: "tnb-left" }, table), right), last);
    stops.push(watch(model, ["groups", "group", "order"], showGroups));
    showGroups();
  }

  return () => {
    stops.forEach((stop) => stop());
    clearInterval(clock);
    window.removeEventListener("pagehide", leave);
    window.removeEventListener("pageshow", comeBack);
    model.off("comm_live_update", end);
    GONE.add(view);
    model.send({ do: "unseen", view });
  };
}

export default { render };
