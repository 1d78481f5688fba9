// One dialogue: what the user said, and every arm's answer beside the others.
const GLYPHS = ["●", "■", "▲", "◆", "✚", "▼", "▶", "◀"];
const STATUS = ["scored", "abstained", "fault", "silent"];

function spoken(name) { return name.replace(/[_-]+/g, " "); }
function plainWords(text) { return (text || "").toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, " ").trim(); }
function figure(value, criterion) { return value.toFixed(criterion.decimals).replace("-", "−"); }

function isBad(place, verdict, facts) {
  if (verdict[0] !== 0) return false;
  if (facts.failures.includes(place)) return verdict[1] > facts.mild;
  if (place !== facts.thread || facts.threshold === null) return false;
  return facts.criteria[place].better === "higher" ? verdict[1] < facts.threshold : verdict[1] > facts.threshold;
}

function verdictText(place, verdict, facts) {
  const criterion = facts.criteria[place];
  if (verdict[0] === 0) return figure(verdict[1], criterion);
  return verdict[0] === 2 ? "fault: " + verdict[1] : STATUS[verdict[0]];
}

function scores(turn, facts) {
  const main = [...new Set([facts.thread, ...facts.sense])].filter((p) => p !== null);
  const bad = facts.failures.filter((p) => isBad(p, turn.v[p], facts)).sort((a, b) => turn.v[b][1] - turn.v[a][1]);
  const items = [...main, ...bad].map((p) =>
    el("li", { class: isBad(p, turn.v[p], facts) ? "bad" : null }, spoken(facts.criteria[p].name), " ", verdictText(p, turn.v[p], facts)));
  const why = bad.length && turn.v[bad[0]][2] ? el("p", { class: "why", dir: "auto" }, spoken(facts.criteria[bad[0]].name) + ": " + turn.v[bad[0]][2]) : null;
  return [el("ul", { class: "scores", "aria-label": "Main verdicts" }, items), why];
}

function allVerdicts(turn, facts) {
  const missing = turn.v.filter((v) => v[0] !== 0).length;
  const title = "All " + turn.v.length + " verdicts" + (missing ? ", " + missing + " without a score" : "");
  return lazily(title, () => el("ul", { class: "verdicts" }, turn.v.map((v, p) => el("li", {},
    el("span", { class: isBad(p, v, facts) ? "verdict bad" : "verdict" }, el("strong", {}, spoken(facts.criteria[p].name)), " ", verdictText(p, v, facts)),
    v[2] ? el("span", { class: "said", dir: "auto" }, v[2]) : null))));
}

function lossText(turn, facts) {
  const verdict = turn.v[facts.thread], criterion = facts.criteria[facts.thread];
  if (verdict[0] !== 0) return STATUS[verdict[0]];
  return spoken(criterion.name) + " " + figure(verdict[1], criterion) + (criterion.better === "higher" ? ", below " : ", above ") + facts.threshold;
}

// The inside of a fold is made when it is first opened.
function lazily(title, make) {
  const fold = el("details", {}, el("summary", {}, title));
  fold.addEventListener("toggle", () => { if (fold.open && fold.childElementCount === 1) fold.append(make()); });
  return fold;
}

function wait(times) {
  const [hear, think, speak, first] = times;
  const stages = [["hear", hear], ["think", think], ["speak", speak]].filter(([, t]) => t !== null).map(([name, t]) => name + " " + t.toFixed(2)).join(", ");
  if (first !== null) return el("p", { class: "aside" }, "first sound " + first.toFixed(2) + " s" + (stages ? " (" + stages + ")" : ""));
  return stages ? el("p", { class: "aside" }, stages + " s") : null;
}

function aside(label, text) { return el("p", { class: "aside" }, label + " ", el("span", { class: "said", dir: "auto" }, text)); }

