// The list of dialogues: filters, search, links, keys.
(async () => {
  const byId = (id) => document.getElementById(id);
  const detail = byId("dialogue"), list = byId("list"), more = byId("more"), count = byId("count");
  if (typeof DecompressionStream === "undefined") {
    detail.replaceChildren(el("p", { class: "none" }, "This browser cannot unpack the dialogues; any browser since 2023 can."));
    return;
  }
  const facts = await store.unpack("facts");
  const rows = (await store.unpack("index")).dialogues;
  const PAGE = 60;
  const visible = new Set(facts.arms.map((_, place) => place));
  const texts = new Map();
  let matching = rows.map((_, i) => i), limit = PAGE, open = -1, search = 0;

  const intents = [...new Set(rows.map((r) => r[1]))].filter(Boolean).sort();
  byId("by-intent").append(...intents.map((name) => el("option", { value: name }, name)));

  function passes(row, failure) {
    if (!failure) return true;
    const marks = [...visible].map((place) => row[4][place]).filter(Boolean);
    if (failure === "kept") return marks.length > 0 && marks.every((m) => !m[0]);
    return marks.some((m) => failure === "lost" ? m[0] : failure === "silent" ? m[2] : failure === "fault" ? m[3] : m[1] & (1 << Number(failure)));
  }

  // All words of a dialogue, per arm, in one lower-case string each.
  async function words(number) {
    if (!texts.has(number)) {
      texts.set(number, store.block(number).then((records) => new Map(records.map((record) => [record.id, {
        all: [record.id, record.intent, record.about, ...record.opening, ...record.rounds.map((r) => r[0])].join("\n").toLowerCase(),
        arms: record.arms.map((arm) => arm ? arm.turns.map((t) => [t.x, t.t, t.h].filter(Boolean).join("\n")).join("\n").toLowerCase() : ""),
      }]))));
    }
    return texts.get(number);
  }

  async function filter() {
    const mine = ++search;
    const failure = byId("by-failure").value, intent = byId("by-intent").value, wanted = byId("by-text").value.trim().toLowerCase();
    let found = rows.map((_, i) => i).filter((i) => (!intent || rows[i][1] === intent) && passes(rows[i], failure));
    if (wanted) {
      const kept = [];
      let said = performance.now();
      for (let k = 0; k < found.length; k++) {
        const row = rows[found[k]];
        const text = (await words(row[2])).get(row[0]);
        if (mine !== search) return;
        if (text.all.includes(wanted) || [...visible].some((place) => text.arms[place].includes(wanted))) kept.push(found[k]);
        if (performance.now() - said > 150) {
          said = performance.now();
          count.textContent = "searching, " + Math.round(100 * k / found.length) + " %";
          await new Promise((done) => setTimeout(done));
        }
      }
      found = kept;
    }
    matching = found;
    limit = PAGE;
    drawList();
  }

  function mark(m, place) {
    if (!m || !visible.has(place)) return null;
    return el("span", { class: "arm" + (place % 8) + (m[0] ? " lost" : "") }, el("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[place % 8]),
      facts.thread === null ? "" : m[0] ? "lost " + m[0] : "kept", m[3] ? ", " + m[3] + (m[3] === 1 ? " fault" : " faults") : "");
  }

  function drawList() {
    count.textContent = matching.length + " of " + rows.length + (rows.length === 1 ? " dialogue" : " dialogues");
    list.replaceChildren(...matching.slice(0, limit).map((i) => {
      const [id, intent, , rounds, marks] = rows[i];
      const button = el("button", { type: "button", class: "item", "data-place": i, "aria-current": i === open ? "true" : null, onclick: () => go(i) },
        el("span", { class: "what" }, el("bdi", { class: "name" }, id), el("span", { class: "dim" }, rounds + " r.")),
        intent ? el("bdi", { class: "intent" }, intent) : null, el("span", { class: "marks" }, marks.map(mark)));
      return el("li", {}, button);
    }));
    more.hidden = matching.length <= limit;
  }
  more.addEventListener("click", () => { limit += PAGE; drawList(); });

  async function show(place, round) {
    open = place;
    sound.silence();
    const [id, , number] = rows[place];
    for (const item of list.querySelectorAll(".item")) {
      item.dataset.place === String(place) ? item.setAttribute("aria-current", "true") : item.removeAttribute("aria-current");
    }
    const records = await store.block(number);
    if (open !== place) return;
    const record = records.find((r) => r.id === id);
    detail.replaceChildren(...drawDialogue(record, facts, visible));
    detail.dataset.id = id;
    if (round) focusRound(round);
  }
  function focusRound(number) {
    const target = detail.querySelector('[data-round="' + number + '"]');
    if (target) { target.focus({ preventScroll: true }); target.scrollIntoView({ block: "start", behavior: "instant" }); }
  }
  const link = (place, round) => "#d=" + encodeURIComponent(rows[place][0]) + (round ? "&r=" + round : "");
  function go(place, round) {
    const target = link(place, round);
    if (location.hash === target) show(place, round).then(reveal);
    else location.hash = target;
  }
  function reveal() {
    if (detail.getBoundingClientRect().top > innerHeight * 0.6 || detail.getBoundingClientRect().bottom < 0 || matchMedia("(max-width: 56rem)").matches) detail.scrollIntoView({ block: "start", behavior: "instant" });
  }

  // #d=ID or #d=ID&r=ROUND opens a dialogue; any other hash is a section's.
  async function follow() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("d")) return false;
    const place = rows.findIndex((r) => r[0] === asked.get("d"));
    if (place < 0) { detail.replaceChildren(el("p", { class: "none" }, "No dialogue of this run is called so.")); return true; }
    await show(place, Number(asked.get("r")) || 0);
    if (!asked.get("r")) reveal();
    return true;
  }
  addEventListener("hashchange", follow);

  let timer = 0;
  for (const id of ["by-failure", "by-intent"]) byId(id).addEventListener("change", filter);
  byId("by-text").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 180); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const chip of document.querySelectorAll("[data-arm].chip")) {
    chip.addEventListener("click", () => {
      const place = Number(chip.dataset.arm), on = !visible.has(place);
      on ? visible.add(place) : visible.delete(place);
      chip.setAttribute("aria-pressed", String(on));
      filter();
      if (open >= 0) show(open);
    });
  }
  byId("clear").addEventListener("click", () => {
    for (const id of ["by-failure", "by-intent", "by-text"]) byId(id).value = "";
    facts.arms.forEach((_, place) => visible.add(place));
    for (const chip of document.querySelectorAll("[data-arm].chip")) chip.setAttribute("aria-pressed", "true");
    filter();
    if (open >= 0) show(open);
  });

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const rounds = [...detail.querySelectorAll(".round")];
    if (event.key === "/") { event.preventDefault(); byId("by-text").focus(); }
    else if ((event.key === "j" || event.key === "k") && rounds.length) {
      const at = rounds.findIndex((r) => r.contains(document.activeElement));
      const next = at < 0 ? 0 : Math.min(rounds.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)));
      focusRound(rounds[next].dataset.round);
    } else if ((event.key === "n" || event.key === "p") && matching.length) {
      const at = matching.indexOf(open);
      go(matching[Math.min(matching.length - 1, Math.max(0, at + (event.key === "n" ? 1 : -1)))]);
    }
  });

  drawList();
  if (!(await follow()) && rows.length) {
    // Start with the dialogue that tells most: where one arm loses the thread and another keeps it.
    const telling = rows.findIndex((r) => { const m = r[4].filter(Boolean); return m.some((x) => x[0]) && m.some((x) => !x[0]); });
    const first = telling < 0 ? 0 : telling;
    new IntersectionObserver((seen, watcher) => {
      if (seen.some((s) => s.isIntersecting) && open < 0) { watcher.disconnect(); show(first); }
    }, { rootMargin: "600px" }).observe(detail);
  }
  document.documentElement.dataset.ready = "yes";
})();
