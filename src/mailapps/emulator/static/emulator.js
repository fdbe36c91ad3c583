// Keeps the list fresh and empties the inbox. Everything else works without a script.
"use strict";

const live = () => document.querySelector("[data-live]");

async function refresh() {
  if (document.hidden || !live()) return;
  const inbox = await (await fetch("/emulator/inbox?limit=1")).json();
  const newest = String(inbox.messages[0]?.id ?? 0);
  if (newest === live().dataset.newest || new URLSearchParams(location.search).get("q")) return;
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  live().replaceWith(page.querySelector("[data-live]"));
  arm();
}

function arm() {
  const button = document.querySelector("[data-clear]");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await fetch("/emulator/inbox", { method: "DELETE" });
    location.assign("/");
  });
}

arm();
if (live()) setInterval(() => refresh().catch(() => {}), 2000); // the server may be gone for a moment
