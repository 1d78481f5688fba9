// Theme, tips over figures, and the switches above them.
(() => {
  const root = document.documentElement;
  const remembered = (() => { try { return localStorage.getItem("turnwise-theme"); } catch { return null; } })();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("turnwise-theme", root.dataset.theme); } catch { /* a page from disk may have no storage; the choice then lasts until it is closed */ }
  });

  const tip = document.getElementById("tip");
  function showTip(event) {
    const mark = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.getAttribute("data-tip");
    const at = mark.getBoundingClientRect(), size = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(innerWidth - size.width - 6, at.left + at.width / 2 - size.width / 2)) + "px";
    tip.style.top = (at.top - size.height - 8 < 4 ? at.bottom + 8 : at.top - size.height - 8) + "px";
  }
  document.addEventListener("pointerover", showTip);
  document.addEventListener("pointerdown", showTip);
  document.addEventListener("pointermove", (event) => { if (tip.hidden) showTip(event); });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  for (const button of document.querySelectorAll("[data-curves]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-curves]")) other.setAttribute("aria-pressed", String(other === button));
      for (const part of document.querySelectorAll("[data-shows]")) part.hidden = part.dataset.shows !== button.dataset.curves;
    });
  }
  const matrix = document.getElementById("matrix");
  if (matrix) matrix.addEventListener("change", () => {
    for (const part of document.querySelectorAll("[data-matrix]")) part.hidden = part.dataset.matrix !== matrix.value;
  });

  const links = [...document.querySelectorAll(".bar a")];
  const near = new IntersectionObserver((seen) => {
    for (const one of seen) {
      if (!one.isIntersecting) continue;
      for (const link of links) link.getAttribute("href") === "#" + one.target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("main > section")) near.observe(section);
})();
