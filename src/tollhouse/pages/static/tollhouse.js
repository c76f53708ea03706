// What pages do beyond HTML: dialogs, copying, the theme, live figures. Every page works without it.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function openDialogs() {
  for (const dialog of all("dialog[data-modal][open]")) {
    dialog.close();
    dialog.showModal();
  }
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    else if (event.target.matches("dialog[open]")) event.target.close();
  });
}

function copyButtons() {
  if (!navigator.clipboard) return;
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      toast(document.body.dataset.copied ?? "✓");
    });
  }
}

function toast(text) {
  const place = document.querySelector(".toasts");
  if (!place) return;
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = text;
  place.append(line);
  setTimeout(() => line.remove(), 5000);
}

function themes() {
  for (const list of all("[data-themes]")) list.hidden = false;
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-theme-set]")?.dataset.themeSet;
    if (choice === undefined) return;
    document.documentElement.dataset.theme = choice;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${choice}; path=/; max-age=${choice ? 31536000 : 0}; samesite=lax${secure}`;
  });
}

function menus() {
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// A region with data-live-from asks its address again and again, and puts the answers' words where they belong.
function liveFigures() {
  const region = document.querySelector("[data-live-from]");
  if (!region) return;
  const seconds = Number(region.dataset.liveEvery || 10);
  const ask = async () => {
    if (document.hidden) return;
    const answer = await fetch(region.dataset.liveFrom, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    const news = await answer.json();
    for (const [name, words] of Object.entries(news.words)) {
      for (const place of all(`[data-live="${name}"]`)) if (place.textContent !== words) place.textContent = words;
    }
    for (const [name, meter] of Object.entries(news.bars)) {
      for (const bar of all(`[data-live-bar="${name}"]`)) {
        bar.setAttribute("aria-valuenow", meter.percent);
        bar.setAttribute("aria-valuetext", meter.words);
        bar.querySelector(".bar-fill")?.setAttribute("width", `${meter.percent}%`);
      }
    }
  };
  setInterval(() => ask().catch(() => {}), seconds * 1000);
}

// After a purchase: ask until the plan has changed, then show the page anew.
function awaitPayment() {
  const region = document.querySelector("[data-await]");
  if (!region) return;
  let tries = 0;
  const ask = async () => {
    tries += 1;
    const answer = await fetch(region.dataset.await, { headers: { accept: "application/json" } }).catch(() => null);
    const news = answer?.ok ? await answer.json() : null;
    if (news?.arrived) location.replace(region.dataset.then);
    else if (tries < 120) setTimeout(ask, tries < 20 ? 500 : 2000);
    else region.querySelector("[data-late]").hidden = false;
  };
  ask();
}

openDialogs();
copyButtons();
themes();
menus();
liveFigures();
awaitPayment();