function answer(record, arm, place, round, facts, players, own, spokenTo) {
  const turn = arm.turns[round];
  const name = facts.arms[place];
  const lost = arm.lost === round + 1;
  const cell = el("div", { class: "answer arm" + (place % 8) + (lost ? " lost" : ""), "data-arm": place },
    el("h5", {}, el("span", {}, el("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[place % 8]), el("bdi", {}, name))));
  if (lost) cell.append(el("p", { class: "banner" }, "The thread is lost here: " + lossText(turn, facts)));
  if (spokenTo && !turn.u) cell.append(el("p", { class: "aside" }, "Was given the user's words instead of the sound."));
  if (own && turn.u) {
    const player = sound.player(turn.u, "the user as " + name + " heard it, round " + (round + 1), record.audio);
    if (player) { cell.append(player); players[place].push(player.player); }
    if (turn.h !== null && turn.h !== undefined) cell.append(aside("The user as transcribed:", turn.h));
  }
  if (turn.f) {
    cell.append(el("p", { class: "gone" }, "Fault: " + turn.f[0] + (turn.f[1] ? " (" + turn.f[1] + ")" : "")));
  }
  if (turn.x !== undefined) {
    const words = turn.t !== null && turn.t !== undefined ? turn.t : turn.x;
    const player = sound.player(turn.a, name + ", round " + (round + 1), record.audio);
    if (player) { cell.append(player); players[place].push(player.player); }
    if (words) cell.append(el("p", { class: "said", dir: "auto" }, words));
    else if (turn.x || turn.a) cell.append(el("p", { class: "none" }, turn.t === null || turn.t === undefined ? "No transcript." : "The transcriber heard no words."));
    else cell.append(el("p", { class: "none" }, "Silence: neither sound nor words."));
    if (turn.x && plainWords(turn.x) !== plainWords(words)) cell.append(aside("Its own text:", turn.x));
    if (turn.w !== undefined && ![record.rounds[round][0], turn.h].some((known) => plainWords(known) === plainWords(turn.w))) cell.append(aside("It understood:", turn.w));
    for (const note of turn.n || []) cell.append(aside("Departure:", note));
    cell.append(...scores(turn, facts).filter(Boolean));
    const times = wait(turn.l);
    if (times) cell.append(times);
  } else {
    cell.append(...scores(turn, facts).filter(Boolean));
  }
  cell.append(allVerdicts(turn, facts));
  const count = turn.s.length;
  cell.append(count ? lazily("Shown " + count + " past " + (count === 1 ? "turn" : "turns"), () =>
    el("ol", { class: "shown" }, turn.s.map((i) => el("li", { dir: "auto" }, arm.shown[i])))) : el("p", { class: "aside" }, "Shown no past turn."));
  return cell;
}

// The turn whose sound and transcript stand for the user's side of every arm, null where the arms heard different things.
function sharedUser(turns) {
  const heard = turns.filter((t) => t.u);
  const key = (t) => JSON.stringify([t.u, t.h]);
  return heard.every((t) => key(t) === key(heard[0])) ? heard[0] || turns[0] : null;
}

function drawDialogue(record, facts, visible) {
  const arms = record.arms.map((arm, place) => [arm, place]).filter(([arm, place]) => arm && visible.has(place));
  const players = Object.fromEntries(arms.map(([, place]) => [place, []]));
  const listen = el("div", { class: "listen" });
  const parts = [
    el("div", { class: "dhead" }, el("h3", {}, el("bdi", {}, record.id)),
      el("a", { href: "#d=" + encodeURIComponent(record.id) }, "link to this dialogue")),
    el("p", { class: "dim" }, [record.intent, record.about].filter(Boolean).join(": ")), listen];
  if (!arms.length) return [...parts, el("p", { class: "none" }, "No arm is shown: choose one above.")];
  for (const line of record.opening) parts.push(el("p", { class: "aside" }, "The agent opens, as written: ", el("span", { class: "said", dir: "auto" }, line)));
  record.rounds.forEach(([text, phase, stated], round) => {
    const turns = arms.map(([arm]) => arm.turns[round]);
    const shared = sharedUser(turns);
    const user = el("div", { class: "user" }, el("p", { class: "said", dir: "auto" }, text));
    if (shared) {
      const player = sound.player(shared.u, "the user, round " + (round + 1), record.audio);
      if (player) { user.append(player); for (const [, place] of arms) players[place].push(player.player); }
      if (shared.h !== null && shared.h !== undefined && plainWords(shared.h) !== plainWords(text)) user.append(aside("As transcribed:", shared.h));
    }
    const spokenTo = turns.some((t) => t.u);
    if (stated.length) user.append(el("ul", { class: "facts", "aria-label": "Stated here" }, stated.map((f) => el("li", {}, el("bdi", {}, f)))));
    parts.push(el("section", { class: "round", tabindex: "-1", "data-round": round + 1, "aria-label": "Round " + (round + 1) },
      el("header", {}, el("h4", {}, "Round " + (round + 1)), phase ? el("span", { class: "phase" }, phase) : null),
      user, el("div", { class: "answers" }, arms.map(([arm, place]) => answer(record, arm, place, round, facts, players, !shared, spokenTo)))));
  });
  for (const [, place] of arms) {
    if (!players[place].length) continue;
    const button = el("button", { type: "button", class: "quiet arm" + (place % 8), "aria-pressed": "false" },
      el("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[place % 8]), "Listen through ", el("bdi", {}, facts.arms[place]));
    sound.listen(button, players[place]);
    listen.append(button);
  }
  return parts;
}
