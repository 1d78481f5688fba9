// One clip at a time, and a whole conversation one after the other.
const sound = (() => {
  let playing = null;
  let queue = [];
  let listening = null;

  function clock(seconds) {
    const whole = Math.max(0, seconds);
    return whole < 60 ? whole.toFixed(1) + " s" : Math.floor(whole / 60) + ":" + String(Math.floor(whole % 60)).padStart(2, "0");
  }

  function player(clip, label, embedded) {
    if (!clip) return null;
    const [path, seconds, changed, there] = clip;
    const line = changed ? el("span", { class: "line" }, "line: " + changed) : null;
    if (!there) return el("div", {}, el("p", { class: "gone" }, "The clip is missing: its file was not found when this page was made."), line);
    const go = el("button", { type: "button", class: "go", "aria-label": "Play " + label + ", " + clock(seconds) }, "▶");
    const seek = el("input", { type: "range", min: 0, max: seconds, step: 0.01, value: 0, "aria-label": "Place in " + label });
    const time = el("span", { class: "time" }, clock(seconds));
    const row = el("div", { class: "player" }, go, seek, time);
    let audio = null;
    const one = { start, stop, row, after: null };

    function open() {
      if (audio) return;
      audio = el("audio", { preload: "auto", src: (embedded && embedded[path]) || path });
      row.append(audio);
      audio.addEventListener("timeupdate", () => {
        seek.value = audio.currentTime;
        time.textContent = clock(audio.currentTime) + " / " + clock(seconds);
      });
      audio.addEventListener("ended", () => { halt(); const next = one.after; one.after = null; if (next) next(); });
      audio.addEventListener("error", () => {
        halt();
        if (!row.querySelector(".gone")) row.append(el("span", { class: "gone" }, "This clip cannot be played: its file is missing or unreadable."));
        const next = one.after; one.after = null; if (next) next();
      });
    }
    function halt() { go.textContent = "▶"; if (playing === one) playing = null; }
    function start() {
      open();
      if (playing && playing !== one) playing.stop();
      playing = one;
      go.textContent = "❚❚";
      audio.play().catch(() => halt());
    }
    function stop() { if (audio) audio.pause(); halt(); }
    go.addEventListener("click", () => { end(); playing === one ? stop() : start(); });
    seek.addEventListener("input", () => { open(); audio.currentTime = Number(seek.value); });
    const whole = el("div", {}, row, line);
    whole.player = one;
    return whole;
  }

  function end() {
    queue = [];
    if (listening) { listening.setAttribute("aria-pressed", "false"); listening = null; }
  }
  function next() {
    const one = queue.shift();
    if (!one) return end();
    one.row.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    one.after = next;
    one.start();
  }
  // A button that plays a whole conversation of one arm.
  function listen(button, players) {
    button.addEventListener("click", () => {
      const again = listening === button;
      end();
      if (playing) { playing.after = null; playing.stop(); }
      if (again) return;
      listening = button;
      button.setAttribute("aria-pressed", "true");
      queue = players.filter(Boolean);
      next();
    });
  }
  function silence() { end(); if (playing) { playing.after = null; playing.stop(); } }
  return { player, listen, silence };
})();
