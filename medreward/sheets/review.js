"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const main = document.querySelector("main");
  const rows = [...document.querySelectorAll("article")];
  const key = `medreward-review-${main.dataset.sheet}`;
  const who = ["by", "role", "on"];
  const states = rows.map((row) => ({
    verdict: "", edit: row.querySelector("[data-field=edit]").value, comment: "",
  }));
  const texts = states.map((state) => state.edit);
  const undone = []; // what to go back to: [row, state before]
  let current = -1;

  // The day here, not in Greenwich.
  const today = () => {
    const now = new Date();
    const two = (n) => String(n).padStart(2, "0");
    return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  };

  const squeeze = (text) => text.trim().split(/\s+/).join(" ");
  const isEdited = (i) => squeeze(states[i].edit) !== squeeze(texts[i]) && squeeze(states[i].edit) !== "";
  const isWhole = (i) => squeeze(states[i].comment) !== "" ||
    (states[i].verdict === "agree_with_edit" ? isEdited(i) : states[i].verdict !== "wrong");
  const judged = () => states.filter((state) => state.verdict).length;
  const say = (text) => { byId("status").textContent = text; };

  function keep() {
    const rowsKept = {};
    states.forEach((state, i) => {
      if (state.verdict || state.comment || isEdited(i)) rowsKept[idOf(i)] = state;
    });
    const values = Object.fromEntries(who.map((id) => [id, byId(id).value]));
    try {
      localStorage.setItem(key, JSON.stringify({ who: values, rows: rowsKept }));
    } catch {
      byId("unsaved").hidden = false;
    }
  }

  function restore() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(key) || "{}");
    } catch {
      byId("unsaved").hidden = false;
    }
    for (const id of who) byId(id).value = (kept.who || {})[id] || "";
    byId("on").max = today();
    if (!byId("on").value) byId("on").value = today();
    rows.forEach((_, i) => {
      Object.assign(states[i], (kept.rows || {})[idOf(i)] || {});
      show(i);
    });
  }

  const subjects = rows.map((row) => JSON.parse(row.dataset.subjects));
  const idOf = (i) => subjects[i].map((subject) => subject.of).join(" ");

  function show(i) {
    const state = states[i], row = rows[i];
    row.classList.toggle("judged", state.verdict !== "");
    for (const button of row.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === state.verdict));
    }
    for (const name of ["edit", "comment"]) {
      const field = row.querySelector(`[data-field=${name}]`);
      if (field.value !== state[name]) field.value = state[name];
    }
    row.querySelector(".edit").hidden = state.verdict !== "agree_with_edit";
    const comment = row.querySelector(".comment");
    comment.hidden = comment.hidden && state.comment === "" && state.verdict !== "wrong";
    row.querySelector(".problem").hidden = isWhole(i);
    byId("count").textContent = `${judged()} of ${rows.length}`;
    byId("progress").value = judged();
    byId("undo").disabled = undone.length === 0;
  }

  function change(i, changes) {
    const before = { ...states[i] };
    Object.assign(states[i], changes);
    if (JSON.stringify(before) === JSON.stringify(states[i])) return;
    undone.push([i, before]);
    byId("problem").textContent = "";
    say("");
    show(i);
    keep();
  }

  function undo() {
    const last = undone.pop();
    if (!last) return;
    states[last[0]] = last[1];
    const comment = rows[last[0]].querySelector(".comment");
    comment.hidden = true;
    show(last[0]);
    keep();
    go(last[0]);
    say("Undone.");
  }

  function mark(i) {
    if (rows[current]) rows[current].classList.remove("current");
    current = i;
    rows[i].classList.add("current");
  }

  function go(i) {
    if (i < 0 || i >= rows.length) return;
    mark(i);
    rows[i].focus({ preventScroll: true });
    rows[i].scrollIntoView({ block: "nearest" });
  }

  function open(i, name) {
    const label = rows[i].querySelector(`.${name}`);
    label.hidden = false;
    const field = label.querySelector("textarea");
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  function judge(i, verdict) {
    change(i, { verdict });
    if (verdict === "agree_with_edit") open(i, "edit");
    else if (verdict === "wrong") open(i, "comment");
    else if (verdict) go(Math.min(i + 1, rows.length - 1));
  }

  function nextOpen() {
    const order = rows.map((_, k) => (Math.max(current, -1) + 1 + k) % rows.length);
    const found = order.find((k) => !states[k].verdict);
    if (found === undefined) say("All have a verdict.");
    else go(found);
  }

  // What is exported: a verdict for each label and source of a text that was judged.
  function items() {
    const found = [];
    states.forEach((state, i) => {
      if (!state.verdict) return;
      const opinion = { verdict: state.verdict };
      for (const id of who) opinion[id] = byId(id).value.trim();
      if (state.comment.trim()) opinion.comment = state.comment.trim();
      if (state.verdict === "agree_with_edit" && isEdited(i)) opinion.edit = squeeze(state.edit);
      for (const subject of subjects[i]) found.push({ subject, opinion });
    });
    return found;
  }

  // A text in double quotes is the same in YAML and JSON, but for these, which YAML does not take.
  const quoted = (text) =>
    JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

  function asYaml() {
    const lines = ["# medreward review apply THIS-FILE --reviews FOLDER", "reviews:"];
    for (const { subject, opinion } of items()) {
      lines.push(`- of: ${subject.of}`);
      for (const name of ["label", "text", "source"]) {
        if (subject[name]) lines.push(`  ${name}: ${quoted(subject[name])}`);
      }
      lines.push("  verdicts:");
      Object.entries(opinion).forEach(([name, value], k) => {
        lines.push(`  ${k ? " " : "-"} "${name}": ${quoted(value)}`);
      });
    }
    return lines.join("\n") + "\n";
  }

  function asCsv() {
    const columns = JSON.parse(main.dataset.columns);
    const cell = (text) => `"${(text || "").replaceAll('"', '""')}"`;
    const lines = items().map(({ subject, opinion }) =>
      columns.map((name) => cell({ ...subject, ...opinion }[name])).join(","));
    return `\ufeff${[columns.join(","), ...lines].join("\r\n")}\r\n`;
  }

  // Return what keeps the export from being whole: a message and where to mend it; null if nothing.
  function problem() {
    if (!byId("by").value.trim()) return ["Write your name.", byId("by")];
    if (!byId("role").value.trim()) return ["Write your role, such as consultant radiologist.", byId("role")];
    const day = byId("on").value;
    if (!day || day > today()) return ["The day is missing or in the future.", byId("on")];
    if (!judged()) return ["There is no verdict to export yet.", rows[0]];
    const broken = rows.findIndex((_, i) => !isWhole(i));
    if (broken >= 0) {
      mark(broken);
      return states[broken].verdict === "wrong"
        ? ["A text is marked as wrong: say why.", rows[broken].querySelector("[data-field=comment]")]
        : ["A statement is to be edited, and its text is not changed yet.", rows[broken].querySelector("[data-field=edit]")];
    }
    return null;
  }

  function ready() {
    const found = problem();
    byId("problem").textContent = found ? found[0] : "";
    if (!found) return true;
    say(found[0]);
    found[1].focus();
    found[1].scrollIntoView({ block: "center" });
    return false;
  }

  function save(ending, text) {
    if (!ready()) return;
    const name = byId("by").value.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text()], { type: "text/plain;charset=utf-8" }));
    link.download = `review-${name || "reader"}-${byId("on").value}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`${judged()} of ${rows.length} texts are in ${link.download}.`);
  }

  const actions = {
    j: () => go(Math.min(current + 1, rows.length - 1)),
    k: () => go(Math.max(current - 1, 0)),
    n: nextOpen,
    u: undo,
    x: () => save("yaml", asYaml),
    "?": () => { byId("help").open = !byId("help").open; },
  };

  function ofRow(pressed, i) {
    const buttons = [...rows[i].querySelectorAll("[data-verdict]")];
    const button = buttons.find((b) => b.querySelector("kbd").textContent === pressed);
    if (pressed === "0") change(i, { verdict: "" });
    else if (button) judge(i, button.dataset.verdict);
    else if (pressed === "c") open(i, "comment");
    else if (pressed === "s") rows[i].querySelector("a")?.click();
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("textarea, input")) {
      if (event.key === "Escape") {
        const i = rows.indexOf(event.target.closest("article"));
        event.target.blur();
        if (i >= 0) go(i);
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== "z" || event.altKey) return;
      undo();
    } else if (actions[event.key]) actions[event.key]();
    else if (current < 0 && /^[0-5cs]$/.test(event.key)) {
      go(0);
      say("The first text is chosen: press the key again.");
    } else if (!(current >= 0 && ofRow(event.key, current))) return;
    event.preventDefault();
  });

  rows.forEach((row, i) => {
    row.addEventListener("focusin", () => mark(i));
    row.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      mark(i);
      if (!button) return;
      if (button.dataset.open) open(i, button.dataset.open);
      else judge(i, button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.verdict);
    });
    for (const field of row.querySelectorAll("textarea")) {
      // Kept at each letter; one step of undo is all that was typed before the field was left.
      let before = null;
      field.addEventListener("focus", () => { before = { ...states[i] }; });
      field.addEventListener("input", () => {
        states[i][field.dataset.field] = field.value;
        byId("problem").textContent = "";
        say("");
        row.querySelector(".problem").hidden = isWhole(i);
        keep();
      });
      field.addEventListener("blur", () => {
        if (before && before[field.dataset.field] !== states[i][field.dataset.field]) undone.push([i, before]);
        before = null;
        show(i);
      });
    }
  });
  for (const id of who) byId(id).addEventListener("input", keep);
  byId("undo").addEventListener("click", undo);
  byId("export").addEventListener("click", () => save("yaml", asYaml));
  byId("save-yaml").addEventListener("click", () => save("yaml", asYaml));
  byId("save-csv").addEventListener("click", () => save("csv", asCsv));
  byId("show").addEventListener("click", () => {
    if (!ready()) return;
    byId("shown").hidden = false;
    byId("text").value = asYaml();
    byId("text").select();
  });
  restore();
  say(judged() ? `${judged()} verdicts from before are here.` : "");
})();
