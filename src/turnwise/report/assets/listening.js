// Sorting, filtering, unfolding, and playing from a place in a picture.
(() => {
  const table = document.getElementById("table");
  const recordings = [...table.querySelectorAll("tbody.recording")];

  for (const one of recordings) {
    const fold = one.querySelector("details"), more = one.querySelector(".more");
    fold.addEventListener("toggle", () => {
      more.hidden = !fold.open;
      if (!fold.open) one.querySelector("audio")?.pause();
    });
    const audio = one.querySelector("audio");
    if (!audio) continue;
    audio.addEventListener("play", () => {
      for (const other of table.querySelectorAll("audio")) if (other !== audio) other.pause();
    });
    audio.addEventListener("error", () => {
      if (!one.querySelector(".gone")) {
        const said = document.createElement("p");
        said.className = "gone dim small";
        said.textContent = "This sound cannot be played: its file is missing, or of a kind that this browser does not know.";
        audio.after(said);
      }
    });
    const seconds = Number(one.dataset.seconds);
    for (const drawn of one.querySelectorAll(".wave, .sound img, .strip svg")) {
      drawn.addEventListener("click", (event) => {
        const box = drawn.getBoundingClientRect();
        const place = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * seconds;
        const start = () => { audio.currentTime = place; audio.play().catch(() => {}); /* the error is told by its own event */ };
        if (audio.readyState > 0) return start();
        audio.addEventListener("loadedmetadata", start, { once: true });
        audio.preload = "auto";
        audio.load();
      });
    }
  }

  for (const button of table.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), key = button.dataset.sort, words = "words" in button.dataset;
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("thead th")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      recordings.sort((a, b) => {
        const [x, y] = [a.dataset[key], b.dataset[key]];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined); // what has no number comes last
        return sign * (words ? x.localeCompare(y, undefined, { numeric: true }) : Number(x) - Number(y)) || Number(a.dataset.place) - Number(b.dataset.place);
      });
      table.append(...recordings);
    });
  }

  const name = document.getElementById("by-name"), kind = document.getElementById("by-kind"), count = document.getElementById("count");
  function filter() {
    const wanted = name.value.trim().toLowerCase();
    let shown = 0;
    for (const one of recordings) {
      one.hidden = !(one.dataset.file.toLowerCase().includes(wanted) && (!kind.value || one.dataset.kind.split(" ").includes(kind.value)));
      shown += !one.hidden;
    }
    count.textContent = shown + " of " + recordings.length;
  }
  name.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  filter();
  document.documentElement.dataset.ready = "yes";
})();
