const TYPING_MS = 300;

/** The sheet of one action: form, difference, preview, confirmation, one button. Nothing typed leaves but in a request. */
function sheetOf(model, send) {
  const root = make("section", { class: "tnb-sheet", "aria-label": "action" });
  let number = null; // of the sheet whose form is shown
  let inputs = {};
  let isStale = false;
  let timer = 0;
  let parts = null;

  function values() {
    const form = {};
    for (const [name, input] of Object.entries(inputs)) form[name] = input.type === "checkbox" ? input.checked : input.value;
    return form;
  }

  function changed(now) {
    isStale = true;
    showConditional();
    showButton();
    clearTimeout(timer);
    const sheet = model.get("sheet");
    if (!sheet.typed && !now) { parts.ask.hidden = false; return; }
    timer = setTimeout(ask, now ? 0 : TYPING_MS);
  }

  function ask() {
    timer = 0;
    send({ do: "form", number, form: { ...values(), hooks: parts.hooks.checked } });
  }

  function showConditional() {
    for (const field of model.get("sheet").fields || []) {
      if (!field.shown_if) continue;
      const by = inputs[field.shown_if];
      const on = by && !by.closest("[hidden]") && (by.type === "checkbox" ? by.checked : by.value !== "");
      inputs[field.name].closest(".tnb-field").hidden = !on;
    }
  }

  function fieldOf(field) {
    const id = `tnb-${Math.random().toString(36).slice(2)}`;
    const hint = make("div", { class: "tnb-hint", id: `${id}-h` }, field.hint || "");
    let input;
    let extra = null;
    if (field.kind === "check") {
      input = make("input", { type: "checkbox", id, change: () => changed(true) });
      input.checked = field.value;
      inputs[field.name] = input;
      return make("div", { class: "tnb-field tnb-check" }, make("label", { for: id }, input, " ", field.label));
    }
    if (field.kind === "select") {
      input = make("select", { id, change: () => changed(true) }, ...field.options.map(([value, text]) => make("option", { value }, text)));
    } else if (field.kind === "trigger") {
      input = make("input", { type: "text", id, spellcheck: "false", autocomplete: "off", input: () => { narrow(input, extra); suggest(field); changed(false); } });
      extra = make("div", { class: "tnb-triggers", role: "group", "aria-label": "known triggers" },
        ...field.options.map(([name, released]) => make("button", {
          type: "button", class: "tnb-trigger", click: () => { input.value = name; suggest(field); changed(true); },
        }, make("b", {}, name), make("span", { class: "tnb-muted" }, released))));
    } else {
      input = make("textarea", { id, rows: "3", spellcheck: "false", autocapitalize: "off", "aria-describedby": `${id}-h`, input: () => changed(false) });
    }
    input.value = field.value;
    inputs[field.name] = input;
    return make("div", { class: "tnb-field" }, make("label", { for: id }, field.label), input, extra, hint);
  }

  /** Show the known triggers that contain what was typed; all if none does. */
  function narrow(input, list) {
    const needle = input.value.trim().toLowerCase();
    const lines = [...list.children];
    const found = lines.filter((line) => line.firstChild.textContent.toLowerCase().includes(needle));
    for (const line of lines) line.hidden = found.length > 0 && !found.includes(line);
  }

  /** Keys of earlier firings, to be taken over. */
  function suggest(field) {
    const found = field.options.find(([name]) => name === inputs[field.name].value.trim());
    const keys = found ? found[2] : [];
    const hint = inputs.kwargs.closest(".tnb-field").querySelector(".tnb-hint");
    hint.replaceChildren();
    if (!keys.length) return;
    const skeleton = JSON.stringify(Object.fromEntries(keys.map((key) => [key, null])), null, 1);
    hint.append(`keys of the last firing: ${keys.join(", ")} `,
      make("button", { type: "button", class: "tnb-link", click: () => { inputs.kwargs.value = skeleton; changed(true); } }, "insert them"));
  }

  function build(sheet) {
    inputs = {};
    isStale = false;
    const reason = make("input", { type: "text", class: "tnb-reason", "aria-label": "reason", autocomplete: "off" });
    const confirm = make("input", { type: "text", class: "tnb-confirm", spellcheck: "false", autocomplete: "off", input: showButton });
    const hooks = make("input", { type: "checkbox", change: () => changed(true) });
    hooks.checked = sheet.with_hooks;
    parts = {
      reason, confirm, hooks,
      problem: make("p", { class: "tnb-problem", role: "alert" }),
      warning: make("p", { class: "tnb-warning" }),
      difference: make("div", { class: "tnb-diff" }),
      preview: make("div", { class: "tnb-pre" }),
      hooksLine: make("label", { class: "tnb-hooks" }, hooks, " ", make("span", {})),
      confirmLine: make("label", { class: "tnb-conf" }),
      ask: make("button", { type: "button", class: "tnb-button", click: ask }, "Preview"),
      go: make("button", { type: "button", class: "tnb-button tnb-primary", click: execute }, ""),
    };
    parts.buttons = make("div", { class: "tnb-buttons" }, parts.ask, parts.go,
      make("button", { type: "button", class: "tnb-button", click: () => send({ do: "cancel" }) }, "Cancel"));
    parts.run = runOf();
    parts.ask.hidden = sheet.typed;
    const fields = sheet.fields.map(fieldOf);
    const form = make("div", { class: "tnb-form" }, make("div", { class: "tnb-fields" }, ...fields), parts.difference);
    root.replaceChildren(form, parts.problem, parts.warning, parts.preview, parts.hooksLine,
      make("div", { class: "tnb-end" }, make("label", {}, "reason ", reason), parts.confirmLine), parts.buttons, parts.run.root);
    for (const field of sheet.fields) if (field.kind === "trigger" && field.value) suggest(field);
    showConditional();
    showProgress();
    if (!model.get("progress").total) focusFirst();
  }

  /** How far a bulk action is. */
  function runOf() {
    const bar = make("progress", { "aria-label": "steps done" });
    const text = make("span", { class: "tnb-rtext", role: "status" });
    const stop = make("button", { type: "button", class: "tnb-button", click: () => send({ do: "stop" }) }, "Stop");
    const wrong = make("div", {});
    return { root: make("div", { class: "tnb-run", tabindex: "-1", hidden: true }, make("div", { class: "tnb-rline" }, bar, text, stop), wrong), bar, text, stop, wrong };
  }

  function showProgress() {
    if (!parts || number === null) return;
    const run = model.get("progress");
    const isOn = Boolean(run.total);
    const hadFocus = parts.buttons.contains(document.activeElement);
    parts.buttons.hidden = isOn;
    parts.run.root.hidden = !isOn;
    for (const input of root.querySelectorAll("input, textarea, select, .tnb-trigger")) input.disabled = isOn;
    if (!isOn) return;
    const { bar, text, stop, wrong } = parts.run;
    bar.max = run.total;
    bar.value = run.done;
    text.textContent = `${NUMBER.format(run.done)} of ${NUMBER.format(run.total)}${run.said ? ` · ${run.said}` : ""}`;
    stop.textContent = run.stopping ? "Stopping…" : "Stop";
    stop.disabled = run.stopping;
    wrong.replaceChildren(...run.wrong.map((line) => make("div", { class: "tnb-wrong" }, line)),
      ...(run.n_more ? [make("div", { class: "tnb-wrong" }, `… and ${plural(run.n_more, "more")}`)] : []));
    if (hadFocus) parts.run.root.focus({ preventScroll: true }); // not on Stop: the key that has begun it may be hit twice
  }

  /** Go on where something can be typed or chosen; in a patch, between its inner braces. */
  function focusFirst() {
    const first = [...root.querySelectorAll(".tnb-field :is(textarea, input, select), .tnb-reason")].find((each) => !each.closest("[hidden]"));
    first.focus({ preventScroll: true });
    const inside = first.tagName === "TEXTAREA" ? first.value.indexOf("{}") : -1;
    if (inside > 0) first.setSelectionRange(inside + 1, inside + 1);
  }

  function execute() {
    const sheet = model.get("sheet");
    if (parts.go.disabled) return;
    parts.go.disabled = true;
    send({ do: "execute", plan_id: sheet.plan_id, form: values(), reason: parts.reason.value, confirm: parts.confirm.value });
  }

  function showButton() {
    const sheet = model.get("sheet");
    const unconfirmed = sheet.confirm && parts.confirm.value !== sheet.confirm;
    parts.go.textContent = isStale ? "Waiting for the preview…" : sheet.button;
    parts.go.hidden = !isStale && !sheet.button;
    parts.go.disabled = isStale || !sheet.plan_id || unconfirmed;
    parts.go.title = unconfirmed ? `type ${sheet.confirm} to confirm` : "";
    parts.preview.classList.toggle("tnb-stale", isStale);
  }

  function showProblem(problem) {
    for (const input of Object.values(inputs)) input.removeAttribute("aria-invalid");
    parts.problem.textContent = problem.text || "";
    parts.problem.hidden = !problem.text;
    const input = inputs[problem.field];
    if (input) input.setAttribute("aria-invalid", "true");
  }

  function show() {
    const sheet = model.get("sheet");
    root.hidden = !sheet.kind;
    if (!sheet.kind) {
      const hadFocus = number !== null && (root.contains(document.activeElement) || document.activeElement === document.body);
      number = null;
      root.replaceChildren();
      if (hadFocus) root.parentElement?.querySelector(".tnb-tab")?.focus({ preventScroll: true });
      return;
    }
    if (sheet.number !== number) { number = sheet.number; build(sheet); }
    isStale = false;
    parts.difference.innerHTML = sheet.difference;
    parts.preview.innerHTML = sheet.preview || "";
    if (sheet.hint) parts.preview.append(make("p", { class: "tnb-muted" }, sheet.hint));
    parts.warning.textContent = sheet.warning;
    parts.warning.hidden = !sheet.warning;
    parts.hooksLine.hidden = !(sheet.hooks.length || sheet.with_hooks) || !sheet.preview;
    parts.hooksLine.lastChild.innerHTML = sheet.with_hooks ? "simulate the hooks, too"
      : `simulate the hooks, too; so far not simulated: ${sheet.hooks.map((hook) => `<code>${hook}</code>`).join(", ")}`;
    if (parts.ask && sheet.plan_id) parts.ask.hidden = true;
    const needs = Boolean(sheet.confirm);
    if (needs && !parts.confirmLine.childNodes.length) parts.confirmLine.append("type ", make("b", {}, sheet.confirm), " ", parts.confirm);
    parts.confirmLine.hidden = !needs;
    showProblem(sheet.problem || {});
    showConditional();
    showButton();
  }

  /** All requests are answered: what is shown is what was asked for. */
  function settle() {
    if (!parts || root.hidden) return;
    if (isStale && !timer) isStale = false;
    showButton();
  }

  return { root, show, settle, showProgress };
}
